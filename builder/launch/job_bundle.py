"""What a job on other people's machines needs: the recipe with the files that it names, in one environment variable.

`python -m personagen.builder.launch.job_bundle --part=I/N` in the job writes the files and becomes `personagen fill`.
"""

import base64
import json
import os
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personagen.builder.core.errors import LaunchError
from personagen.builder.core.files import make_folder, write_bytes
from personagen.builder.core.foreign_text import environment_secrets, holds_secret, quote
from personagen.builder.launch.commands import process_words

if TYPE_CHECKING:  # a job reads no recipe here
    from personagen.builder.planning.recipe import Recipe

VARIABLE = "PERSONAGEN_JOB"
"""Environment variable of a job that holds its bundle."""

RECIPE_NAME = "recipe.yaml"
"""Name of the recipe in a bundle."""

MAX_BUNDLE_CHARS = 120_000
"""Upper bound on a bundle in characters: Linux has 131,072 bytes for one variable of an environment."""


def pack(recipe: "Recipe", arguments: tuple[str, ...]) -> str:
    """Return the bundle of a recipe and the files that it names.

    Args:
        recipe: the recipe, with the options of the command line.
        arguments: arguments of `personagen fill` other than the recipe and its options.

    Raises:
        LaunchError: the recipe names data of this machine, holds a secret, or is too long.

    """
    from personagen.builder.planning.recipe.recipe_files import with_copies

    with tempfile.TemporaryDirectory(prefix="personagen-") as name:
        folder = Path(name)
        data = with_copies(recipe, folder).model_dump(mode="json", exclude_unset=True)
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        text = json.dumps(_relative(data, f"{folder}{os.sep}"))
    if local := [value for value in _strings(json.loads(text)) if os.path.isabs(value)]:  # noqa: PTH117 - often no path
        raise LaunchError(
            f"the recipe names {quote(local[0], limit=300)}, which is on this machine, and a job is not; name a "
            "dataset of the Hub"
        )
    if holds_secret(text, environment_secrets()):
        raise LaunchError("the recipe holds the value of a secret environment variable; write ${NAME} in its place")
    content = {RECIPE_NAME: text.encode(), **files}
    encoded = {name: base64.b64encode(value).decode() for name, value in sorted(content.items())}
    bundle = base64.b64encode(zlib.compress(json.dumps({"files": encoded, "arguments": arguments}).encode(), 9))
    if len(bundle) > MAX_BUNDLE_CHARS:
        raise LaunchError(
            f"the recipe and its files take {len(bundle):,} characters in a job's environment, wanted at most "
            f"{MAX_BUNDLE_CHARS:,}; name shorter files"
        )
    return bundle.decode()


def unpack(bundle: str, folder: Path) -> tuple[str, ...]:
    """Write the files of a bundle to a folder; return the arguments of `personagen` that fill a part with them."""
    content = json.loads(zlib.decompress(base64.b64decode(bundle)))
    for name, value in content["files"].items():
        make_folder((folder / name).parent)
        write_bytes(folder / name, [base64.b64decode(value)])
    return ("fill", str(folder / RECIPE_NAME), *content["arguments"])


def _relative(value: Any, prefix: str) -> Any:
    if isinstance(value, str):
        return value.removeprefix(prefix)
    if isinstance(value, list):
        return [_relative(part, prefix) for part in value]
    if isinstance(value, dict):
        return {_relative(key, prefix): _relative(part, prefix) for key, part in value.items()}
    return value


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for part in value:
            yield from _strings(part)
            if isinstance(value, dict):
                yield from _strings(value[part])


def main() -> None:
    """Become the process of a part: its signals and its exit code are those of the job."""
    arguments = unpack(os.environ.pop(VARIABLE), Path(tempfile.mkdtemp(prefix="personagen-")))
    os.execv(sys.executable, process_words((*arguments, *sys.argv[1:])))  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
