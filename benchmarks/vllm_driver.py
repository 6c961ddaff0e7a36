"""vLLM on prompts of `gpu.py`, in an environment of its own: prints one line of JSON.

Its argument is a folder with configuration, tokenizer and prompts of a model; vLLM makes random weights for it. The
second argument is the number of tokens per text.
"""

import json
import sys
import time
from pathlib import Path


def main(folder: str, tokens: int) -> None:
    """Generate twice, and print tokens and seconds of the second time."""
    import vllm

    prompts = [{"prompt_token_ids": ids} for ids in json.loads((Path(folder) / "prompts.json").read_text("utf-8"))]
    model = vllm.LLM(model=folder, load_format="dummy", dtype="bfloat16", max_model_len=4096)
    sampling = vllm.SamplingParams(temperature=0.9, max_tokens=tokens, ignore_eos=True)
    written, seconds = 0, 0.0
    for _ in range(2):  # the first time compiles
        began = time.perf_counter()
        outputs = model.generate(prompts, sampling, use_tqdm=False)
        seconds = time.perf_counter() - began
        written = sum(len(output.outputs[0].token_ids) for output in outputs)
    print(json.dumps({"version": vllm.__version__, "tokens": written, "seconds": seconds}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
