"""Entry point of the `personagen` command: its group, its errors and its exit codes.

A command parses its arguments, calls the package and prints the result. An expected failure is one line on stderr.
"""

import errno
import gc
import io
import logging
import os
import sys
from typing import NoReturn

import click

from personagen.builder.cli.commands.comparing import diff_command
from personagen.builder.cli.commands.exporting import export_command
from personagen.builder.cli.commands.filling import fill
from personagen.builder.cli.commands.generating import generate, plan, preview
from personagen.builder.cli.commands.launching import launch
from personagen.builder.cli.commands.matching import match_command
from personagen.builder.cli.commands.measure import audit, compare, encode, evaluate, report
from personagen.builder.cli.commands.prompts import prompts_command
from personagen.builder.cli.commands.publishing import inspect, push, push_metric, verify
from personagen.builder.cli.commands.starting import init_command
from personagen.builder.cli.commands.status import status
from personagen.builder.cli.output import show
from personagen.builder.cli.signals import CommandSignals, handled
from personagen.builder.core.errors import PersonaGenError
from personagen.builder.core.foreign_text import printable, quote
from personagen.builder.version import __version__

COLLECTION_THRESHOLD = 10_000
"""Objects made since the last search for cycles that start the next one, for `gc.set_threshold`."""

OUTPUT_ERRORS = (errno.EPIPE, errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EBADF, errno.EFBIG, errno.EAGAIN)
"""Errors of a standard output that cannot be written."""

PAYING_COMMANDS = ("generate", "fill", "evaluate", "compare", "match")
"""Commands that keep every paid reply in a journal on disk."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="personagen")
def cli() -> None:
    """Generate labelled emotional text from virtual personas, as a Hugging Face dataset."""


_COMMANDS = (
    *(generate, fill, plan, preview, inspect, push, verify, push_metric),
    *(evaluate, compare, match_command, audit, report, encode, export_command),
    *(diff_command, init_command, prompts_command, status),
    launch,
)
for command in _COMMANDS:
    cli.add_command(command)


def main(signals: CommandSignals | None = None) -> None:
    """Run the command; `signals` None: handle them with the default times.

    Exit codes: 1 after an expected failure, 2 after wrong usage, 130 after SIGINT (Ctrl-C), 143 after SIGTERM and 129
    after SIGHUP. The first signal lets the requests in flight be answered, a second one ends the command at once.
    """
    _replace_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # tests may have replaced it
            stream.reconfigure(errors="backslashreplace")
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    # A run makes many objects and few cycles: with the usual threshold of 700, looking for cycles took a tenth of it.
    gc.set_threshold(COLLECTION_THRESHOLD)
    # Arrow's own allocator holds 15 MB of freed memory in a run. Arrow reads this when it is imported, which is later.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    try:
        _run_command(signals or CommandSignals())
    except PersonaGenError as error:
        _fail(str(error), 1)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "personagen"
        _fail(f"{error.format_message()} (see `{command} --help`)", error.exit_code)
    except click.ClickException as error:
        _fail(error.format_message(), error.exit_code)
    except OSError as error:
        _fail_by_system(error)
    except (KeyboardInterrupt, click.Abort):  # raised by a caller in this process: signals end in `_run_command`
        _fail("interrupted", 130)


def _replace_closed_streams() -> None:
    """Open the null device for each standard stream that the parent process has closed, as some schedulers do.

    Otherwise the next file that is opened, such as the journal, would be the standard output or error of the process.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))


def _run_command(signals: CommandSignals) -> None:
    with handled(signals):
        try:
            cli.main(standalone_mode=False)
            sys.stdout.flush()
        except BaseException:  # also an error that the signal led to, such as a write to a closed terminal
            if signals.received:
                name = next((word for word in sys.argv[1:] if word in cli.commands), None)
                signals.end(keeps_replies=name in PAYING_COMMANDS, continues=name in (*PAYING_COMMANDS, "push"))
            raise


def _fail_by_system(error: OSError) -> NoReturn:
    reason = (error.strerror or str(error)).lower()
    if error.filename is not None:  # errors of streams have none
        _fail(f"cannot use {quote(os.fsdecode(error.filename))}: {reason}; check the path and run the command again", 1)
    if error.errno not in OUTPUT_ERRORS:
        _fail(f"the system refuses a call: {reason}; run the command again", 1)
    # The rest of the buffer is discarded, or the interpreter reports the error a second time when it exits.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    _fail(f"cannot write the output: {reason}", 1)


def _fail(message: str, code: int) -> NoReturn:
    show(f"personagen: {printable(message)}", err=True)
    sys.exit(code)
