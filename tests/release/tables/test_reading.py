"""Reading data files of several row groups, as every file of more than 500 rows has."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from personagen.builder.release.formats.tables import CHECKED_ROWS, read_batches, read_table


@pytest.mark.parametrize(
    ("rows", "size", "group"), [(1200, 40, 500), (2000, 1000, 500), (4200, 600, 4200)], ids=["500", "long", "one group"]
)
def test_texts_within_structs_are_read_across_row_groups(rows: int, size: int, group: int, tmp_path: Path) -> None:
    prose = pa.array([f"{number} " * (size // 5) for number in range(rows)])
    layer = pa.StructArray.from_arrays([prose, pa.array(["a", "b"] * (rows // 2))], ["prose", "gender"])
    table = pa.table({"text": prose, "demographic": layer})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=group)
    assert read_table(tmp_path / "t.parquet").equals(table)
    batches = list(read_batches(tmp_path / "t.parquet"))
    assert pa.concat_tables(batches).to_pylist() == table.to_pylist()
    assert max(len(batch) for batch in batches) <= CHECKED_ROWS
