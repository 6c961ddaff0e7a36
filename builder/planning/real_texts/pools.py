"""The texts of a source that prompts may show, and their copy in the folder of a run."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from personagen.builder.core.errors import FolderError
from personagen.builder.core.files import explain, make_folder, write_text
from personagen.builder.planning.real_texts.terms import SourceTerms

COPY_SUFFIX = ".real-texts.json"
"""Suffix of a copy: a source with it is read as one."""

FORMAT = "personagen-real-texts/1"
"""Version of the layout of a copy."""


@dataclass(frozen=True, slots=True)
class PoolText:
    """A real text, on one line, and its position among the training texts of its source."""

    row: int
    text: str


@dataclass(frozen=True, slots=True)
class TextPool:
    """Texts of a source that prompts may show.

    Attributes:
        name: name of the source: of a file the file name, never the path.
        digest: 16 hex digits of the hash of all texts of the source.
        scope: hash of the settings that the pool depends on beside the source.
        texts: texts that are short enough for a prompt, by emotion, in the order of the source.
        barred: rows of texts that nearly repeat a text of another part of the source; no prompt shows them.
        terms: licence and attribution.

    """

    name: str
    digest: str
    scope: str
    texts: Mapping[str, Sequence[PoolText]]
    barred: frozenset[int]
    terms: SourceTerms

    def available(self, emotion: str) -> int:
        """Return the number of texts of an emotion that prompts may show."""
        return sum(text.row not in self.barred for text in self.texts.get(emotion, ()))

    def text_id(self, text: PoolText) -> str:
        """Return the id of a text in the provenance of a row: source and position, without spaces."""
        return re.sub(r"\s+", "_", f"{self.name}:{text.row}")


def write_copy(pool: TextPool, path: Path) -> None:
    """Write a pool to a file; `read_copy` returns an equal one.

    Raises:
        FolderError: the file cannot be written.

    """
    content = {
        "format": FORMAT,
        "name": pool.name,
        "digest": pool.digest,
        "scope": pool.scope,
        "terms": asdict(pool.terms),
        "barred": sorted(pool.barred),
        "texts": {emotion: [[text.row, text.text] for text in texts] for emotion, texts in pool.texts.items()},
    }
    try:
        make_folder(path.parent)
    except OSError as error:
        raise FolderError(f"cannot make {path.parent}: {explain(error)}") from error
    write_text(path, json.dumps(content, ensure_ascii=False) + "\n")


def read_copy(path: Path) -> TextPool | None:
    """Read a copy; None: there is none, or it is damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return _parsed_copy(content) if content["format"] == FORMAT else None
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _parsed_copy(content: Mapping[str, Any]) -> TextPool:
    return TextPool(
        str(content["name"]),
        str(content["digest"]),
        str(content["scope"]),
        {str(emotion): [PoolText(int(row), str(text)) for row, text in texts] for emotion, texts in
         content["texts"].items()},
        frozenset(map(int, content["barred"])),
        SourceTerms(**content["terms"]),
    )  # fmt: skip


def is_copy(source: str) -> bool:
    """Return whether a source is the path of a copy."""
    return source.endswith(COPY_SUFFIX)
