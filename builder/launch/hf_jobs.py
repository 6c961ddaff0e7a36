"""Fill the parts of a run by Hugging Face Jobs: one job per part, which writes its journals to the Hub or a bucket."""

import os
import re
import secrets as random_numbers
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personagen.builder.core.endpoints.secrets import REFERENCE
from personagen.builder.core.errors import HubError, LaunchError
from personagen.builder.core.foreign_text import quote
from personagen.builder.hub.client import HubClient
from personagen.builder.launch.commands import is_url
from personagen.builder.launch.job_bundle import VARIABLE, pack
from personagen.builder.version import __version__

if TYPE_CHECKING:  # imported on use: `--help` does not need it
    from personagen.builder.planning.recipe import Recipe

SCRIPT = ("python", "-m", "personagen.builder.launch.job_bundle")
"""Command of a job, for `uv run`."""

POLL_S = 10.0
"""Seconds between two questions for the stage of a job."""

LOG_LINES = 20
"""Lines of the log of a failed job that are shown."""

LOCAL_SCHEMES = ("file", "local", "memory")
"""Schemes of URLs that name the machine itself."""


@dataclass(frozen=True, slots=True)
class JobSettings:
    """What the jobs are made of, and where they run.

    Attributes:
        flavor: hardware of each job.
        namespace: user or organization that owns and pays the jobs. None: the user of the token.
        requirements: what `uv` installs. Empty: this version of PersonaGen with the extras that the recipe needs.
        secrets: names of environment variables that the jobs get as secrets, besides HF_TOKEN.
        image: container image with `uv`. None: the Hub's own.
        timeout: time limit of a job, such as 12h. None: that of the Hub.
        retries: further attempts of a job that fails.

    """

    flavor: str = "cpu-basic"
    namespace: str | None = None
    requirements: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    image: str | None = None
    timeout: str | None = None
    retries: int = 2


@dataclass(frozen=True, slots=True)
class PartJob:
    """The job of a part: its id, its owner and its page on the Hub."""

    part: int
    id: str
    namespace: str
    url: str


def job_bundle(recipe: "Recipe", journals: str, own_options: Sequence[str], settings: JobSettings) -> str:
    """Return the bundle of all jobs, before anything is submitted.

    Raises:
        LaunchError: the journals are on this machine, the recipe reads a variable that no job has, or see `pack`.

    """
    if not is_url(journals) or journals.partition("://")[0].lower() in LOCAL_SCHEMES:
        raise LaunchError(
            f"got --journals {quote(journals)}, which is on this machine, and a job is not; wanted a URL that the jobs "
            "can write, such as hf://buckets/USER/NAME/journals"
        )
    bundle = pack(recipe, (f"--journals={journals}", *own_options))
    references = {name for model in recipe.backends for name in REFERENCE.findall(f"{model.headers}{model.query}")}
    if missing := sorted(references - {*settings.secrets}):
        raise LaunchError(f"the recipe reads ${{{missing[0]}}}, which the jobs do not have; add --secret {missing[0]}")
    return bundle


def read_secrets(names: Sequence[str]) -> dict[str, str]:
    """Return the secrets of the jobs by name, from this environment; HF_TOKEN also from `hf auth login`.

    Raises:
        LaunchError: a name is impossible, or its variable is not set.

    """
    from huggingface_hub import get_token

    values = {"HF_TOKEN": get_token() or ""}
    for name in names:
        if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
            raise LaunchError(
                f"--secret: got {quote(name)}, wanted the name of an environment variable; never its value"
            )
        values[name] = os.environ.get(name) or values.get(name, "")
        if not values[name]:
            raise LaunchError(f"--secret: the environment variable {name} is not set; set it")
    return values


def submit_jobs(client: HubClient, bundle: str, parts: int, recipe: "Recipe", settings: JobSettings) -> list[PartJob]:
    """Submit one job per part; a submission whose answer was lost is found again by its labels.

    Raises:
        HubError: the Hub refuses the first job, or cannot be reached.
        LaunchError: some jobs were submitted before; the message names them.

    """
    spec = _specification(client, bundle, recipe, settings)
    launch, jobs = random_numbers.token_hex(6), list[PartJob]()
    for part in range(parts):
        labels = {"personagen": launch, "part": f"{part}-of-{parts}", "recipe": recipe.fingerprint()}
        try:
            jobs.append(_submit(client, part, [*SCRIPT[1:], f"--part={part}/{parts}"], spec | {"labels": labels}))
        except HubError as error:
            if not jobs:
                raise
            submitted = " ".join(job.id for job in jobs)
            raise LaunchError(
                f"{len(jobs)} of {parts} jobs are submitted ({submitted}), the rest is not: {error}; cancel each with "
                "`hf jobs cancel ID`, or wait for them and launch again"
            ) from None
    return jobs


def wait_for(
    client: HubClient, jobs: Sequence[PartJob], report: Callable[[str], None], poll_s: float = POLL_S
) -> list[int | None]:
    """Wait for the jobs, report the end of the logs of failed ones; return 0 per completed part and None for others."""
    codes: list[int | None] = []
    for job in jobs:
        wait = partial(client.api.wait_for_job, job.id, poll_interval=poll_s, namespace=job.namespace)
        info: Any = client.with_retries(f"wait for job {job.id}", wait)
        is_complete = info.status.stage == "COMPLETED"
        codes.append(0 if is_complete else None)
        report(f"part {job.part}/{len(jobs)}: {str(info.status.stage).lower()} {job.url}")
        if not is_complete:
            for line in _last_lines(client, job):
                report(f"part {job.part}/{len(jobs)}: {line}")
    return codes


def _specification(client: HubClient, bundle: str, recipe: "Recipe", settings: JobSettings) -> dict[str, Any]:
    """Return the arguments of `run_uv_job` that all jobs have in common."""
    # run_uv_job uploads every word of a command that is the name of a local file, and replaces it.
    if taken := [word for word in SCRIPT if Path(word).is_file()]:
        raise LaunchError(
            f"the working directory has a file {taken[0]!r}, which a job would get as its command; run this elsewhere"
        )
    owner = settings.namespace or client.with_retries("ask who you are", client.api.whoami)["name"]
    return {
        "dependencies": list(settings.requirements or (_own_requirement(recipe),)),
        "env": {VARIABLE: bundle},
        "secrets": read_secrets(settings.secrets),
        "flavor": settings.flavor,
        "image": settings.image,
        "timeout": settings.timeout,
        "attempts": settings.retries + 1,
        "namespace": owner,
    }


def _own_requirement(recipe: "Recipe") -> str:
    kinds: set[str] = {model.kind for model in recipe.backends}
    if recipe.checks.label is not None:
        kinds.add("metrics")
    extras = [extra for extra in ("embedded", "metrics", "transformers") if extra in kinds]
    return f"personagen{'[' + ','.join(extras) + ']' if extras else ''}=={__version__}"


def _submit(client: HubClient, part: int, arguments: list[str], spec: Mapping[str, Any]) -> PartJob:
    def run() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # `huggingface_hub` calls it experimental at every call
            return client.api.run_uv_job(SCRIPT[0], script_args=arguments, **spec)

    def recover() -> Any:
        return next(iter(client.api.list_jobs(labels=dict(spec["labels"]), namespace=spec["namespace"])), None)

    job = client.with_retries(f"submit the job of part {part}", run, recover=recover)
    return PartJob(part, job.id, spec["namespace"], job.url)


def _last_lines(client: HubClient, job: PartJob) -> list[str]:
    """Return the last lines of a job's log; a message in their place if the Hub has none."""
    try:
        return client.with_retries(
            f"read the log of job {job.id}",
            lambda: list(client.api.fetch_job_logs(job_id=job.id, tail=LOG_LINES, namespace=job.namespace)),
        )[-LOG_LINES:]
    except HubError as error:
        return [str(error)]
