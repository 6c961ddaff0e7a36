"""Data files take their name when they are complete; an interrupted run leaves no part of one."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from personagen.builder.release.tables.shards import ShardFile, Shards, file_digest

COLUMNS = {"text": {"dtype": "string", "_type": "Value"}}
SIZES = {("joy", "train"): 3, ("joy", "test"): 1}


def shards(folder: Path) -> Shards:
    return Shards(folder, SIZES, 2, lambda config: COLUMNS)


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_files_are_listed_with_their_rows_and_digests(tmp_path: Path) -> None:
    with shards(tmp_path) as files:
        for split in ("train", "test", "train", "train"):
            files.add("joy", split, {"text": split})
        written = files.written()
    assert [(file.path, file.rows) for file in written] == [
        ("joy/train-00000-of-00002.parquet", 2),
        ("joy/train-00001-of-00002.parquet", 1),
        ("joy/test-00000-of-00001.parquet", 1),
    ]
    for file in written:
        path = tmp_path / file.path
        assert file == ShardFile(file.path, pq.read_metadata(path).num_rows, path.stat().st_size, file_digest(path))
    assert names(tmp_path) == sorted(file.path for file in written)


@pytest.mark.parametrize("rows", [0, 1, 501], ids=["none", "in memory", "on disk"])
def test_an_interrupted_file_is_deleted(rows: int, tmp_path: Path) -> None:
    """A row group of 500 rows is on disk before the file is complete."""
    files = Shards(tmp_path, {("joy", "train"): 1000}, 1000, lambda config: COLUMNS)

    def interrupted() -> None:
        with files:
            for number in range(rows):
                files.add("joy", "train", {"text": str(number)})
            assert names(tmp_path) == (["joy/train-00000-of-00001.parquet.part"] if rows > 500 else [])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert names(tmp_path) == []
