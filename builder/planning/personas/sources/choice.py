"""Choose the personas of a recipe from its source, or continue with those that its run has stored."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from personagen.builder.core.errors import RecipeError
from personagen.builder.core.foreign_text import quote
from personagen.builder.core.records import Demographic, Sociocultural
from personagen.builder.planning.personas.sources.choosing import Choice, candidates_for, choose_rows
from personagen.builder.planning.personas.sources.columns.mapping import ColumnMap, map_columns
from personagen.builder.planning.personas.sources.columns.presets import BACKGROUND, PROSE
from personagen.builder.planning.personas.sources.columns.values import clean
from personagen.builder.planning.personas.sources.files.hub_files import locate_on_hub
from personagen.builder.planning.personas.sources.files.locations import (
    LocatedSource,
    digest_of,
    is_address,
    locate_folder,
    parse_address,
)
from personagen.builder.planning.personas.sources.files.releases import columns_of_source, read_source
from personagen.builder.planning.personas.sources.filters import cell_shares, row_filter
from personagen.builder.planning.personas.sources.licences import SourceLicence, licence_of, require_compatible
from personagen.builder.planning.personas.sources.people import SourcedPeople
from personagen.builder.planning.personas.sources.scanning import Scan, scan_rows
from personagen.builder.planning.personas.sources.stored import (
    FORMAT,
    SOURCE_ID,
    ChosenRow,
    StoredChoice,
    chosen_rows,
    held_choice,
    read_choice,
    write_choice,
)
from personagen.builder.planning.personas.tables import PersonaTables

MAX_NAME_CHARS = 200
"""Upper bound on the name of a column in the manifest."""

MAX_COUNTED_CONDITIONS = 6
"""Conditions that a message lists, those that exclude most rows first."""


@dataclass(frozen=True, slots=True)
class SourceRequest:
    """What a recipe asks of its source.

    Attributes:
        source: path or address, as the recipe has it.
        name: name of the source in the fingerprint: without local folders.
        seed: seed of the recipe.
        count: number of personas.
        columns: column by attribute, as named in the recipe.
        where: conditions by attribute.
        balance: attributes whose cells are to be even.
        weights: shares of values by attribute.
        source_license: licence of the source, as stated in the recipe.
        source_citation: citation of the source, as stated in the recipe.
        license: licence of the release.

    """

    source: str
    name: str
    seed: int
    count: int
    columns: Mapping[str, str | None] = field(default_factory=dict)
    where: Mapping[str, Any] = field(default_factory=dict)
    balance: Sequence[str] = ()
    weights: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    source_license: str | None = None
    source_citation: str | None = None
    license: str | None = None

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all that decides which rows are chosen, but the content of the source."""
        parts = [FORMAT, self.name, self.seed, self.count, dict(self.columns), dict(self.where)]
        parts += [list(self.balance), {name: dict(shares) for name, shares in self.weights.items()}]
        return hashlib.sha256(json.dumps(parts, sort_keys=True, default=list).encode()).hexdigest()


def choose_personas(request: SourceRequest, tables: PersonaTables, store: Path | None = None) -> SourcedPeople:
    """Return the personas of a recipe with a source.

    Args:
        request: what the recipe asks for.
        tables: tables with the coherence rules.
        store: file of the run, from which an interrupted run continues whatever has become of the source. None: nothing
            is written.

    Raises:
        RecipeError: the source does not exist, cannot be read, has too few rows that fit, or its licence forbids what
            that of the release allows.
        HubError: the Hub cannot be reached.
        FolderError: the file of the run cannot be written or read.

    """
    stored = read_choice(store) if store is not None else None
    if stored is None or stored.facts["request"] != request.fingerprint:
        stored = _choose(request, store)
    facts = stored.facts["source"]
    stated = SourceLicence(
        request.source_license or facts["license"], request.source_citation or facts["citation"], facts["license_from"]
    )
    require_compatible(stated, request.license)
    return SourcedPeople(tables, stored)


def _choose(request: SourceRequest, store: Path | None) -> StoredChoice:
    source = (
        locate_on_hub(parse_address(request.source)) if is_address(request.source) else locate_folder(request.source)
    )
    table = columns_of_source(source)
    columns = map_columns(table, request.columns)
    licence = licence_of(source, request.source_license, request.source_citation)
    require_compatible(licence, request.license)  # before the source is read
    read = read_source(source)
    scan = scan_rows(
        source.files,
        columns,
        read,
        rows=row_filter(request.where, request.balance, request.weights),
        seed=request.seed,
        size=candidates_for(request.count),
    )
    shares = cell_shares(scan.cells, request.balance, request.weights)
    _require_enough(request, scan, shares)
    choice = choose_rows(scan, request.count, request.seed, shares)
    rows = Noted(chosen_rows(source.files, columns, read, choice.rows, request.seed), columns)
    facts = _facts(request, source, columns, licence, scan, choice)
    if store is None:
        held = list(rows)
        return held_choice(held, facts | rows.facts())
    write_choice(store, rows, lambda: facts | rows.facts())
    stored = read_choice(store)
    if stored is None:
        raise RecipeError(f"personas.source: {store} was removed by another process; run the command again")
    return stored


def _require_enough(request: SourceRequest, scan: Scan, shares: Mapping[Any, float] | None) -> None:
    cells = scan.cells if shares is None else {cell: scan.cells[cell] for cell in shares}
    candidates = sum(len(rows) for rows in cells.values())
    if candidates >= request.count:
        return
    excluding = sorted(scan.excluded.items(), key=lambda item: (-item[1], item[0]))[:MAX_COUNTED_CONDITIONS]
    repeats = scan.fitting - sum(len(rows) for rows in scan.cells.values())
    reasons = ", ".join(
        [f"{name} excludes {count:,}" for name, count in excluding if count]
        + ([f"{repeats:,} repeat another row, and no column personas.columns.id distinguishes them"] if repeats else [])
    )
    raise RecipeError(
        f"personas.source: {candidates:,} of the {scan.rows:,} rows of {quote(request.name)} fit"
        + (f" ({reasons})" if reasons else "")
        + f", wanted {request.count:,} personas, one row each; "
        + ("loosen a condition, " if any(scan.excluded.values()) or shares is not None else "")
        + "raise situations_per_persona, lower rows, or take a larger source"
    )


class Noted:
    """Chosen rows that are passed on, and what they have in common."""

    def __init__(self, rows: Iterator[ChosenRow], columns: ColumnMap) -> None:
        """Start with rows that are not read yet."""
        self._rows = rows
        names = (*([SOURCE_ID] if columns.id is not None else []), *columns.own)
        self._types: dict[str, set[type]] = {name: set() for name in names}
        self._known: set[str] = set()

    def __iter__(self) -> Iterator[ChosenRow]:
        """Yield the rows."""
        for row in self._rows:
            for name, seen in self._types.items():
                if (value := row["values"].get(name)) is not None:
                    seen.add(type(value))
            self._known |= row["values"].keys() | {key for key in (PROSE, BACKGROUND) if key in row}
            yield row

    def facts(self) -> dict[str, Any]:
        """Return the type of each further attribute, and the columns of layers that no row has a value for."""
        missing = [
            f"{layer}.{name}"
            for layer, record, prose in (
                ("demographic", Demographic, PROSE),
                ("sociocultural", Sociocultural, BACKGROUND),
            )
            for name in record.__dataclass_fields__
            if (prose if name == "prose" else name) not in self._known
        ]
        return {"attribute_types": {name: _dtype(seen) for name, seen in self._types.items()}, "missing": missing}


def _dtype(seen: set[type]) -> str:
    return "int64" if seen == {int} else "float64" if seen and seen <= {int, float} else "string"


def _facts(
    request: SourceRequest,
    source: LocatedSource,
    columns: ColumnMap,
    licence: SourceLicence,
    scan: Scan,
    choice: Choice,
) -> dict[str, Any]:
    about = {
        "name": clean(source.name),
        "revision": source.revision,
        "sha256": digest_of(source.files),
        "rows": scan.rows,
        "fitting": scan.fitting,
        "preset": columns.preset,
        "columns": {key: clean(name) for key, name in (columns.attributes | columns.own).items()},
        "left_out": [clean(name)[:MAX_NAME_CHARS] for name in columns.left_out],
        "license": licence.license,
        "license_from": licence.stated_in,
        "citation": licence.citation,
    }
    return {
        "request": request.fingerprint,
        "source": about,
        "pairs_met": choice.pairs_met,
        "pairs_possible": choice.pairs_possible,
    }
