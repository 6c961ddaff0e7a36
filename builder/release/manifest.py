"""The manifest of a release: everything about it that is the same each time it is made."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from personagen.builder.core.errors import ReleaseError
from personagen.builder.core.package_data import digests
from personagen.builder.llm.journal import UsedReplies
from personagen.builder.llm.requests import Backend
from personagen.builder.planning.plan import Plan
from personagen.builder.planning.recipe import Recipe
from personagen.builder.release.cards.citation import citation_of
from personagen.builder.release.folder import FORMAT, VIEWS, configurations, read_manifest, sealed
from personagen.builder.release.model_facts import joint_model, model_entries, usage_of
from personagen.builder.release.prompt_files import prompt_entries
from personagen.builder.release.tables.columns import TableForm, columns_of, form_of, form_of_recipe
from personagen.builder.release.tables.missing import columns_version, left_out
from personagen.builder.release.tables.shards import ShardFile
from personagen.builder.version import __version__
from personagen.builder.writing.grounding import load_pools
from personagen.builder.writing.prompts import prompt_version, templates_of, versions
from personagen.metrics.style import EXPRESSIONS

MIN_AS_ASKED = 0.8
"""Fraction of texts with the expression asked for below which a run warns."""


@dataclass(frozen=True, slots=True)
class RunCounts:
    """Counts over the replies and the texts of a run.

    Attributes:
        rejects: rejected replies by stage and reason.
        leaked: texts that name their emotion and were not asked to. None: no text was checked.
        leak_unchecked: texts that were not checked for it.
        profanity: `texts` with a swear word, of those that were `checked`. None: no text has one.
        expressions: texts by the expression that was asked for and the one that was found (None: not checked). None:
            the recipe asks for no expression.
        composition: texts by attribute and value at the depth of the recipe; see `Composition`.
        model_rows: texts at the depth of the recipe by the number of their model.
        samples: rows that the card shows; see `sample_rows`.
        screening: texts with personal information or slurs; see `Screening`. None: not searched.
        persona_words: texts that show their persona by words; see `PersonaWords`. None: none was checked.
        real_texts: `rows` whose prompt shows real texts of a source, and the distinct `texts` that they show. None: the
            recipe asks for none.
        classifier: facts on the emotion classifier and its agreement with the labels. None: no classifier ran.

    """

    rejects: Mapping[tuple[str, str], int]
    leaked: int | None
    composition: Mapping[str, Any]
    classifier: Mapping[str, Any] | None = None
    leak_unchecked: int = 0
    profanity: Mapping[str, int] | None = None
    expressions: Mapping[tuple[str | None, str | None], int] | None = None
    samples: Sequence[Mapping[str, str]] = ()
    screening: Mapping[str, Any] | None = None
    persona_words: Mapping[str, Any] | None = None
    real_texts: Mapping[str, int] | None = None
    model_rows: Mapping[int, int] = field(default_factory=dict)


def make_manifest(
    backends: Sequence[Backend], plan: Plan, shards: Sequence[ShardFile], counts: RunCounts, used: UsedReplies
) -> dict[str, Any]:
    """Build the manifest. It has no time, path, address or key, so equal runs have equal manifests.

    Args:
        backends: the backends that wrote the texts, one for each model.
        plan: the plan of the release.
        shards: every data file of the release.
        counts: counts over replies and texts.
        used: requests and tokens of the release; their cost is added if the recipe has the price of the model.

    """
    recipe = plan.recipe
    styled = plan.mixture is not None
    manifest = {
        "format": FORMAT,
        "name": recipe.name,
        "version": columns_version(recipe, plan.attribute_types),
        "personagen": __version__,
        "fingerprint": recipe.fingerprint(),
        "recipe": recipe.identity(),
        "seed": recipe.seed,
        "taxonomy": _taxonomy(recipe),
        "model": joint_model(backends, used),
        **model_entries(backends, recipe, counts.model_rows, used),
        "prompts": _prompts(recipe),
        "tables": digests(styles=styled),
        "personas": _personas(plan),
        "license": recipe.licence(),
        **_configs(shards),
        "left_out": list(left_out(recipe, plan.attribute_types, plan.missing)),
        **({"attributes": dict(plan.attribute_types)} if plan.attribute_types else {}),
        "composition": dict(counts.composition),
        "rejects": _by_stage(counts.rejects),
        "leaked": counts.leaked,
        **({"leak_unchecked": counts.leak_unchecked} if counts.leaked is not None and counts.leak_unchecked else {}),
        **_expressions(counts.expressions),
        **_optional(counts, recipe),
        "classifier": counts.classifier,
        "samples": [dict(sample) for sample in counts.samples],
        "usage": usage_of(recipe, used),
        "shards": [asdict(shard) for shard in shards],
    }
    return sealed({**manifest, "citation": citation_of(manifest)})


def _personas(plan: Plan) -> dict[str, Any]:
    """Return the counts of personas, and the pairs of their attributes that no table ties, or only through others."""
    people = plan.people
    counts: dict[str, Any] = {**plan.personas, "pairs_met": people.pairs_met, "pairs_possible": people.pairs_possible}
    counts |= {} if plan.source is None else {"source": dict(plan.source)}
    return counts | {key: list(lines) for key, lines in people.ties.items() if lines and any(plan.personas.values())}


def _prompts(recipe: Recipe) -> dict[str, Any]:
    styled, templates = recipe.mixture() is not None, templates_of(recipe)
    named = {"version": prompt_version(templates, styled=styled), "templates": versions(templates, styled=styled)}
    return named | prompt_entries(recipe)


def _configs(shards: Sequence[ShardFile]) -> dict[str, Any]:
    return {"configs": configurations(shards), "views": {name: dict(view) for name, view in VIEWS.items()}}


def _taxonomy(recipe: Recipe) -> dict[str, Any]:
    taxonomy = recipe.chosen_taxonomy()
    emotions = [{"name": emotion.name, "definition": emotion.definition} for emotion in taxonomy.emotions]
    return {"name": taxonomy.name, "emotions": emotions}


def _expressions(counts: Mapping[tuple[str | None, str | None], int] | None) -> dict[str, dict[str, dict[str, int]]]:
    """Return the texts by the expression asked for and by the one found; "unchecked": it was not looked for."""
    if counts is None:
        return {}
    table: dict[str, dict[str, int]] = {}
    for asked in EXPRESSIONS:
        row: dict[str, int] = {
            found or "unchecked": counts[asked, found] for found in (*EXPRESSIONS, None) if counts[asked, found]
        }
        if row:
            table[asked] = row
    return {"expressions": table}


def disobedience(manifest: Mapping[str, Any]) -> str | None:
    """Return a warning that many texts express their emotion in another way than asked; None: they do not."""
    table: Mapping[str, Mapping[str, int]] = manifest.get("expressions", {})
    checked = {asked: sum(found.values()) - found.get("unchecked", 0) for asked, found in table.items()}
    as_asked = {asked: found.get(asked, 0) for asked, found in table.items() if checked[asked]}
    if sum(as_asked.values()) >= MIN_AS_ASKED * sum(checked.values()):
        return None
    kinds = ", ".join(f"{asked} {count} of {checked[asked]}" for asked, count in as_asked.items())
    return (
        f"{sum(as_asked.values())} of {sum(checked.values())} texts express their emotion as asked ({kinds}); set "
        "checks.expression to reject, or try another model"
    )


def _optional(counts: RunCounts, recipe: Recipe) -> dict[str, dict[str, Any]]:
    keys = {
        "profanity": counts.profanity,
        "screening": counts.screening,
        "persona_words": counts.persona_words,
        "grounding": _grounding(recipe, counts.real_texts),
    }
    return {name: dict(values) for name, values in keys.items() if values is not None}


def _grounding(recipe: Recipe, shown: Mapping[str, int] | None) -> dict[str, Any] | None:
    """Return the sources of the real texts in the prompts, with their terms, and how many texts the prompts show."""
    if recipe.grounding is None:
        return None
    sources = {
        key: {
            "source": pool.name,
            "digest": pool.digest,
            **asdict(pool.terms),
            "available": sum(map(pool.available, pool.texts)),
        }
        for key, pool in load_pools(recipe).items()
    }
    return {**sources, "verbalized": recipe.grounding.verbalized, **(shown or {})}


def _by_stage(rejects: Mapping[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for (stage, reason), count in sorted(rejects.items()):
        counts.setdefault(stage, {})[reason] = count
    return counts


def same_release(folder: Path, recipe: Recipe) -> dict[str, Any] | None:
    """Return the manifest of a release that this version would make alike; None: there is no such release.

    Its files are not looked at; see `damage_of`.

    A release of other prompts, tables, columns or another licence does not count: it is made again, and the journal
    answers every request that has not changed.
    """
    try:
        manifest = read_manifest(folder)
    except ReleaseError:
        return None
    is_same = manifest["fingerprint"] == recipe.fingerprint() and not differing_parts(manifest, recipe)
    return manifest if is_same else None


def differing_parts(manifest: Mapping[str, Any], recipe: Recipe) -> tuple[str, ...]:
    """Return in words what this version would make otherwise in a release, beside the settings of its fingerprint."""
    styled = recipe.mixture() is not None
    form = form_of(manifest)
    wanted = _wanted_form(recipe, form)
    same_columns = form.is_mixed == wanted.is_mixed and all(
        columns_of(config, form) == columns_of(config, wanted) for config in manifest["configs"]
    )
    parts = {
        "other prompts": manifest["prompts"]["version"] == prompt_version(templates_of(recipe), styled=styled),
        "other tables": manifest["tables"] == digests(styles=styled),
        "another licence": manifest.get("license") == recipe.licence(),
        "other columns": same_columns,
    }
    return tuple(name for name, is_same in parts.items() if not is_same)


def _wanted_form(recipe: Recipe, form: TableForm) -> TableForm:
    """Return the form of a recipe's release, as far as it follows from the recipe.

    Its fingerprint determines the further attributes. Which attributes a source has is known from the release alone.
    """
    if recipe.personas is None or recipe.personas.source is None:
        return form_of_recipe(recipe, form.attributes)
    unknown = [name for name in form.left_out if name.startswith(("demographic.", "sociocultural."))]
    return form_of_recipe(recipe, form.attributes, unknown)


def total_rejects(manifest: Mapping[str, Any]) -> Counter[str]:
    """Return the rejected replies of a release by reason, over all stages."""
    counts: Counter[str] = Counter()
    for reasons in manifest["rejects"].values():
        counts.update(reasons)
    return counts


def model_license(manifest: Mapping[str, Any]) -> str | None:
    """Return the licence of the model's weights; None: unknown. Version 0.1 spelled the key `licence`."""
    model: Mapping[str, str | None] = manifest["model"]
    return model.get("license", model.get("licence"))


def leak_line(manifest: Mapping[str, Any]) -> str:
    """Return how many texts name their emotion, or that they were not checked.

    Args:
        manifest: a manifest, or an object with its keys `leaked` and `leak_unchecked`.

    """
    if manifest["leaked"] is None:
        return "not checked: the word list is English"
    unchecked = manifest.get("leak_unchecked")
    return f"{manifest['leaked']:,}" + (
        f" ({unchecked:,} texts that are not in English were not checked)" if unchecked else ""
    )


def events_line(manifest: Mapping[str, Any]) -> str:
    """Return how many events the texts have, and how often one is repeated; empty: the texts have no events.

    Args:
        manifest: a manifest; older ones do not count the texts of an event.

    """
    composition = manifest.get("composition") or {}
    number, most = composition.get("events", 0), composition.get("most_frequent_event")
    if not number:
        return ""
    line = f"{number} different event{'s' if number != 1 else ''}"
    if most is None:
        return line
    texts = sum(manifest["configs"]["all"]["rows"].values())
    most_texts = "one text" if most["texts"] == 1 else f"{most['texts']} texts"
    return (
        f"{line}, {texts / number:.3g} texts per event on average; the most frequent one ({most['event']}) is in "
        f"{most_texts} ({100 * most['texts'] / texts:.2g} %)"
    )


def classifier_facts(manifest: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the facts on the emotion classifier; None: no classifier ran."""
    facts: Mapping[str, Any] | None = manifest.get("classifier", manifest.get("checker"))  # key of columns 1.0.0
    return facts
