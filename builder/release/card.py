"""Render the card of a release from its manifest: every number in it comes from there."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from personagen.builder.core.package_data import read_yaml, sources
from personagen.builder.core.records import COUNTERFACTUAL_PREFIX, INTENSITIES, LAYERS, SPLITS
from personagen.builder.core.terminal import printable
from personagen.builder.planning.taxonomy import NAMED_TAXONOMIES
from personagen.builder.release.card_regions import begin_mark, end_mark
from personagen.builder.release.manifest import total_rejects

if TYPE_CHECKING:
    from huggingface_hub import DatasetCardData

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10**7, "1M<n<10M"),
    (10**8, "10M<n<100M"), (10**9, "100M<n<1B"))  # fmt: skip

NO_LICENCE = {"license": "other", "license_name": "terms-of-the-model", "license_link": "#licence"}
"""What the card says where nobody chose a licence: the link is to its own section."""

LONGEST_CELL = 500
LONGEST_RECIPE = 20_000
"""Characters of a cell and of the recipe in a card; more is cut. All of it is in the manifest."""

SHOWN = 10
"""Values of an attribute that are shown; those beyond them are added up."""


def render_card(manifest: Mapping[str, Any]) -> str:
    """Fill `dataset_card.md`; the YAML on top is what `load_dataset` reads the configurations from.

    Keys of the manifest that a card can do without, and that later steps add: `scores`, a list of metric, value and
    command; `findings` and `counterfactuals`, lines of an audit, and its command `audited_by`; `classifier`, facts on the label
    classifier by name; `composition`; `license`.
    """
    environment = Environment(
        loader=PackageLoader("personagen.builder", "templates"), undefined=StrictUndefined, keep_trailing_newline=True
    )
    environment.filters |= {"cell": _cell, "share": _share}
    configs, taxonomy = manifest["configs"], manifest["taxonomy"]
    composition = manifest.get("composition") or {"attributes": {}, "events": 0}
    return environment.get_template("dataset_card.md").render(
        card_data=_metadata(manifest).to_yaml(),
        manifest={
            **manifest,
            "license": manifest.get("license") or dict.fromkeys(NO_LICENCE),
            "composition": composition,
        },
        rows=sum(configs["all"]["rows"].values()),
        emotions=taxonomy["emotions"],
        taxonomy=taxonomy["name"],
        taxonomy_source=read_yaml("taxonomies.yaml")[taxonomy["name"]]["source"] if _is_named(manifest) else None,
        splits=[split for split in SPLITS if split in configs["all"]["rows"]],
        rejects=total_rejects(manifest),
        emotion_rows={
            emotion["name"]: configs[emotion["name"]]["rows"]
            for emotion in taxonomy["emotions"]
            if emotion["name"] in configs
        },
        attributes={name: _shown(name, values) for name, values in composition["attributes"].items()},
        recipe=_fenced(_recipe(manifest["recipe"]), "yaml"),
        scores=manifest.get("scores"),
        findings=manifest.get("findings"),
        counterfactuals=manifest.get("counterfactuals"),
        counterfactual=[f"`{name}`" for name in configs if name.startswith(COUNTERFACTUAL_PREFIX)],
        classifier=_facts(manifest.get("checker")),
        language=manifest["recipe"]["text"]["language"],
        layers=[layer for layer in LAYERS if layer in configs],
        sources=sources(),
        licences=_by_licence(sources()),
        region=lambda name: f"{begin_mark(name)}\n{end_mark(name)}",
    )


def _metadata(manifest: Mapping[str, Any]) -> "DatasetCardData":
    from huggingface_hub import DatasetCardData  # at the end of a run, when other memory is free

    rows = sum(manifest["configs"]["all"]["rows"].values())
    language = manifest["recipe"]["text"]["language"]
    chosen = manifest.get("license") or {}
    return DatasetCardData(
        pretty_name=manifest["name"],
        language=[language] if language else None,
        multilinguality=["monolingual"] if language else None,
        annotations_creators=["machine-generated"],
        language_creators=["machine-generated"],
        source_datasets=["original"],
        task_categories=["text-classification"],
        size_categories=[next((name for limit, name in SIZES if rows < limit), "n>1T")],
        tags=["synthetic", "emotion", "persona", "personagen"],
        configs=configs_of(manifest),
        **(chosen if chosen.get("license") else NO_LICENCE),
    )


def configs_of(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Write the configurations of a manifest as they stand in the YAML of the card."""
    return [_config(name, entry, manifest["version"]) for name, entry in manifest["configs"].items()]


def split_card(card: str) -> tuple[str, str]:
    """Split a card into the YAML on top, empty where there is none, and what follows."""
    head = re.match(r"---\n(.*?)\n---\n", card, flags=re.DOTALL)
    return (head[1], card[head.end() :]) if head else ("", card)


def card_problems(card: str, manifest: Mapping[str, Any]) -> Iterator[str]:
    """Tell what in the YAML of a card would have `datasets` read something else than its manifest says."""
    try:
        told = yaml.safe_load(split_card(card)[0])
    except (yaml.YAMLError, ValueError, TypeError, RecursionError):
        told = None
    if not isinstance(told, dict):
        yield "README.md has no YAML on top, so that nothing can be loaded"
    elif told.get("configs") != configs_of(manifest) or "dataset_info" in told:
        yield "README.md has other configurations than the manifest"


def _config(name: str, entry: Mapping[str, Any], version: str) -> dict[str, Any]:
    config = {
        "config_name": name,
        "version": version,
        "description": f"content {entry['digest']}",
        "data_files": [
            {"split": split, "path": paths if len(paths) > 1 else paths[0]}
            for split, paths in entry["data_files"].items()
        ],
    }
    return config | {"default": True} if name == "all" else config


def _is_named(manifest: Mapping[str, Any]) -> bool:
    """Tell whether the taxonomy ships with the package; one of the recipe's own may have the same name."""
    return isinstance(manifest["recipe"]["taxonomy"], str) and manifest["recipe"]["taxonomy"] in NAMED_TAXONOMIES


def _shown(name: str, values: Mapping[str, int]) -> dict[str, Any]:
    """Order the values of an attribute: what has an order of its own by that, the others by number."""
    order = {value: place for place, value in enumerate(INTENSITIES)}
    if name == "age":
        return {"shown": list(values.items()), "others": 0, "rest": 0}
    ranked = sorted(values.items(), key=lambda item: (order.get(item[0], -1), -item[1], item[0]))
    rest = ranked[SHOWN:]
    return {"shown": ranked[:SHOWN], "others": len(rest), "rest": sum(count for _, count in rest)}


def _recipe(recipe: Mapping[str, Any]) -> str:
    """Write the recipe as YAML, without characters that are no text; a long one is cut."""
    text: str = yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True, width=100)
    if not text.replace("\n", "").isprintable():
        text = yaml.safe_dump(recipe, sort_keys=False, width=100)
    if len(text) <= LONGEST_RECIPE:
        return text
    return f"{text[:LONGEST_RECIPE]}\n# cut here; the whole recipe is in manifest.json\n"


def _fenced(text: str, language: str) -> str:
    """Set text as code: the fence is longer than any run of backticks in it, so that nothing in it can end it."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(longest + 1, 3)
    return f"{fence}{language}\n{text}{fence}"


def _by_licence(tables: Iterable[Mapping[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for entry in tables:
        found.setdefault(entry["licence"], []).append(entry["table"])
    return found


def _facts(classifier: Any) -> str:
    """Tell what is known of a classifier in one line; empty where none ran."""
    if isinstance(classifier, Mapping):
        return ", ".join(f"{name} {value}" for name, value in classifier.items())
    return str(classifier or "")


def _share(count: int, rows: int) -> str:
    return f"{count / rows:.1%}"


def _cell(value: object) -> str:
    """Make text safe in a cell of a Markdown table: no line breaks, no markup of its own, no more than fits."""
    flat = re.sub(r"\s+", " ", str(value))
    flat = printable(flat if len(flat) <= LONGEST_CELL else f"{flat[:LONGEST_CELL]} ... (cut)")
    return re.sub(r"([\\`*_{}\[\]<>|#~!])", r"\\\1", flat)
