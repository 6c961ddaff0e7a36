"""Segments that are joined: in any order and however often, and each fault is named in one line."""

import json
import random
import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from personagen.builder.core.errors import FolderError
from personagen.builder.llm.journal_only import ModelIdentity
from personagen.builder.llm.storage.stored_replies import StoredReply, checksum_of
from personagen.builder.segments.segment import parse_name
from tests.helpers.parts.made_segments import (
    ORIGIN,
    columns,
    join_all,
    reply_of,
    rewritten,
    rows_of_replies,
    segment,
    set_in,
    with_digest,
)

LEAVE_OUT = "or leave it out and pay for its replies again with --accept-lost-replies"


def stored_in(journal: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(journal)) as database:
        return database.execute("SELECT * FROM replies ORDER BY key").fetchall()


def refusal(folder: Path, **rules: Any) -> str:
    """Return the line by which a folder of segments is refused, and check that it is one."""
    with pytest.raises(FolderError) as caught:
        join_all(folder, **rules)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_the_union_depends_on_no_order_and_no_repetition(tmp_path: Path) -> None:
    """The same replies in segments of other sizes and workers, some twice, and two replies to one request."""
    rows = rows_of_replies(range(40)) + rows_of_replies(range(30, 40), "Other words of {}.")
    journals = []
    for seed in range(6):
        rng, folder = random.Random(seed), tmp_path / str(seed)
        shuffled = rng.sample(rows, len(rows)) + rng.sample(rows, 10)
        cuts = sorted(rng.sample(range(1, len(shuffled)), 5))
        for order, (start, end) in enumerate(zip([0, *cuts], [*cuts, len(shuffled)], strict=True)):
            worker = f"{rng.randrange(16**12):012x}"
            segment(folder, shuffled[start:end], f"{rng.randrange(4)}/4", worker=worker, order=order)
        joined = join_all(folder, folder / "journal.sqlite")
        assert (joined.merged.total, joined.merged.new, joined.doubled) == (40, 40, ())
        again = join_all(folder, folder / "journal.sqlite")
        assert (again.merged.total, again.merged.new, again.merged.collections) == (40, 0, 0)
        journals.append(stored_in(folder / "journal.sqlite"))
    assert all(journal == journals[0] for journal in journals)


@pytest.mark.parametrize("size", [0, 1, 3, 200, -1])
def test_a_cut_segment_is_named(tmp_path: Path, size: int) -> None:
    path = segment(tmp_path, rows_of_replies(range(4)))
    path.write_bytes(path.read_bytes()[:size])
    message = refusal(tmp_path)
    assert message.startswith(f"segment '{path.name}' in {tmp_path} was cut or altered")
    assert "remove it and run part 0/4 again on the machine that wrote it, which ships it anew, " + LEAVE_OUT in message


def test_a_flipped_bit_is_named_wherever_it_is(tmp_path: Path) -> None:
    path = segment(tmp_path, rows_of_replies(range(4)))
    whole = path.read_bytes()
    for position in random.Random(0).sample(range(len(whole)), 300):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1 << position % 8]) + whole[position + 1 :])
        message = refusal(tmp_path)
        assert message.startswith(f"segment '{path.name}' in {tmp_path} "), position
        assert message.endswith(LEAVE_OUT), position


@pytest.mark.slow
def test_a_flipped_bit_is_named_in_every_seventh_byte(tmp_path: Path) -> None:
    path = segment(tmp_path, rows_of_replies(range(4)))
    whole = path.read_bytes()
    for position in range(0, len(whole), 7):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1 << position % 8]) + whole[position + 1 :])
        assert refusal(tmp_path).endswith(LEAVE_OUT), position


def test_a_damaged_segment_can_be_left_out(tmp_path: Path) -> None:
    segment(tmp_path, rows_of_replies(range(4)))
    path = segment(tmp_path, rows_of_replies(range(4, 8)), "1/4")
    path.write_bytes(path.read_bytes()[:-9])
    warnings: list[str] = []
    joined = join_all(tmp_path, warn=warnings.append, accept_lost_replies=True)
    assert joined.merged.total == 4 and len(joined.files) == 1
    (line,) = warnings
    assert path.name in line and line.endswith("; it is left out, and its replies are requested again")


@pytest.mark.parametrize("copy", ["copy of {}.parquet", "{} (1).parquet", "{}-1.parquet"])
def test_a_doubled_segment_is_joined_once(tmp_path: Path, copy: str) -> None:
    path = segment(tmp_path, rows_of_replies(range(4)))
    double = tmp_path / copy.format(path.stem)
    shutil.copy(path, double)
    joined = join_all(tmp_path)
    assert joined.merged.total == joined.merged.replies == 4
    assert {*joined.files, *joined.doubled} == {path.name, double.name} and len(joined.files) == 1


def test_a_whole_copy_stands_for_a_damaged_segment(tmp_path: Path) -> None:
    path = segment(tmp_path, rows_of_replies(range(4)))
    shutil.copy(path, tmp_path / f"{path.stem} (1).parquet")
    for damaged in (b"", path.read_bytes()[:-1], path.read_bytes()[:300] + b"\0" + path.read_bytes()[301:]):
        path.write_bytes(damaged)
        assert join_all(tmp_path).merged.total == 4


def test_a_segment_with_the_name_of_another_part_is_named(tmp_path: Path) -> None:
    path = segment(tmp_path, rows_of_replies(range(4)), "1/4")
    for old, new in (("00001-of", "00002-of"), ("of-00004", "of-00008"), (".00000.", ".00007."), ("a" * 12, "b" * 12)):
        renamed = path.rename(path.with_name(path.name.replace(old, new)))
        message = refusal(tmp_path)
        assert message == (f"segment '{renamed.name}' in {tmp_path} was renamed: give it its name back, '{path.name}'")
        renamed.rename(path)


def test_a_segment_with_a_name_of_no_segment_is_named(tmp_path: Path) -> None:
    segment(tmp_path, rows_of_replies(range(4)))
    path = segment(tmp_path, rows_of_replies(range(4, 8)), "1/4")
    path.rename(tmp_path / "backup.parquet")
    message = refusal(tmp_path)
    wanted = rf"segment 'backup\.parquet' in .* was renamed: give it its name back, 'part-00001-of-00004\.{'a' * 12}.*"
    assert re.fullmatch(wanted, message)


def test_foreign_files_are_left_out_and_tables_among_them_are_named(tmp_path: Path) -> None:
    path = segment(tmp_path, rows_of_replies(range(4)))
    for number in range(5):
        pq.write_table(pa.table({"text": ["a"]}), tmp_path / f"train-{number}.parquet")
    (tmp_path / "README.md").write_text("Journals.")
    (tmp_path / f"{path.name}.part").write_bytes(b"PAR1")  # another worker is writing it
    (tmp_path / f".{path.name}").write_bytes(b"PAR1")
    (tmp_path / "folder.parquet").mkdir()
    warnings: list[str] = []
    joined = join_all(tmp_path, warn=warnings.append)
    assert joined.files == (path.name,) and joined.merged.total == 4
    assert warnings == [
        f"{tmp_path} has files that are no segments and are left out: 'train-0.parquet', 'train-1.parquet', "
        "'train-2.parquet' and 2 more"
    ]


@pytest.mark.parametrize(
    ("origin", "reason"),
    [
        (
            replace(ORIGIN, fingerprint="f" * 16, recipe={"rows": 15}),
            "is of another recipe: .*rows.*; name another folder, or join its replies with generate --reuse",
        ),
        (
            replace(ORIGIN, personagen="99.1.0"),
            r"is of PersonaGen '99\.1\.0', this is 0\.1\.0; install that version",
        ),
        (
            replace(ORIGIN, material="other"),
            r"is of other prompts, tables or personas, by PersonaGen '0\.1\.0': its replies answer other requests; use "
            "the version and the files that it was written with",
        ),
        (
            replace(ORIGIN, models=(ModelIdentity("openai", "fake-2"),)),
            "has replies of 'openai fake-2', wanted openai fake-1; use the same model, revision and body on every "
            "machine, or name another folder with --journals",
        ),
        (
            replace(ORIGIN, models=(ModelIdentity("openai", "fake-1", revision="abc"),)),
            "has replies of 'openai fake-1 at revision abc', wanted openai fake-1; .*",
        ),
        (
            replace(ORIGIN, models=(ModelIdentity("openai", "fake-1", variant={"top_k": 1}),)),
            "has replies of 'openai fake-1', wanted openai fake-1; use the same model, revision and body .*",
        ),
    ],
)
def test_a_segment_of_another_run_is_named_before_a_reply_is_joined(tmp_path: Path, origin: Any, reason: str) -> None:
    segment(tmp_path, rows_of_replies(range(4)))
    path = segment(tmp_path, rows_of_replies(range(4, 8)), "1/4", origin=origin)
    message = refusal(tmp_path, journal=tmp_path / "journal.sqlite")
    assert re.fullmatch(rf"segment '{path.name}' in {tmp_path} {reason}", message)
    assert not (tmp_path / "journal.sqlite").exists()


def test_an_altered_header_of_another_run_is_reported_as_damage(tmp_path: Path) -> None:
    path = segment(tmp_path, rows_of_replies(range(4)))
    path.write_bytes(path.read_bytes().replace(b"0123456789abcdef", b"0123456789abcdee"))
    assert "was cut or altered: its SHA-256 is not that of its name" in refusal(tmp_path)


def test_segments_of_other_licences_and_older_versions_belong_to_the_run(tmp_path: Path) -> None:
    licensed = replace(ORIGIN, models=(ModelIdentity("openai", "fake-1", licence="MIT"),), personagen="0.0.9")
    segment(tmp_path, rows_of_replies(range(4)), origin=licensed)
    assert join_all(tmp_path).merged.total == 4


def test_replies_of_another_recipe_are_taken_where_asked(tmp_path: Path) -> None:
    segment(tmp_path, rows_of_replies(range(4)), origin=replace(ORIGIN, fingerprint="f" * 16, material="other"))
    assert join_all(tmp_path, any_recipe=True).merged.total == 4


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("work", "sealed"), float("nan")),
        (("work", "began"), float("-inf")),
        (("work", "sealed"), 1e300),
        (("work", "cost"), float("nan")),
        (("work", "replies"), -1),
        (("work", "replies"), 10**400),
        (("work", "state"), "\x1b[31mdone"),
        (("work", "host"), None),
        (("work",), "none"),
        (("origin", "models"), [{"backend": 5}]),
        (("origin", "models"), {}),
        (("origin", "recipe"), []),
        (("part",), {"number": 4, "of": 4}),
        (("part",), {"number": 0, "of": 0}),
        (("order",), "first"),
        (("worker",), None),
        (("format",), None),
    ],
)
def test_a_hostile_header_is_named(tmp_path: Path, keys: tuple[str, ...], value: Any) -> None:
    path = rewritten(segment(tmp_path, rows_of_replies(range(4))), lambda header: set_in(header, keys, value))
    message = refusal(tmp_path)
    assert message.startswith(f"segment '{path.name}' in {tmp_path} ") and message.isprintable()
    assert len(message) < 600


def test_a_header_of_another_format_is_named(tmp_path: Path) -> None:
    rewritten(
        segment(tmp_path, rows_of_replies(range(4))), lambda header: set_in(header, ["format"], "personagen-segment/2")
    )
    assert re.search(
        "has the format 'personagen-segment/2', this version reads 'personagen-segment/1'; use the version of "
        "PersonaGen that wrote it",
        refusal(tmp_path),
    )


def deep(levels: int) -> bytes:
    return b'{"a":' * levels + b"1" + b"}" * levels


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (None, "has no header of a segment"),
        (b"\xff\xfe", "cut or altered"),
        (b"[]", "has no header of a segment"),
        (deep(100_000), "has a header that is nested too deep|cut or altered"),
        (b'"' + b"x" * 9 * 2**20 + b'"', "was cut or altered: it states [0-9,]+ bytes of metadata"),
    ],
)
def test_a_file_without_a_header_is_named(tmp_path: Path, header: bytes | None, reason: str) -> None:
    path = segment(tmp_path, rows_of_replies(range(4)))
    metadata = {} if header is None else {b"personagen_segment": header}
    pq.write_table(pq.read_table(path).replace_schema_metadata(metadata), path)
    with_digest(path)
    assert re.search(reason, refusal(tmp_path))


ROWS = rows_of_replies(range(4))


def answered(reply: bytes) -> list[StoredReply]:
    """Return the rows with another reply, and its checksum."""
    rows = [row._replace(reply=reply) for row in ROWS]
    return [row._replace(checksum=checksum_of(row)) for row in rows]


NO_REPLIES = answered(b"{}")
BAD_ROWS = answered(b'{"candidates": [{"text": 5, "finish": "stop"}]}')

TABLES: list[tuple[str, Callable[[], pa.Table]]] = [
    ("has other columns than a segment", lambda: pa.table({"key": ["a"]})),
    ("has other columns than a segment", lambda: pa.table(dict(columns(ROWS)) | {"reply": pa.array([1, 2, 3, 4])})),
    ("has other columns than a segment", lambda: pa.table(dict(columns(ROWS)) | {"more": pa.array([1, 2, 3, 4])})),
    (
        "has other columns than a segment",
        lambda: pa.table(dict(columns(ROWS)) | {"prompt_tokens": pa.array([1.0, float("nan"), 3.0, 4.0])}),
    ),
    (
        "has other columns than a segment",
        lambda: pa.table(dict(columns(ROWS)) | {"reply": columns(ROWS)["reply"].dictionary_encode()}),
    ),
    (
        "has a reply that is not as it was stored, with the key 'None'",
        lambda: pa.table(dict(columns(ROWS)) | {"key": pa.array([None] * 4, pa.string())}),
    ),
    (
        "has a reply that is not as it was stored",
        lambda: pa.table(dict(columns(ROWS)) | {"checksum": pa.array([None] * 4, pa.int64())}),
    ),
    (
        "has a reply that is not as it was stored",
        lambda: pa.table(dict(columns(ROWS)) | {"prompt_tokens": pa.array([-5] * 4, pa.int64())}),
    ),
    ("has a reply that is not as it was stored", lambda: pa.table(dict(columns(BAD_ROWS)))),
    (
        "has a reply that is not as it was stored",
        lambda: pa.table(dict(columns(NO_REPLIES))),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "table"), TABLES)
def test_a_hostile_table_is_named_and_nothing_of_it_is_joined(
    tmp_path: Path, reason: str, table: Callable[[], pa.Table]
) -> None:
    path = rewritten(segment(tmp_path, ROWS), table=table())
    message = refusal(tmp_path, journal=tmp_path / "journal.sqlite")
    assert message.startswith(f"segment '{path.name}' in {tmp_path} {reason}")
    assert stored_in(tmp_path / "journal.sqlite") == []


@pytest.mark.slow
def test_texts_that_unpack_to_more_than_the_memory_are_named(tmp_path: Path) -> None:
    """As one page of zeros, and as one text that all rows share."""
    zeros = {"reply": pa.array(["0" * 2**20] * 300)}
    rows = dict(columns(rows_of_replies(range(300)))) | zeros
    for dictionary in (False, True):
        path = segment(tmp_path / str(dictionary), ROWS)
        path = rewritten(path, table=pa.table(rows), compression="zstd", use_dictionary=dictionary)
        assert path.stat().st_size < 2**20
        assert re.search(r"has a row group of [0-9,]+ bytes", refusal(tmp_path / str(dictionary)))


def test_large_replies_are_sealed_in_groups_that_are_read_again(tmp_path: Path) -> None:
    """Thoughts of reasoning models are long."""
    words = json.dumps({"text": random.Random(0).randbytes(150_000).hex()})
    rows = rows_of_replies(range(5)) + [
        row
        for number in range(5, 12)
        for row in rows_of_replies([number], "{}" + words.replace("{", "").replace("}", ""))
    ]
    many = [row for _ in range(1) for row in rows]
    path = segment(tmp_path, many)
    assert join_all(tmp_path).merged.total == 12
    assert pq.ParquetFile(path).metadata.num_rows == 12


def test_names(tmp_path: Path) -> None:
    path = segment(tmp_path, ROWS, "3/16", order=7)
    name = parse_name(path.name)
    assert name is not None and (str(name), name.order, str(name.part)) == (path.name, 7, "3/16")
    for other in (f"{path.name}.part", f".{path.name}", f"{path.name}.bak", "part-0-of-1.parquet", path.stem):
        assert parse_name(other) is None
    assert parse_name(path.name.replace("00003-of-00016", "00016-of-00016")) is None
    assert reply_of("a").candidates[0].text == "a"
