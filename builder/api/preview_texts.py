"""A few texts with their personas, to look at before a run."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import TYPE_CHECKING, Any, overload

from personagen.builder.core.records import LAYERS, Row

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, repr=False)
class Preview(Sequence[Row]):
    """Rows of a recipe, written and not kept.

    Attributes:
        rows: the rows, emotion by emotion.

    """

    rows: tuple[Row, ...]

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> "Preview": ...
    def __getitem__(self, index: int | slice) -> "Row | Preview":
        """Return one row, or a preview of some of them."""
        return Preview(self.rows[index]) if isinstance(index, slice) else self.rows[index]

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def to_pandas(self) -> "pd.DataFrame":
        """Return a data frame with one row per text; layers are columns such as "demographic.age"."""
        import pandas as pd

        return pd.json_normalize([asdict(row) for row in self.rows])

    def __repr__(self) -> str:
        emotions = ", ".join(dict.fromkeys(row.label for row in self.rows))
        return f"<Preview: {len(self)} {'text' if len(self) == 1 else 'texts'} ({emotions})>"

    def _repr_html_(self) -> str:
        """Render each text below the layers of its persona; every value is escaped."""
        return "".join(map(_row_html, self.rows))


def _row_html(row: Row) -> str:
    head = f"{row.label}, {row.intensity}" if row.intensity else row.label
    layers = "".join(
        f"<tr><th>{layer}</th><td>{escape(_layer_line(asdict(content)))}</td></tr>"
        for layer in LAYERS
        if (content := getattr(row, layer)) is not None
    )
    return (
        f"<table><thead><tr><th>{escape(head)}</th><th>{escape(row.id)}</th></tr></thead>"
        f"<tbody>{layers}<tr><th>text</th><td>{escape(row.text)}</td></tr></tbody></table>"
    )


def _layer_line(layer: Mapping[str, Any]) -> str:
    """Return the attributes of a layer in one line; those that are None are left out."""
    flat: dict[str, Any] = {}
    for name, value in layer.items():
        flat |= value if isinstance(value, dict) else {name: value}
    return "; ".join(f"{name.replace('_', ' ')} {value}" for name, value in flat.items() if value is not None)
