"""PersonaGen through its command line, as the environment of this interpreter has it."""

import json
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.pipeline.drivers.common import MODEL, Job, read_job, report

RECIPE = {"seed": 0, "taxonomy": "ekman", "situations_per_persona": 1, "shard_rows": 10_000}


def write_recipe(job: Job) -> Path:
    """Write the recipe; YAML reads JSON."""
    backend = {"kind": "openai", "model": MODEL}
    text = {"min_words": 8, "max_words": 120, "language": "en"}
    recipe = RECIPE | {"rows": job.rows, "depth": job.depth, "backend": backend, "text": text}
    path = job.out / "recipe.yaml"
    path.write_text(json.dumps(recipe), encoding="utf-8")
    return path


def command(job: Job) -> list[str]:
    """Spell the command; the same again goes on with a run that was cut off."""
    words = [sys.executable, "-m", "personagen.builder", "generate", str(write_recipe(job)), "--base-url", job.url]
    return [*words, "--concurrency", str(job.in_flight), "--out", str(job.out / "release")]


def main() -> None:
    """Run the command and count what it left."""
    job = read_job()
    started = time.perf_counter()
    done = subprocess.run(command(job), check=False, stdout=subprocess.DEVNULL)
    if done.returncode:
        sys.exit(done.returncode)
    manifest = json.loads((job.out / "release" / "manifest.json").read_text(encoding="utf-8"))
    rejects = (job.out / "release.run" / "rejects.jsonl").read_text(encoding="utf-8").splitlines()
    reasons = [json.loads(line)["reason"] for line in rejects]
    report(started, sum(manifest["configs"]["all"]["rows"].values()), sum(map(bool, reasons)))


if __name__ == "__main__":
    main()
