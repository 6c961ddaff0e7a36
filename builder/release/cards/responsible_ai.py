"""The Responsible-AI fields of croissant.json, in sentences made from the manifest.

Eight of them are the minimal set that NeurIPS asks for since 2026
(https://neurips.cc/Conferences/2026/EvaluationsDatasetsHosting). Where the manifest knows nothing, the sentence
states the reason.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from personagen.builder.core.foreign_text import printable
from personagen.builder.core.package_data import read_yaml, sources
from personagen.builder.core.records import LAYERS
from personagen.builder.release.cards.citation import PAPER_URL
from personagen.builder.release.cards.grounding import grounding_sources
from personagen.builder.release.cards.screening import screening_line
from personagen.builder.release.manifest import classifier_facts, total_rejects
from personagen.builder.release.model_facts import named_models

MAX_SENTENCE_CHARS = 1_000
"""Characters of a sentence of others, such as a finding of the audit; the rest is cut off."""

REQUIRED = (
    *("rai:dataLimitations", "rai:dataBiases", "rai:personalSensitiveInformation", "rai:dataUseCases"),
    *("rai:dataSocialImpact", "rai:hasSyntheticData", "prov:wasDerivedFrom", "prov:wasGeneratedBy"),
)
"""The minimal set."""


def responsible_ai_of(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the vocabularies RAI 1.0 and PROV-O."""
    return {
        "rai:dataLimitations": list(_limitations(manifest)),
        "rai:dataBiases": list(_biases(manifest)),
        "rai:personalSensitiveInformation": list(_personal_information(manifest)),
        "rai:dataUseCases": list(_use_cases(manifest)),
        "rai:dataSocialImpact": " ".join(_social_impact(manifest)),
        "rai:hasSyntheticData": True,
        "prov:wasDerivedFrom": list(_origins(manifest)),
        "prov:wasGeneratedBy": list(_activities(manifest)),
        "rai:dataCollection": _collection(manifest),
        "rai:dataCollectionType": ["Software Collection"],
        "rai:dataCollectionMissingData": (
            f"{total_rejects(manifest).total()} replies of the model were rejected; texts that it refused to write "
            "are missing."
        ),
        "rai:dataAnnotationProtocol": "The label of a text is the emotion that the model was asked to express.",
        "rai:machineAnnotationTools": [_annotation_tool(manifest)],
        "rai:annotatorDemographics": ["No person labelled the texts."],
        "rai:dataReleaseMaintenancePlan": (
            "Unknown: a release does not record who publishes it. The same recipe makes it again from its journal."
        ),
    }


def has_layers(manifest: Mapping[str, Any]) -> bool:
    """Return whether any text of a release was conditioned on a layer of a persona."""
    return any(layer in manifest["configs"] for layer in LAYERS)


def _limitations(manifest: Mapping[str, Any]) -> Iterator[str]:
    yield "The labels are the emotions that the model was asked for, not those that readers assign."
    number = len(named_models(manifest))
    yield (
        f"The texts share the habits of {'one model' if number == 1 else f'{number} models'}. They do not replace text "
        "by people without a comparison against it."
    )
    if manifest["model"]["backend"] == "embedded":
        yield (
            "A model of 135 million parameters completed sentences whose beginnings were written for PersonaGen. The "
            "texts demonstrate the software and are no evidence for or against the method."
        )
    if not manifest.get("scores"):
        yield "The texts have not been measured: how close they are to text by people is unknown."
    for score in manifest.get("scores") or ():
        yield _cut(f"{score['metric']}: {score['value']}")
    if below := manifest.get("below_floor"):
        yield _cut(
            f"They teach a classifier of real text less than three plain sentences per label: {'; '.join(below)}"
        )
    if manifest["recipe"]["text"]["language"] is not None:
        yield f"All texts are meant to be in one language: {manifest['recipe']['text']['language']}."


def _source_of(manifest: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the facts on the source of the personas; None: they were drawn from tables."""
    facts: Mapping[str, Any] | None = manifest["personas"].get("source")
    return facts


def _biases(manifest: Mapping[str, Any]) -> Iterator[str]:
    if (source := _source_of(manifest)) is not None:
        yield _cut(
            f"The personas were chosen from {source['rows']:,} rows of {source['name']} for varied pairs of attribute "
            "values. They represent no population, and have the errors and stereotypes of their source."
        )
    elif has_layers(manifest):
        yield (
            "Attributes of the personas are drawn from approximate tables, each of which depends on few of the others. "
            "They represent no population."
        )
        yield "Traits, backgrounds and emotions come from tables and from a model: expect stereotypes."
    else:
        yield "The model was given no persona: the texts have the biases of the model, which are unknown."
    findings = manifest.get("findings")
    if findings is None:
        yield "Unknown: associations of texts with persona attributes. No audit was run."
    elif findings:
        yield from (_cut(f"The audit found: {finding}") for finding in findings)
    else:
        yield _cut(
            f"The audit found no association beyond the planned ones. {manifest.get('audit_power') or ''}".strip()
        )
    yield from (_cut(f"Counterfactual pairs: {line}") for line in manifest.get("counterfactuals") or ())


def _personal_information(manifest: Mapping[str, Any]) -> Iterator[str]:
    if (source := _source_of(manifest)) is not None:
        yield _cut(f"Personas are rows of {source['name']}. Whether they describe real people was not examined.")
    elif has_layers(manifest):
        yield (
            "Personas are invented. Their attributes include gender, age, religion, country and personality. No real "
            "person is described on purpose."
        )
    yield "The model may repeat names or stories of its training data."
    yield screening_line(manifest)


def _use_cases(manifest: Mapping[str, Any]) -> Iterator[str]:
    yield "Training and testing of emotion classifiers, together with text by people."
    if has_layers(manifest):
        yield "Study of the effect of persona conditioning: each row has the values that its text was conditioned on."
    yield "Development of a pipeline before text by people is available."
    yield "Not validated for any of these uses by its maker, as far as the release records."


def _social_impact(manifest: Mapping[str, Any]) -> Iterator[str]:
    yield (
        "Emotion recognition can harm people: do not diagnose, profile or score people, nor infer the emotions of "
        "people at work, at school or before an authority."
    )
    yield "Do not present the texts as written by people."
    if has_layers(manifest):
        yield (
            "Differences between groups of personas come from the model and the tables. They are no evidence on the "
            "groups of people that the attributes name."
        )
    yield "Effects on people were not studied: a release records none."


def _origins(manifest: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the models, the attribute tables and the style profiles that the texts derive from."""
    for model in named_models(manifest):
        licence = model.get("license", model.get("licence")) or "unknown: the release does not record it"
        yield {
            "@type": "prov:Entity",
            "prov:label": f"model {_cut(str(model['name']))}, revision {_cut(str(model['revision'] or 'unknown'))}",
            "sc:license": _cut(licence),
        }
    if (people := _source_of(manifest)) is not None:
        yield {
            "@type": "prov:Entity",
            "prov:label": _cut(f"personas: {people['name']}, revision {people['revision'] or people['sha256'][:16]}"),
            "sc:license": people["license"] or "unknown: the source does not state it",
        }
    elif has_layers(manifest):
        for source in sources():
            yield {
                "@type": "prov:Entity",
                "prov:label": f"{source['table']}: {source['source']}",
                "sc:license": source["licence"],
            }
    for name in manifest["recipe"]["text"].get("style") or ():
        style = read_yaml("styles.yaml").get(name)
        yield {
            "@type": "prov:Entity",
            "prov:label": _cut(
                f"style profile {name}: {style['source'] if style else 'texts of the maker of the recipe'}"
            ),
            "sc:license": style["licence"] if style else "unknown: the release does not record it",
        }
    for use, source in grounding_sources(manifest).items():
        yield {
            "@type": "prov:Entity",
            "prov:label": _cut(f"real texts of {source['source']} in the prompts, {use}"),
            "sc:license": source["license"] or "unknown: the release does not record it",
        }


def _activities(manifest: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the steps that made the release."""
    software = {"@type": "prov:SoftwareAgent", "prov:label": f"PersonaGen {manifest['personagen']}"}
    personas = manifest["personas"]
    people = _source_of(manifest)
    if has_layers(manifest):
        count = personas["train"] + personas["validation"] + personas["test"]
        yield _activity(
            "Drawing of personas",
            f"{count} personas were drawn from tables, seed {manifest['seed']}."
            if people is None
            else _cut(f"{count} personas were chosen from {people['name']}, seed {manifest['seed']}."),
            software,
        )
    usage = manifest["usage"]
    yield _activity(
        "Writing of texts",
        f"{_collection(manifest)} {usage['requests']} requests; recipe {manifest['fingerprint']}, prompts "
        f"{manifest['prompts']['version']}.",
        *({"@type": "prov:SoftwareAgent", "prov:label": _cut(str(model["name"]))} for model in named_models(manifest)),
        software,
    )
    yield _activity("Checking of texts", f"{total_rejects(manifest).total()} replies were rejected.", software)
    if classifier_facts(manifest):
        yield _activity("Prediction of emotions", _annotation_tool(manifest), software)
    for key, name in (("evaluation", "Measuring"), ("audit", "Audit")):
        if manifest.get(key):
            yield _activity(name, f"Results are in {manifest[key]['path']}.", software)


def _activity(label: str, description: str, *agents: Mapping[str, str]) -> dict[str, Any]:
    return {
        "@type": "prov:Activity",
        "prov:label": label,
        "sc:description": description,
        "prov:wasAssociatedWith": [dict(agent) for agent in agents],
    }


def _collection(manifest: Mapping[str, Any]) -> str:
    given = "a persona and an emotion" if manifest["recipe"]["depth"] != "none" else "an emotion"
    if manifest["model"]["backend"] == "embedded":
        return f"A language model completed texts whose beginnings were written for PersonaGen, each for {given}."
    if "models" in manifest:
        return f"One of {len(manifest['models'])} language models wrote each text for {given} (method: {PAPER_URL})."
    return f"A language model wrote each text for {given} (method: {PAPER_URL})."


def _annotation_tool(manifest: Mapping[str, Any]) -> str:
    facts = classifier_facts(manifest)
    if not facts:
        return "None: no emotion classifier was run."
    return _cut("Emotion classifier: " + ", ".join(f"{name} {value}" for name, value in facts.items()))


def _cut(text: str) -> str:
    return printable(text if len(text) <= MAX_SENTENCE_CHARS else f"{text[:MAX_SENTENCE_CHARS]} ... (cut)")
