"""Replies in segments that no worker has written: each is named before a run uses it."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from personagen.builder.core.errors import FolderError
from personagen.builder.llm.storage.stored_replies import checksum_of
from tests.helpers.parts.made_segments import columns, join_all, rewritten, rows_of_replies, segment

FOREIGN_FIELDS: list[dict[str, Any]] = [
    {"problem": ["no"], "failed": True},
    {"problem": "no", "failed": "yes"},
    {"cut_at": "5"},
    {"cut_at": True},
    {"left_out": [{"a": 1}]},
    {"left_out": "abc"},
    {"answered_by": 5},
    {"model": ["fake-1"]},
    {"estimated": 1},
    {"thought_tokens": None},
    {"prompt_tokens": "3"},
    {"prompt_tokens": 10**400},
    {"completion_tokens": 2.0},
    {"candidates": [{"text": "Words.", "finish": None}]},
    {"candidates": [{"text": "Words.", "finish": "stop", "problem": {}}]},
    {"candidates": [{"text": "Words.", "finish": "stop", "mean_logprob": "0"}]},
    {"candidates": [{"text": "Words.", "finish": "stop", "first_logprobs": [0.5]}]},
]
"""Fields of a reply with values that no reply has: one to a request that failed, or any other."""


def write(folder: Path, fields: dict[str, Any]) -> None:
    """Write a segment, one of whose replies has other fields and a checksum that agrees with them."""
    first, *others = rows_of_replies(range(4))
    row = first._replace(reply=json.dumps(json.loads(first.reply) | fields).encode())
    rewritten(
        segment(folder, [first, *others]), table=pa.table(columns([row._replace(checksum=checksum_of(row)), *others]))
    )


@pytest.mark.parametrize("fields", FOREIGN_FIELDS, ids=lambda fields: json.dumps(fields)[:60])
def test_a_field_of_another_type_is_named_and_nothing_is_joined(tmp_path: Path, fields: dict[str, Any]) -> None:
    """Such a field would end the run that uses the reply, after all others were joined."""
    write(tmp_path / "segments", fields)
    with pytest.raises(FolderError, match="has a reply that is not as it was stored, with the key "):
        join_all(tmp_path / "segments", journal=tmp_path / "journal.sqlite")
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as database:
        assert database.execute("SELECT count(*) FROM replies").fetchone() == (0,)


def test_a_segment_whose_replies_have_their_types_is_joined(tmp_path: Path) -> None:
    write(tmp_path, {"problem": "no", "failed": True, "cut_at": 5, "answered_by": "other", "left_out": ["seed"]})
    assert join_all(tmp_path).merged.total == 4
