"""Commands that start `personagen fill` for every part of a run: `launch local`, `slurm`, `hf-jobs` and `ray`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from personagen.builder.cli.options import BUDGET, RECIPE, WRITING, options, read_key, read_options
from personagen.builder.cli.output import show, show_json

if TYPE_CHECKING:  # imported on use: `--help` does not need them
    from personagen.builder.launch.commands import PartCommands
    from personagen.builder.planning.recipe import Recipe

OWN = ("per_worker", "ship_every", "accept_lost_replies")
"""Options of `fill` alone that are passed on as they are."""

CONTINUE = "run the same command to continue"
"""Advice where a command starts parts again that are incomplete."""

RECIPE_OPTIONS = frozenset(name.removeprefix("--").replace("-", "_") for name in (*RECIPE, *WRITING, *BUDGET, "--rows"))
"""Parameters that override the recipe."""

PARTS = click.option(
    "-n", "--parts", type=click.IntRange(1, 10_000), required=True, help="Number of parts that the run is divided into."
)
WORK = click.option(
    "--work", type=click.Path(path_type=Path), help="Folder for the workers' own journals, on a local disk."
)
RETRIES = click.option(
    "--retries", type=click.IntRange(0), default=2, show_default=True, help="Further tries of a part that is killed."
)
CPUS = click.option(
    "--cpus-per-part", type=click.FloatRange(0), default=1, show_default=True, help="Processors of each part."
)
GPUS = click.option("--gpus-per-part", type=click.FloatRange(0), default=0, help="GPUs of each part.")


def _parts_of_a_run(command: Any) -> Any:
    """Add the recipe, its options, and those that all launchers have."""
    command = options("--journals=", "--ship-every", "--per-worker", "--accept-lost-replies")(command)
    return options(*RECIPE, *WRITING, "--rows", *BUDGET)(PARTS(command))


@click.group()
def launch() -> None:
    """Start `personagen fill` for every part of a run, by an engine.

    Afterwards `personagen generate RECIPE --journals URL` writes the release.
    """


@launch.command()
@_parts_of_a_run
@WORK
@options("--api-key-file")
@RETRIES
@options("--json")
def local(recipe: Path | None, parts: int, journals: str, retries: int, as_json: bool, **values: Any) -> None:
    """Fill the parts by processes of this machine; the same command continues.

    The first interrupt lets the workers ship their replies, a second one ends them. SIGUSR1 makes them ship at once.
    """
    commands, _ = _checked(recipe, parts, journals, values)
    from personagen.builder.launch.commands import process_words
    from personagen.builder.launch.local import run_local

    words = [process_words(arguments) for arguments in commands.fill_all()]
    _show_end(commands, run_local(words, retries=retries, report=_report), as_json=as_json)


@launch.command()
@_parts_of_a_run
@WORK
@options("--api-key-file")
@RETRIES
@CPUS
@GPUS
@click.option("--address", metavar="ADDRESS", help="Address of a Ray cluster, or auto; without it one is started here.")
@options("--json")
def ray(recipe: Path | None, parts: int, journals: str, as_json: bool, **values: Any) -> None:
    """Fill the parts by tasks of Ray, on a cluster or on this machine; the same command continues."""
    chosen = {name: values.pop(name) for name in ("address", "cpus_per_part", "gpus_per_part", "retries")}
    commands, _ = _checked(recipe, parts, journals, values)
    from personagen.builder.launch.ray_tasks import RaySettings, run_ray

    _show_end(commands, run_ray(commands.fill_all(), RaySettings(**chosen), _report), as_json=as_json)


@launch.command()
@_parts_of_a_run
@WORK
@options("--api-key-file")
@click.option("--cpus-per-part", type=click.IntRange(1), default=1, show_default=True, help="Processors of each task.")
@click.option("--gpus-per-part", type=click.IntRange(0), default=0, help="GPUs of each task.")
@click.option("--at-most", type=click.IntRange(1), metavar="N", help="Number of tasks that run at once.")
@click.option("--time", metavar="TIME", help="Time limit of a task, such as 12:00:00; it is requeued before.")
@click.option("--mem", metavar="SIZE", help="Memory of a task, such as 16G.")
@click.option("--partition", metavar="NAME", help="Partition of the cluster.")
@click.option(
    "--name", metavar="NAME", default="personagen", show_default=True, help="Name of the job and of its logs."
)
@click.option("--sbatch", metavar="OPTION", multiple=True, help="Further option of sbatch, such as --account=NAME.")
@click.option(
    "--grace", "grace_s", type=click.IntRange(10, 65535), default=120, show_default=True,
    metavar="SECONDS", help="Time before the limit at which a worker ships its replies and is requeued.",
)  # fmt: skip
@click.option(
    "--python", metavar="PATH", default=sys.executable, help="Python of the tasks; that of this command by default."
)
@click.option(
    "--setup", metavar="LINE", multiple=True, help="Line of shell that runs first, such as 'module load cuda'."
)
@click.option(
    "--server", metavar="COMMAND", help="Server that each task starts, such as 'vllm serve MODEL --port {port}'."
)
@click.option(
    "--server-wait", "server_wait_s", type=click.IntRange(1), default=1800, show_default=True,
    metavar="SECONDS", help="Time that a server has until it answers.",
)  # fmt: skip
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("personagen.sbatch"),
    show_default=True,
    help="Script to write.",
)
@click.option("--submit", "submits", is_flag=True, help="Submit the script by sbatch.")
@click.option(
    "--join", type=click.Path(path_type=Path), metavar="FOLDER",
    help="With --submit, also submit the job that writes the release to this folder once all parts are complete.",
)  # fmt: skip
@options("--json")
def slurm(recipe: Path | None, parts: int, journals: str, out: Path, as_json: bool, **values: Any) -> None:
    """Write an array script of Slurm, one task per part, and submit it where asked."""
    from personagen.builder.launch.slurm import SlurmSettings, render_script, submit, submit_join, write_script

    submits, join = values.pop("submits"), values.pop("join")
    chosen = {name: values.pop(name) for name in SlurmSettings.__dataclass_fields__ if name in values}
    if chosen["server"] is not None and values["base_url"] is not None:
        raise click.UsageError("--server and --base-url exclude each other: a worker uses the server of its task")
    if join is not None and not submits:
        raise click.UsageError("--join is submitted after the array; add --submit")
    commands, _ = _checked(recipe, parts, journals, values)
    chosen["join"] = str((join or Path("personagen")).absolute())
    write_script(out, render_script(commands, SlurmSettings(**chosen)))
    facts: dict[str, Any] = {"script": str(out), "journals": commands.journals, "parts": parts}
    if submits:
        facts["job"] = submit(out)
        show(f"submitted: job {facts['job']}, {parts} parts", err=True)
    if join is not None:
        facts["join"] = submit_join(out, facts["job"])
        show(f"submitted: job {facts['join']} writes the release to {join}", err=True)
    show_json(facts) if as_json else show(facts.get("job", out))


@launch.command("hf-jobs")
@_parts_of_a_run
@click.option("--flavor", metavar="NAME", default="cpu-basic", show_default=True, help="Hardware of each job.")
@click.option("--namespace", metavar="NAME", help="User or organization of the jobs; that of the token by default.")
@click.option(
    "--requirement", "requirements", metavar="PACKAGE", multiple=True,
    help="What the jobs install, as a package, git URL or URL of a wheel; by default the same as here.",
)  # fmt: skip
@click.option("--secret", "secrets", metavar="NAME", multiple=True, help="Environment variable that the jobs get.")
@click.option("--image", metavar="IMAGE", help="Container image with uv; the Hub's own by default.")
@click.option("--timeout", metavar="TIME", help="Time limit of a job, such as 12h.")
@RETRIES
@click.option("--wait", "waits", is_flag=True, help="Wait for the jobs, and show the last lines of those that fail.")
@options("--token", "--json")
def hf_jobs(recipe: Path | None, parts: int, journals: str, waits: bool, as_json: bool, **values: Any) -> None:
    """Fill the parts by Hugging Face Jobs; journals are a URL that jobs can write.

    The jobs get HF_TOKEN and each --secret by name, as secrets of the Hub. The recipe travels with its templates.
    """
    from personagen.builder.launch.hf_jobs import JobSettings, job_bundle, submit_jobs, wait_for

    token = values.pop("token")
    chosen = {name: values.pop(name) for name in JobSettings.__dataclass_fields__}
    settings = JobSettings(**chosen)
    commands, parsed = _checked(recipe, parts, journals, values)
    bundle = job_bundle(parsed, journals, commands.own_options, settings)
    from personagen.builder.hub.client import connect

    client = connect(token)
    jobs = submit_jobs(client, bundle, parts, parsed, settings, _report)
    if waits:
        try:
            codes = wait_for(client, jobs, _report)
        except (KeyboardInterrupt, SystemExit):
            show("the jobs go on; see `hf jobs ps`", err=True)
            raise
        advice = "run the same command again: jobs continue from the replies that were shipped"
        _show_end(commands, codes, advice, as_json=as_json)
        return
    facts = [{"part": job.part, "id": job.id, "url": job.url} for job in jobs]
    show_json({"journals": journals, "jobs": facts}) if as_json else show("\n".join(job.url for job in jobs))


def _checked(recipe: Path | None, parts: int, journals: str, values: dict[str, Any]) -> "tuple[PartCommands, Recipe]":
    """Return the command lines of the parts and the recipe; errors that all parts would meet are found here."""
    parsed = read_options(recipe, {name: value for name, value in values.items() if name in RECIPE_OPTIONS})
    read_key(values.get("api_key_file"))
    from personagen.builder.launch.commands import make_commands

    shared = _given((*RECIPE_OPTIONS, "api_key_file"))
    return make_commands(recipe, parts, journals, shared, _given(OWN), values.get("work")), parsed


def _given(names: Sequence[str]) -> list[str]:
    """Return the options of the current call among those of these names, each in one word, with absolute paths."""
    context = click.get_current_context()
    words = []
    for parameter in context.command.params:
        name = parameter.name or ""
        is_given = context.get_parameter_source(name) not in (ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP)
        if name not in names or not is_given:
            continue
        value = context.params[name]
        if isinstance(value, bool):
            words += [parameter.opts[0]] if value else []
            continue
        is_file = isinstance(value, Path) or (name == "style" and Path(value).is_file())
        words.append(f"{parameter.opts[0]}={Path(value).absolute() if is_file else value}")
    return words


def _report(line: str) -> None:
    show(line, err=True)


def _show_end(commands: "PartCommands", codes: Sequence[int | None], advice: str = CONTINUE, *, as_json: bool) -> None:
    from personagen.builder.launch.commands import require_complete

    require_complete(codes, advice)
    show(f"{commands.parts} parts, complete: {commands.journals}", err=True)
    facts = {"journals": commands.journals, "parts": commands.parts}
    show_json(facts) if as_json else show(commands.journals)
