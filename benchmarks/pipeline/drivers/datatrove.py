"""datatrove: an InferenceRunner against an endpoint, with its request cache and its checkpoints."""

import time
from typing import Any

from benchmarks.pipeline.drivers.common import MODEL, read_job, report


async def _ask(document: Any, generate: Any) -> Any:
    return await generate({"messages": [{"role": "user", "content": document.text}], "max_tokens": 200})


def main() -> None:
    """Run the pipeline and count the rows that it wrote."""
    job = read_job()
    from datatrove.data import Document
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.inference.run_inference import InferenceConfig, InferenceRunner
    from datatrove.pipeline.writers import JsonlWriter

    config = InferenceConfig(
        server_type="endpoint",
        endpoint_url=job.url.removesuffix("/v1"),
        model_name_or_path=MODEL,
        max_concurrent_generations=job.in_flight,
        server_ready_delay_sec=0.1,
    )
    results = job.out / "results"
    runner = InferenceRunner(
        rollout_fn=_ask,
        config=config,
        output_writer=JsonlWriter(str(results), output_filename="${rank}_chunk_${chunk_index}.jsonl", compression=None),
        checkpoints_local_dir=str(job.out / "checkpoints"),
        records_per_chunk=500,
        skip_bad_requests=True,
    )
    documents = [Document(text=prompt, id=str(number)) for number, prompt in enumerate(job.prompts())]
    started = time.perf_counter()
    LocalPipelineExecutor([documents, runner], logging_dir=str(job.out / "logs")).run()
    report(started, sum(len(file.read_text(encoding="utf-8").splitlines()) for file in results.glob("*.jsonl")))


if __name__ == "__main__":
    main()
