"""NVIDIA NeMo Data Designer: one text column over a seed column of prompts, resuming where it can."""

import os
import time
from typing import Any

from benchmarks.pipeline.drivers.common import MODEL, Job, count_words_as_tokens, read_job, report, write_texts


def columns(job: Job) -> Any:
    """Declare the columns and the model."""
    import data_designer.config as dd
    import pandas as pd

    model = dd.ModelConfig(
        alias="writer",
        model=MODEL,
        provider="loopback",
        inference_parameters=dd.ChatCompletionInferenceParams(
            max_parallel_requests=job.in_flight, max_tokens=job.limit or None
        ),
        skip_health_check=True,
    )
    builder = dd.DataDesignerConfigBuilder(model_configs=[model])
    seeds = job.out / "seeds.parquet"
    pd.DataFrame({"item": job.prompts()}).to_parquet(seeds)
    builder.with_seed_dataset(dd.LocalFileSeedSource(path=str(seeds)))
    text = dd.LLMTextColumnConfig(
        name="text", prompt="{{ item }}", system_prompt=job.system or None, model_alias="writer"
    )
    builder.add_column(text)
    return builder


def main() -> None:
    """Create the dataset and count its rows."""
    job = read_job()
    count_words_as_tokens()
    os.environ |= {"NEMO_TELEMETRY_ENABLED": "false", "DATA_DESIGNER_HOME": str(job.out / "home")}
    import data_designer.config as dd
    from data_designer.interface import DataDesigner

    provider = dd.ModelProvider(name="loopback", endpoint=job.url, api_key="none")
    designer = DataDesigner(artifact_path=job.out / "artifacts", model_providers=[provider])
    designer.set_run_config(dd.RunConfig(otel_metrics_port=None))
    started = time.perf_counter()
    made = designer.create(columns(job), num_records=job.rows, dataset_name="rows", resume=dd.ResumeMode.IF_POSSIBLE)
    dataset = made.load_dataset()
    report(started, len(dataset))
    write_texts(job, dataset["text"])


if __name__ == "__main__":
    main()
