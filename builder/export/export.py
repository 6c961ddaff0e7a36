"""Write the splits of a release in the form of another tool, one file per split."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from personagen.builder.core.errors import FolderError, RecipeError, ReleaseError
from personagen.builder.core.files import explain, make_folder, real_path, require_usable_name, write_bytes, write_text
from personagen.builder.core.records import LAYERS, SPLITS
from personagen.builder.export.annotation import labelstudio_interface, labelstudio_tasks
from personagen.builder.export.chat import messages, preference
from personagen.builder.export.evaluation_sets import inspect_samples, promptfoo_config, promptfoo_tests
from personagen.builder.export.rejected import rejected_texts
from personagen.builder.export.rows import ExportedSplit
from personagen.builder.export.tabular import csv_lines, json_lines, setfit_lines
from personagen.builder.planning.suggestions import did_you_mean
from personagen.builder.release.folder import check_release, is_release

Content = Callable[[ExportedSplit], Iterator[str]]
"""Makes the content of a split's file, in parts."""


@dataclass(frozen=True, slots=True)
class ExportForm:
    """A form of another tool.

    Attributes:
        suffix: suffix of the files.
        content: makes the content of the file of a split.
        of_texts: whether only tables of texts have the form.
        more: further files, by name: made from the test split, or from the first one.

    """

    suffix: str
    content: Content
    of_texts: bool = True
    more: Mapping[str, Callable[[ExportedSplit], str]] = field(default_factory=dict)


FORMS: Mapping[str, ExportForm] = {
    "csv": ExportForm("csv", csv_lines, of_texts=False),
    "jsonl": ExportForm("jsonl", json_lines, of_texts=False),
    "messages": ExportForm("jsonl", messages),
    "setfit": ExportForm("jsonl", setfit_lines),
    "labelstudio": ExportForm("json", labelstudio_tasks, more={"interface.xml": labelstudio_interface}),
    "promptfoo": ExportForm("json", promptfoo_tests, more={"promptfooconfig.yaml": promptfoo_config}),
    "inspect": ExportForm("jsonl", inspect_samples),
}
"""Forms by name, but for `PREFERENCE`, which needs the run folder."""

PREFERENCE = "preference"
"""Form of accepted and rejected texts of the same row."""

NAMES = ("csv", "jsonl", "messages", PREFERENCE, "setfit", "labelstudio", "promptfoo", "inspect")
"""Names of all forms of one file per split."""


@dataclass(frozen=True, slots=True)
class ExportResult:
    """Files of an export.

    Attributes:
        to: form of the files.
        path: their folder; of "table", the file.
        files: paths of the files.
        rows: number of rows, or of pairs of texts, by split.
        note: fact that users should know; None: none.

    """

    to: str
    path: Path
    files: tuple[Path, ...]
    rows: Mapping[str, int]
    note: str | None = None


def export(
    folder: Path,
    to: str,
    *,
    config: str = "all",
    split: str | None = None,
    out: Path | None = None,
    force: bool = False,
) -> ExportResult:
    """Write the rows of a configuration in the form of another tool, one file per split.

    Args:
        folder: the release; its files are checked against the manifest first.
        to: name of the form, one of `NAMES`.
        config: configuration to write.
        split: split to write. None: every split.
        out: folder of the files, created if it is missing. None: RELEASE-FORM beside the release.
        force: whether to replace the files of an earlier export.

    Raises:
        RecipeError: there is no such form.
        ReleaseError: the folder is no release or was altered, has no such configuration or split, or lacks what the
            form needs.
        FolderError: files of an earlier export are there, or the folder cannot be written.

    """
    if to not in NAMES:
        raise RecipeError(f"no form {to!r:.80}{did_you_mean(to, NAMES)}; known: {', '.join((*NAMES, 'table'))}")
    folder = folder if folder.name not in ("", "..") else real_path(folder)
    manifest = check_release(folder)
    splits = _chosen_splits(manifest, config, split)
    rejected = rejected_texts(folder, manifest["fingerprint"]) if to == PREFERENCE else None
    form = FORMS[to] if rejected is None else ExportForm("jsonl", partial(preference, rejected=rejected))
    if form.of_texts and config in LAYERS:
        raise ReleaseError(f"{config} is a table without texts, which --to {to} needs; leave --config out, or use csv")
    target = folder.with_name(f"{folder.name}-{to}") if out is None else out
    _require_free(target, [*(f"{name}.{form.suffix}" for name in SPLITS), *form.more], force=force)
    parts = [ExportedSplit(folder, manifest, config, name) for name in splits]
    counts = {part.split: _write(target / f"{part.split}.{form.suffix}", form.content(part)) for part in parts}
    if not any(counts.values()):
        raise ReleaseError(f"no row of {config} has a rejected text to prefer its own to; use --to messages")
    for name, content in form.more.items():
        write_text(target / name, content(parts[-1] if splits[-1] == "test" else parts[0]))
    files = [*(f"{name}.{form.suffix}" for name, count in counts.items() if count), *form.more]
    rows = counts if rejected else {name: manifest["configs"][config]["rows"][name] for name in splits}
    note = None if rejected is None else f"{rejected.rows_with_one} of {rejected.rows} rows have a rejected text"
    return ExportResult(to, target, tuple(target / name for name in files), rows, note)


def _chosen_splits(manifest: Mapping[str, Any], config: str, split: str | None) -> list[str]:
    """Return the splits to write. Raises ReleaseError if the release lacks the configuration or the split."""
    configs = manifest["configs"]
    if config not in configs:
        raise ReleaseError(f"no configuration {config!r:.80}{did_you_mean(config, configs)}; has: {', '.join(configs)}")
    splits = list(configs[config]["rows"])
    if split is not None and split not in splits:
        raise ReleaseError(f"{config} has no split {split!r:.80}; has: {', '.join(splits)}")
    return splits if split is None else [split]


def _require_free(target: Path, names: Sequence[str], *, force: bool) -> None:
    """Create a folder; remove files of an earlier export from it, or raise FolderError if it may not.

    A file of a split that is not written now would be read as part of the new export.
    """
    require_usable_name(target)
    if is_release(target):
        raise FolderError(f"{target} is a release; choose another folder with --out")
    try:
        make_folder(target)
        earlier = [target / name for name in names if os.path.lexists(target / name)]
        if earlier and not force:
            raise FolderError(f"{earlier[0]} exists; replace it with --force, or choose another folder with --out")
        for path in earlier:
            path.unlink()
    except OSError as error:
        raise FolderError(f"cannot write {target}: {explain(error)}") from error


def _write(path: Path, parts: Iterator[str]) -> int:
    """Write a file, and return the number of its parts; without any, no file is written."""
    first = next(parts, None)
    if first is None:
        return 0
    count = 0

    def encoded() -> Iterator[bytes]:
        nonlocal count
        for part in chain([first], parts):
            count += 1
            yield part.encode("utf-8")

    try:
        write_bytes(path, encoded())
    except OSError as error:
        raise FolderError(f"cannot write {path}: {explain(error)}") from error
    return count
