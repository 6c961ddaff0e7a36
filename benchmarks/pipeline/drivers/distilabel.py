"""distilabel: a pipeline of one text generation step, with its cache."""

import time
from typing import Any

from benchmarks.pipeline.drivers.common import MODEL, Job, read_job, report, write_texts


def pipeline(job: Job) -> Any:
    """Connect the data to the model; a batch is as large as what may be in flight."""
    from distilabel.models import OpenAILLM
    from distilabel.pipeline import Pipeline
    from distilabel.steps import LoadDataFromDicts
    from distilabel.steps.tasks import TextGeneration

    data = [{"instruction": prompt} for prompt in job.prompts()]
    with Pipeline(name="rows", cache_dir=str(job.out / "cache")) as made:
        load = LoadDataFromDicts(name="load", data=data, batch_size=job.in_flight)
        llm = OpenAILLM(model=MODEL, base_url=job.url, api_key="none")
        load >> TextGeneration(name="write", llm=llm, system_prompt=job.system or None, input_batch_size=job.in_flight)
    return made


def main() -> None:
    """Run and count the rows that have a text."""
    job = read_job()
    made = pipeline(job)
    started = time.perf_counter()
    rows = made.run(use_cache=True)["default"]["train"]
    report(started, sum(text is not None for text in rows["generation"]))
    write_texts(job, rows["generation"])


if __name__ == "__main__":
    main()
