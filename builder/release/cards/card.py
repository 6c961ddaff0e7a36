"""Render the dataset card of a release; every number in it is a number of the manifest."""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import yaml
from jinja2 import Environment, StrictUndefined, Template

from personagen.builder.core.errors import ReleaseError
from personagen.builder.core.foreign_text import printable
from personagen.builder.core.package_data import TEMPLATES, read_template_yaml, read_yaml, sources
from personagen.builder.core.records import COUNTERFACTUAL_PREFIX, INTENSITIES, LAYERS, SPLITS
from personagen.builder.planning.taxonomy import NAMED_TAXONOMIES
from personagen.builder.release.cards.citation import PAPER
from personagen.builder.release.cards.figures import figure_rows, shared_command
from personagen.builder.release.cards.grounding import grounding_lines, grounding_sources
from personagen.builder.release.cards.metadata import NO_LICENCE, metadata_of
from personagen.builder.release.cards.regions import begin_mark, end_mark
from personagen.builder.release.cards.screening import profanity_line, screening_line
from personagen.builder.release.manifest import classifier_facts, events_line, model_license, total_rejects
from personagen.builder.release.tables.columns import Columns, columns_of, form_of
from personagen.builder.release.verdicts import concerns, verdicts
from personagen.builder.release.verdicts.reject_reasons import reasons_line
from personagen.metrics.style import EXPRESSIONS
from personagen.metrics.texts.emotion_words import is_listed

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

TEMPLATE = TEMPLATES / "dataset_card.md"

MAX_CELL_CHARS = 500
"""Characters of a table cell; the rest is cut off. The manifest has all of it."""

MAX_RECIPE_CHARS = 20_000
"""Characters of the recipe in a card; the rest is cut off. The manifest has all of it."""

MAX_VALUES = 10
"""Values listed per attribute; the others are summed."""


NO_VALUE_NOTES = ("none: ", "not given: ", "not checked: ", "false also ")
"""Beginnings of the notes on rows without a value in `columns.yaml`."""

FURTHER_ATTRIBUTE = "attribute of the recipe, or column of the source of its personas"
"""Meaning of a part of the struct `attributes`."""

OPTIONAL_KEYS = ("samples", "below_floor", "findings", "counterfactuals", "profanity")
"""Keys that a manifest may lack and the template knows by their name."""


def render_card(manifest: Mapping[str, Any]) -> str:
    """Render the card. `load_dataset` reads the configurations from the YAML on top.

    Optional keys of the manifest: see `Manifest`; and those that `evaluate` and `audit` add: `scores` (a list of
    metric, value and command), `below_floor` (phrases), `verdicts` and `concerns` (sentences), `findings` and
    `counterfactuals` (lines) and `audited_by` (a command).
    """
    configs, taxonomy = manifest["configs"], manifest["taxonomy"]
    composition = manifest.get("composition") or {"attributes": {}, "events": 0}
    names = [emotion["name"] for emotion in taxonomy["emotions"]]
    return _compiled(read_template()).render(
        card_data=metadata_of(manifest).to_yaml(),
        manifest={
            **manifest,
            "license": manifest.get("license") or dict.fromkeys(NO_LICENCE),
            "composition": composition,
        },
        rows=sum(configs["all"]["rows"].values()),
        emotions=taxonomy["emotions"],
        taxonomy=taxonomy["name"],
        taxonomy_source=_taxonomy_source(manifest),
        splits=[split for split in SPLITS if split in configs["all"]["rows"]],
        rejects=total_rejects(manifest),
        emotion_rows={name: configs[name]["rows"] for name in names if name in configs},
        **_composition_facts(manifest, composition),
        recipe=_fenced(_recipe_yaml(manifest["recipe"]), "yaml"),
        scores=list(figure_rows(manifest)),
        command=shared_command(manifest),
        **_verdict_facts(manifest),
        **{key: manifest.get(key) for key in OPTIONAL_KEYS},
        **_content_facts(manifest),
        persona_count=sum(manifest["personas"][split] for split in SPLITS),
        mixed=form_of(manifest).is_mixed,
        reject_reasons=reasons_line(total_rejects(manifest)),
        reply_languages=_reply_languages(manifest),
        citation=manifest.get("citation", PAPER),
        columns=_columns_of_texts(manifest),
        **_expression_facts(manifest),
        unlisted=[name for name in names if not is_listed(name)],
        counterfactual=[f"`{name}`" for name in configs if name.startswith(COUNTERFACTUAL_PREFIX)],
        classifier=_as_line(classifier_facts(manifest)),
        model_license=model_license(manifest),
        language=manifest["recipe"]["text"]["language"],
        layers=[layer for layer in LAYERS if layer in configs],
        sources=sources(),
        licences=_by_licence(sources()),
        region=lambda name: f"{begin_mark(name)}\n{end_mark(name)}",
    )


def _composition_facts(manifest: Mapping[str, Any], composition: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the attributes by frequency, and a line on the events."""
    attributes = {name: _ranked(name, values) for name, values in composition["attributes"].items()}
    return {"attributes": attributes, "events_line": events_line(manifest)}


@lru_cache(maxsize=1)
def _compiled(template: str) -> Template:
    """Compile a template, which takes longer than to render it."""
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True)
    environment.filters |= {"cell": _cell, "fraction": _fraction}
    return environment.from_string(template)


def _columns_of_texts(manifest: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return name, type and meaning of each column that a table of texts has."""
    counterfactual = next((name for name in manifest["configs"] if name.startswith(COUNTERFACTUAL_PREFIX)), "all")
    return list(described_columns(counterfactual, manifest))


def described_columns(config: str, manifest: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """Yield name, type and meaning of each column of a configuration; the name of a part has that of its struct."""
    meanings = read_template_yaml("columns.yaml")
    if config in LAYERS:  # its columns are the parts of a struct in the tables of texts
        meanings = meanings | {
            name.removeprefix(f"{config}."): text for name, text in meanings.items() if f"{config}." in name
        }
    form = form_of(manifest)
    if not form.is_mixed:
        meanings = {name: _with_nulls(text) for name, text in meanings.items()}
    yield from _described(columns_of(config, form), meanings)


def _with_nulls(meaning: str) -> str:
    """Return the meaning of a column of an earlier form, which has nulls where there are words for no value now."""
    text, _, note = meaning.partition("; ")
    return f"{text}; null: no value" if note.startswith(NO_VALUE_NOTES) else meaning


def _described(columns: Columns, meanings: Mapping[str, str], prefix: str = "") -> Iterator[dict[str, str]]:
    for name, column in columns.items():
        kind = column.get("_type")
        type_ = "class" if kind == "ClassLabel" else "struct" if kind is None else column["dtype"]
        yield {"name": prefix + name, "type": type_, "meaning": meanings.get(prefix + name, FURTHER_ATTRIBUTE)}
        if kind is None:
            yield from _described(column, meanings, f"{prefix}{name}.")


def _verdict_facts(manifest: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return verdicts and concerns: those that `add_results` stored, or those of a release without results."""
    if manifest.get("evaluation") or manifest.get("audit"):
        return {"verdicts": manifest.get("verdicts", []), "concerns": manifest.get("concerns", [])}
    return {"verdicts": [verdict.text for verdict in verdicts(manifest)], "concerns": concerns(manifest)}


def _expression_facts(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the card says of expressions and styles; no expressions: the recipe asks for none."""
    table: Mapping[str, Mapping[str, int]] = manifest.get("expressions") or {}
    if not table:
        return {"expressions": [], "styles": []}
    checked = {asked: sum(found.values()) - found.get("unchecked", 0) for asked, found in table.items()}
    return {
        "expressions": [
            {
                "asked": asked,
                "found": found,
                "as_asked": _fraction(found.get(asked, 0), checked[asked]) if checked[asked] else "not checked",
            }
            for asked, found in table.items()
        ],
        "found_kinds": [kind for kind in (*EXPRESSIONS, "unchecked") if any(kind in found for found in table.values())],
        "styles": [
            {"name": name, "share": f"{share:.0%}", **_style_source(name)}
            for name, share in (manifest["recipe"]["text"]["style"] or {}).items()
        ],
    }


def _content_facts(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the card says of offence in the texts and of real texts in the prompts; empty: there are none."""
    return {
        "screening": screening_line(manifest),
        "profanity_line": profanity_line(manifest),
        "grounding": list(grounding_lines(manifest)),
        "grounding_sources": list(grounding_sources(manifest).values()),
    }


def _style_source(name: str) -> dict[str, str]:
    entry = read_yaml("styles.yaml").get(name)
    own = {"source": "texts of the author of the recipe", "licence": "unknown"}
    return own if entry is None else {"source": entry["source"], "licence": entry["licence"]}


def read_template(path: "Traversable | None" = None) -> str:
    """Read the template of the card.

    The template in the package is a link to `dataset_card.md` at the top of the project. A checkout without support
    for links has a file with the target's path in its place.

    Args:
        path: the template. None: that of the package.

    Raises:
        ReleaseError: the file is not a template.

    """
    path = path or TEMPLATE
    text = path.read_text(encoding="utf-8")
    if "{{ card_data }}" not in text:
        raise ReleaseError(
            f"{path} is not a template of a dataset card ({len(text)} characters, probably a link that was checked "
            "out as a file); install the wheel, or clone again with git config core.symlinks true"
        )
    return text


def _taxonomy_source(manifest: Mapping[str, Any]) -> str | None:
    """Return the source of a taxonomy of the package; None: the recipe defines it, maybe under the same name."""
    name = manifest["recipe"]["taxonomy"]
    if not isinstance(name, str) or name not in NAMED_TAXONOMIES:
        return None
    source: str = read_yaml("taxonomies.yaml")[name]["source"]
    return source


def _reply_languages(manifest: Mapping[str, Any]) -> str | None:
    """Return in which languages refusals were searched for, if texts may be in another one; None: they may not."""
    language = manifest["recipe"]["text"]["language"]
    tables = (re.fullmatch(r"reply_patterns/([a-z]{2})\.yaml", name) for name in manifest["tables"])
    checked = sorted(table[1] for table in tables if table) or ["en"]  # version 0.1 had one table, of English
    if language is None:
        return f"checked in {', '.join(checked)} only"
    return None if language in checked else f"not checked in {language}"


def _ranked(name: str, values: Mapping[str, int]) -> dict[str, Any]:
    """Return the values of an attribute in their own order if they have one, else by frequency."""
    order = {value: position for position, value in enumerate(INTENSITIES)}
    if name == "age":
        return {"shown": list(values.items()), "others": 0, "rest": 0}
    ranked = sorted(values.items(), key=lambda item: (order.get(item[0], -1), -item[1], item[0]))
    rest = ranked[MAX_VALUES:]
    return {"shown": ranked[:MAX_VALUES], "others": len(rest), "rest": sum(count for _, count in rest)}


def _recipe_yaml(recipe: Mapping[str, Any]) -> str:
    """Return the recipe as YAML of printable characters, cut off after `MAX_RECIPE_CHARS`."""
    text: str = yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True, width=100)
    if not text.replace("\n", "").isprintable():
        text = yaml.safe_dump(recipe, sort_keys=False, width=100)
    if len(text) <= MAX_RECIPE_CHARS:
        return text
    return f"{text[:MAX_RECIPE_CHARS]}\n# cut here; the whole recipe is in manifest.json\n"


def _fenced(text: str, language: str) -> str:
    """Return text as a code block whose fence is longer than any run of backticks in it, so that it cannot end it."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(longest + 1, 3)
    return f"{fence}{language}\n{text}{fence}"


def _by_licence(tables: Iterable[Mapping[str, str]]) -> dict[str, list[str]]:
    by_licence: dict[str, list[str]] = {}
    for table in tables:
        by_licence.setdefault(table["licence"], []).append(table["table"])
    return by_licence


def _as_line(facts: Mapping[str, Any] | None) -> str:
    """Join facts into one line; "": there are none."""
    return ", ".join(f"{name} {value}" for name, value in (facts or {}).items())


def _fraction(count: int, rows: int) -> str:
    return f"{count / rows:.1%}"


def _cell(value: object) -> str:
    """Return text for a cell of a Markdown table: one line, no markup, at most `MAX_CELL_CHARS`."""
    flat = re.sub(r"\s+", " ", str(value))
    flat = printable(flat if len(flat) <= MAX_CELL_CHARS else f"{flat[:MAX_CELL_CHARS]} ... (cut)")
    return re.sub(r"([\\`*_{}\[\]<>|#~!])", r"\\\1", flat)
