"""A few texts with their personas, to look at before a run."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import TYPE_CHECKING, Any, overload

from personagen.builder.core.records import LAYERS, Row
from personagen.builder.release.persona_words import shown_of

if TYPE_CHECKING:
    import pandas as pd

    from personagen.builder.prompts import PlannedRequest


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

    def shown(self) -> list[tuple[str, ...] | None]:
        """Return for each text the attributes of its persona that it shows by words.

        None: the text has no persona, or is not in English, the language of the word lists.
        """
        return [shown_of(row) for row in self.rows]

    def to_pandas(self) -> "pd.DataFrame":
        """Return a data frame with one row per text; layers are columns such as "demographic.age"."""
        import pandas as pd

        return pd.json_normalize([asdict(row) for row in self.rows])

    def __repr__(self) -> str:
        emotions = ", ".join(dict.fromkeys(row.label for row in self.rows))
        checked = [names for names in self.shown() if names is not None]
        shown = f"; {sum(map(bool, checked))} of {len(checked)} show their persona by words" if checked else ""
        return f"<Preview: {len(self)} {'text' if len(self) == 1 else 'texts'} ({emotions}){shown}>"

    def _repr_html_(self) -> str:
        """Render each text below the layers of its persona; every value is escaped."""
        return "".join(map(_row_html, self.rows))


@dataclass(frozen=True, slots=True, repr=False)
class Prompts(Sequence["PlannedRequest"]):
    """Requests of the first rows of a recipe, as they would be sent.

    Attributes:
        requests: the first request of each stage of each row, in order.
        templates: the templates that they are rendered from, by file name.

    """

    requests: tuple["PlannedRequest", ...]
    templates: Mapping[str, str]

    def __len__(self) -> int:
        return len(self.requests)

    @overload
    def __getitem__(self, index: int) -> "PlannedRequest": ...
    @overload
    def __getitem__(self, index: slice) -> "Prompts": ...
    def __getitem__(self, index: int | slice) -> "PlannedRequest | Prompts":
        """Return one request, or some of them."""
        return Prompts(self.requests[index], self.templates) if isinstance(index, slice) else self.requests[index]

    def __iter__(self) -> Iterator["PlannedRequest"]:
        return iter(self.requests)

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return the requests as plain data."""
        return [planned.to_json() for planned in self.requests]

    def to_pandas(self) -> "pd.DataFrame":
        """Return a data frame with one row per request; the turns are columns "system" and "user"."""
        import pandas as pd

        return pd.DataFrame(
            {
                **{name: getattr(planned, name) for name in ("id", "stage", "wording")},
                **{message.role: message.content for message in planned.request.messages},
                "prefill": planned.request.prefill,
            }
            for planned in self.requests
        )

    def __repr__(self) -> str:
        stages = ", ".join(dict.fromkeys(planned.stage for planned in self.requests))
        return f"<Prompts: {len(self)} {'request' if len(self) == 1 else 'requests'} ({stages})>"

    def _repr_html_(self) -> str:
        """Render each request with its turns; every value is escaped."""
        return "".join(map(_request_html, self.requests))


def _request_html(planned: "PlannedRequest") -> str:
    wording = [] if planned.wording is None else [f"wording {planned.wording}"]
    head = ", ".join([f"stage {planned.stage}", *wording])
    turns = [(message.role, message.content) for message in planned.request.messages]
    turns += [("beginning", planned.request.prefill)] if planned.request.prefill else []
    turns += [("stands in", ", ".join(planned.stand_ins))] if planned.stand_ins else []
    turns.append(("sampling", "; ".join(planned.sampling_facts())))
    lines = "".join(
        f'<tr><th>{name}</th><td style="white-space: pre-wrap; text-align: left">{escape(content)}</td></tr>'
        for name, content in turns
    )
    return (
        f"<table><thead><tr><th>{escape(head)}</th><th>{escape(planned.id)}</th></tr></thead>"
        f"<tbody>{lines}</tbody></table>"
    )


def _row_html(row: Row) -> str:
    head = f"{row.label}, {row.intensity}" if row.intensity else row.label
    layers = "".join(
        f"<tr><th>{layer}</th><td>{escape(_layer_line(asdict(content)))}</td></tr>"
        for layer in LAYERS
        if (content := getattr(row, layer)) is not None
    )
    shown = shown_of(row)
    names = "" if shown is None else ", ".join(shown) or "nothing of the persona by words"
    shows = f"<tr><th>shows</th><td>{escape(names)}</td></tr>" if names else ""
    if row.attributes:
        layers += f"<tr><th>attributes</th><td>{escape(_layer_line(row.attributes))}</td></tr>"
    return (
        f"<table><thead><tr><th>{escape(head)}</th><th>{escape(row.id)}</th></tr></thead>"
        f"<tbody>{layers}<tr><th>text</th><td>{escape(row.text)}</td></tr>{shows}</tbody></table>"
    )


def _layer_line(layer: Mapping[str, Any]) -> str:
    """Return the attributes of a layer in one line; those that are None are left out."""
    flat: dict[str, Any] = {}
    for name, value in layer.items():
        flat |= value if isinstance(value, dict) else {name: value}
    return "; ".join(f"{name.replace('_', ' ')} {value}" for name, value in flat.items() if value is not None)
