"""Fill the parts of a run by Hugging Face Jobs: one job per part, which writes its journals to the Hub or a bucket."""

import secrets as random_numbers
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personagen.builder.core.errors import HubError, LaunchError
from personagen.builder.core.foreign_text import quote
from personagen.builder.hub.client import HubClient, is_refusal
from personagen.builder.launch.commands import is_url
from personagen.builder.launch.job_bundle import VARIABLE, pack
from personagen.builder.launch.job_environment import (
    hub_variables,
    read_secrets,
    require_public,
    require_variables,
    with_servers,
)
from personagen.builder.launch.job_requirements import requirements_of

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
        requirements: what `uv` installs. Empty: this installation of PersonaGen with the extras that the recipe needs.
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
        LaunchError: the journals or a server are on this machine, a variable is missing in the jobs, or see `pack`.

    """
    if not is_url(journals) or journals.partition("://")[0].lower() in LOCAL_SCHEMES:
        raise LaunchError(
            f"got --journals {quote(journals)}, which is on this machine, and a job is not; wanted a URL that the jobs "
            "can write, such as hf://buckets/USER/NAME/journals"
        )
    recipe = with_servers(recipe)
    require_variables(recipe, settings.secrets)
    return pack(recipe, (f"--journals={journals}", *own_options))


def submit_jobs(
    client: HubClient,
    bundle: str,
    parts: int,
    recipe: "Recipe",
    settings: JobSettings,
    report: Callable[[str], None],
) -> list[PartJob]:
    """Submit one job per part; a submission whose answer was lost is found again by its labels.

    Args:
        client: a client of the Hub, whose token the jobs get.
        bundle: see `job_bundle`.
        parts: number of parts.
        recipe: the recipe.
        settings: what the jobs are made of, and where they run.
        report: receives one line per job as soon as it is submitted: jobs are paid for, whatever follows.

    Raises:
        HubError: the Hub refuses the first job, or cannot be reached.
        LaunchError: some jobs were submitted before, and the message names them; or a setting is impossible.

    """
    spec = _specification(client, bundle, recipe, settings)
    launch, jobs = random_numbers.token_hex(6), list[PartJob]()
    for part in range(parts):
        labels = {"personagen": launch, "part": f"{part}-of-{parts}", "recipe": recipe.fingerprint()}
        words = [*SCRIPT[1:], f"--part={part}/{parts}"]
        try:
            jobs.append(_submit(client, part, words, spec | {"labels": labels}, report))
        except HubError as error:
            if not jobs:
                raise
            submitted = " ".join(f"{job.namespace}/{job.id}" for job in jobs)
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
    secrets = read_secrets(settings.secrets, client.api.token if isinstance(client.api.token, str) else None)
    hub, given = hub_variables(), settings.requirements
    shown = {"image": settings.image, "flavor": settings.flavor, "namespace": settings.namespace}
    options = {f"--{name}": value for name, value in (shown | {"timeout": settings.timeout}).items() if value}
    for option, text in (*options.items(), *hub.items(), *(("--requirement", text) for text in given)):
        require_public(option, text, secrets)
    dependencies = requirements_of(recipe, given)
    return {
        "dependencies": list(dependencies),
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "env": {VARIABLE: bundle, **hub},
        "secrets": secrets,
        "flavor": settings.flavor,
        "image": settings.image,
        "timeout": settings.timeout,
        "attempts": settings.retries + 1,
        "namespace": settings.namespace or client.with_retries("ask who you are", client.api.whoami)["name"],
    }


def _submit(
    client: HubClient, part: int, arguments: list[str], spec: Mapping[str, Any], report: Callable[[str], None]
) -> PartJob:
    """Submit the job of a part and report it; an end without an answer reports how to find the job."""
    unanswered = 0
    name = arguments[-1].removeprefix("--part=")

    def run() -> Any:
        nonlocal unanswered
        unanswered += 1
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # `huggingface_hub` calls it experimental at every call
                return client.api.run_uv_job(SCRIPT[0], script_args=arguments, **spec)
        except Exception as error:
            unanswered -= is_refusal(error)
            raise

    def recover() -> Any:
        return next(iter(client.api.list_jobs(labels=dict(spec["labels"]), namespace=spec["namespace"])), None)

    try:
        job = client.with_retries(f"submit the job of part {part}", run, recover=recover)
        report(f"part {name}: {job.url}")
    except BaseException:
        if unanswered:
            report(
                f"part {name}: its job may be submitted; list the jobs of this command by `hf jobs ps "
                f"--namespace {spec['namespace']} --label personagen={spec['labels']['personagen']}`"
            )
        raise
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
