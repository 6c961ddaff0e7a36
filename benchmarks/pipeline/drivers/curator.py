"""Bespoke Curator, with its cache of requests and responses."""

import os
import time
from typing import Any

from benchmarks.pipeline.drivers.common import MODEL, Job, count_words_as_tokens, read_job, report, write_texts


def answer(job: Job) -> Any:
    """Answer all prompts; return curator's own account of the run."""
    from bespokelabs import curator

    class Writer(curator.LLM):
        def prompt(self, row: dict[str, Any]) -> str:
            return row["prompt"]

        def parse(self, row: dict[str, Any], response: str) -> dict[str, Any]:
            return {"prompt": row["prompt"], "text": response}

    writer = Writer(
        model_name=MODEL,
        system_prompt=job.system or None,
        backend="openai",
        backend_params={
            "base_url": job.url,
            "api_key": "none",
            "max_requests_per_minute": 10_000_000,
            "max_tokens_per_minute": 10_000_000_000,
            "max_concurrent_requests": job.in_flight,
            "require_all_responses": False,
        },
    )
    return writer([{"prompt": prompt} for prompt in job.prompts()], working_dir=str(job.out / "cache"))


def main() -> None:
    """Run and report; the clock starts after the imports."""
    os.environ |= {"TELEMETRY_ENABLED": "false", "CURATOR_DISABLE_RICH_DISPLAY": "1"}
    job = read_job()
    count_words_as_tokens()
    import bespokelabs.curator  # noqa: F401

    started = time.perf_counter()
    dataset = answer(job).dataset
    report(started, len(dataset))
    write_texts(job, (row["text"] for row in dataset))


if __name__ == "__main__":
    main()
