"""A bare worker pool over one aiohttp session: what Python can do where nothing is kept, checked or retried."""

import asyncio
import time
from collections.abc import Iterator

from benchmarks.pipeline.drivers.common import MODEL, Job, read_job, report


async def _work(session: object, url: str, prompts: Iterator[str]) -> list[str]:
    texts = []
    for prompt in prompts:
        body = {"model": MODEL, "messages": [{"role": "user", "content": prompt}]}
        async with session.post(url, json=body) as response:  # type: ignore[attr-defined]
            if response.status == 200:
                texts.append((await response.json())["choices"][0]["message"]["content"])
    return texts


async def answer(job: Job) -> int:
    """Answer all prompts; return how many were answered."""
    import aiohttp

    prompts = iter(job.prompts())
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        url = f"{job.url}/chat/completions"
        parts = await asyncio.gather(*(_work(session, url, prompts) for _ in range(job.in_flight)))
    return sum(len(part) for part in parts)


def main() -> None:
    """Answer and report."""
    job = read_job()
    started = time.perf_counter()
    report(started, asyncio.run(answer(job)))


if __name__ == "__main__":
    main()
