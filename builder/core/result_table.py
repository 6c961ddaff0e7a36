"""Tables of result records: what the verbs of the Python API return."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from html import escape
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

if TYPE_CHECKING:
    import pandas as pd

Record = TypeVar("Record")

MAX_ROWS_SHOWN = 20
"""Rows of a table that its HTML shows."""


@dataclass(frozen=True, slots=True, repr=False)
class ResultTable(Sequence[Record], Generic[Record]):
    """Immutable sequence of frozen dataclass records of one type.

    Attributes:
        record_type: the dataclass of the records; its fields are the columns.
        records: the rows, in order.

    """

    record_type: type[Record]
    records: tuple[Record, ...]

    def __len__(self) -> int:
        return len(self.records)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> "ResultTable[Record]": ...
    def __getitem__(self, index: int | slice) -> "Record | ResultTable[Record]":
        """Return one record, or a table of some of them."""
        if isinstance(index, slice):
            return ResultTable(self.record_type, self.records[index])
        return self.records[index]

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns: the fields of the record type."""
        return tuple(field.name for field in fields(self.record_type))  # type: ignore[arg-type]  # a dataclass

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return the records as dictionaries, nested dataclasses included."""
        return [asdict(record) for record in self.records]  # type: ignore[call-overload]  # a dataclass

    def to_pandas(self) -> "pd.DataFrame":
        """Return a data frame with one row per record and one column per field."""
        import pandas as pd

        return pd.DataFrame(self.to_dicts(), columns=list(self.columns))

    def __repr__(self) -> str:
        return f"<{self.record_type.__name__} table: {len(self)} rows x {len(self.columns)} columns>"

    def _repr_html_(self) -> str:
        """Render the first rows as an HTML table; every value is escaped."""
        head = "".join(f"<th>{escape(name)}</th>" for name in self.columns)
        rows = "".join(
            f"<tr>{''.join(f'<td>{escape(_as_text(getattr(record, name)))}</td>' for name in self.columns)}</tr>"
            for record in self.records[:MAX_ROWS_SHOWN]
        )
        more = f"<p>{len(self) - MAX_ROWS_SHOWN} more rows</p>" if len(self) > MAX_ROWS_SHOWN else ""
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{more}"


def _as_text(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
