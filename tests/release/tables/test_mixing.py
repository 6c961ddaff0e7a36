"""The order of tables that mix emotions."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from personagen.builder.core.records import SPLITS
from personagen.builder.release.tables.mixing import RowRange, mixed
from tests.helpers.releasing import EMOTIONS, records


def ranges_of(folder: Path, counts: dict[str, int], *, file_rows: int = 50, row_group: int = 7) -> list[RowRange]:
    """Write the rows of each emotion to files, and return where they are."""
    folder.mkdir()
    ranges = []
    for name, count in counts.items():
        table = pa.table({"id": [f"{name}-{number:06d}" for number in range(count)], "emotion": [name] * count})
        paths = []
        for start in range(0, count, file_rows):
            paths.append(folder / f"{name}-{start}.parquet")
            pq.write_table(table.slice(start, file_rows), paths[-1], row_group_size=row_group)
        ranges.append(RowRange(paths, 0, count))
    return ranges


def order(ranges: list[RowRange], seed: int = 0, block_rows: int = 60) -> list[str]:
    return [id_ for table in mixed(ranges, "id", seed, block_rows=block_rows) for id_ in table["id"].to_pylist()]


@pytest.mark.parametrize(
    "counts",
    [{"joy": 70, "fear": 70}, {"joy": 200, "fear": 40, "anger": 3}, {"joy": 1}, dict.fromkeys(EMOTIONS, 31)],
    ids=str,
)
@pytest.mark.parametrize("block_rows", [25, 100, 10_000])
def test_every_prefix_has_each_emotion_near_its_share(tmp_path: Path, counts: dict[str, int], block_rows: int) -> None:
    ids = order(ranges_of(tmp_path / "rows", counts), block_rows=block_rows)
    assert sorted(ids) == sorted(f"{name}-{number:06d}" for name, count in counts.items() for number in range(count))
    seen = Counter[str]()
    for length, id_ in enumerate(ids, 1):
        seen[id_.split("-")[0]] += 1
        for name, count in counts.items():
            assert abs(seen[name] - length * count / len(ids)) <= 1 + len(counts) / 2, (length, name)


def test_the_order_is_that_of_the_seed_and_not_of_the_files(tmp_path: Path) -> None:
    counts = {"joy": 90, "fear": 45}
    first = order(ranges_of(tmp_path / "a", counts))
    assert first == order(ranges_of(tmp_path / "b", counts, file_rows=1_000, row_group=500))
    other = order(ranges_of(tmp_path / "c", counts), seed=1)
    assert other != first and sorted(other) == sorted(first)


def test_emotions_and_rows_are_shuffled(tmp_path: Path) -> None:
    """Neither do the emotions alternate, nor do the rows of one have the order of the plan."""
    ids = order(ranges_of(tmp_path / "a", {"joy": 50, "fear": 50}), block_rows=1_000)
    names = [id_.split("-")[0] for id_ in ids]
    assert 10 < sum(one == other for one, other in pairwise(names)) < 60
    joy = [id_ for id_ in ids if id_.startswith("joy")]
    assert sum(one < other for one, other in pairwise(joy)) < 35


def test_a_range_may_begin_within_a_file(tmp_path: Path) -> None:
    """As in the table of an ablation, whose files have one emotion after another."""
    (whole,) = ranges_of(tmp_path / "rows", {"joy": 40}, file_rows=15)
    ids = order([RowRange(whole.paths, 0, 18), RowRange(whole.paths, 18, 22)])
    assert sorted(ids) == [f"joy-{number:06d}" for number in range(40)]
    late = {int(id_[-6:]) >= 18 for id_ in ids[:10]}
    assert late == {True, False}


def test_labelled_tables_of_a_release_are_mixed(release: Path) -> None:
    for config in ("all", "depth_none", "depth_demographic", "situational"):
        for split in SPLITS:
            rows = records(release, config, split)
            assert Counter(row["emotion"] for row in rows) == dict.fromkeys(EMOTIONS, len(rows) // 7)
            for start in range(0, len(rows), 14):
                assert {row["emotion"] for row in rows[start : start + 14]} == {*EMOTIONS}, (config, split, start)
    ids = [row["persona_id"] for row in records(release, "all", "train")]
    assert sum(one == other for one, other in pairwise(ids)) < 8
    assert not (release / "unmixed").exists()


def test_an_emotion_in_several_ranges_is_mixed_as_if_it_were_one(tmp_path: Path) -> None:
    whole = ranges_of(tmp_path / "whole", {"joy": 90, "fear": 40})
    parts = [
        RowRange(part.paths, start, count, name)
        for part, name in zip(whole, ("joy", "fear"), strict=True)
        for start, count in ((0, part.count // 3), (part.count // 3, part.count - part.count // 3))
    ]
    assert order(parts, block_rows=1_000) == order(whole, block_rows=1_000)
