"""Texts of a release: all of them, some of them in bounded memory, and the personas."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from personagen.builder.core.errors import ReleaseError
from personagen.builder.release.composition import attributes_of_all
from personagen.builder.release.texts import draw_texts, read_texts, stream_columns, stream_personas
from personagen.builder.report.rejected_replies import MAX_EXAMPLES_PER_REASON, draw_examples, read_rejects
from tests.helpers.releasing import manifest_of, rewrite


def repeated(table: pa.Table, times: int) -> pa.Table:
    """Return a table with its rows repeated, each with a text of its own of 3,000 characters."""
    rows = pa.concat_tables([table] * times)
    texts = pa.array([f"{number:07} " * 375 for number in range(len(rows))])
    return rows.set_column(rows.schema.get_field_index("text"), rows.schema.field("text"), texts)


def peak(read: Any) -> tuple[Any, int]:
    """Return a result, and the most bytes of Python objects that were in memory on the way."""
    tracemalloc.start()
    try:
        return read(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_drawn_texts_are_those_at_their_positions(release: Path) -> None:
    manifest = manifest_of(release)
    whole, numbers = read_texts(release, manifest), [0, 4, 5, 31, 69]
    drawn, taken = draw_texts(release, manifest, numbers), whole.take(numbers)
    assert (drawn.texts, drawn.labels, drawn.personas, drawn.rows) == (
        taken.texts, taken.labels, taken.personas, taken.rows,
    )  # fmt: skip
    assert draw_texts(release, manifest, []).texts == []


def test_columns_are_read_in_the_order_of_the_texts(release: Path) -> None:
    manifest = manifest_of(release)
    whole = read_texts(release, manifest)
    parts = list(stream_columns(release, manifest, ("text", "label", "no_column")))
    assert len(parts) > 7, "a part has the rows of one file at most"
    assert [text for part in parts for text in part["text"]] == whole.texts
    assert [label for part in parts for label in part["label"]] == whole.labels
    assert {value for part in parts for value in part["no_column"]} == {None}


def test_a_position_without_a_text_is_refused(release: Path) -> None:
    with pytest.raises(ReleaseError, match=r"has 70 texts, its manifest lists more; run its `generate` command again"):
        draw_texts(release, manifest_of(release), [3, 70])


def test_personas_have_the_layers_of_their_texts(release: Path) -> None:
    manifest = manifest_of(release)
    personas = dict(stream_personas(release, manifest))
    rows = read_texts(release, manifest).rows
    assert personas == {
        row["persona_id"]: {name: row[name] for name in ("demographic", "sociocultural")} for row in rows
    }


def test_personas_of_a_source_have_the_same_attributes_whatever_each_lacks() -> None:
    people = [{"age": None, "gender": "woman"}, {"age": 41, "gender": None}]
    personas = [{"demographic": {"work": None, **values}, "sociocultural": {}} for values in people]
    assert attributes_of_all([*personas, {"demographic": None}]) == [
        {"age": "not given", "gender": "woman"},
        {"age": "35-44", "gender": "not given"},
        {},
    ]


def test_memory_for_drawn_texts_is_a_small_part_of_that_for_all(release: Path, tmp_path: Path) -> None:
    folder = rewrite(release, tmp_path / "large", "joy/", lambda table: repeated(table, 1_000))
    manifest = manifest_of(folder)
    drawn, most = peak(lambda: draw_texts(folder, manifest, list(range(20, 40))))
    assert len(drawn.texts) == 20
    assert most < 10_000 * 3_000 / 20  # the texts of joy alone have 30 MB


def test_memory_for_examples_of_rejected_replies_does_not_grow_with_their_log(tmp_path: Path) -> None:
    line = {"id": "joy-0000001", "stage": "expression", "reason": "length", "attempt": 0, "text": "x" * 2_000}

    def of_size(lines: int) -> int:
        (tmp_path / "rejects.jsonl").write_text(f"{json.dumps(line)}\n" * lines, encoding="utf-8")
        examples, most = peak(lambda: draw_examples(lambda: read_rejects(tmp_path), 0))
        assert len(examples["length"]) == MAX_EXAMPLES_PER_REASON
        return most

    of_size(30)  # validators are built once
    assert of_size(3_000) < 1.5 * of_size(300)
