"""Results and messages of the commands on their way to a terminal or a pipe."""

import json
from typing import Any

import click

from personagen.builder.core.foreign_text import environment_secrets, printable, redact_json


def show(text: object, *, err: bool = False) -> None:
    """Print text, line by line through `printable`; `err`: on stderr."""
    click.echo("\n".join(map(printable, str(text).split("\n"))), err=err)


def show_json(value: Any) -> None:
    """Print a value as one line of JSON in ASCII, without secrets of the environment."""
    click.echo(json.dumps(redact_json(value, environment_secrets())))
