"""What a comparison found, as Markdown: verdicts in words, tables of figures with their intervals, costs."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from personagen.builder.evaluation.claims import counts
from personagen.builder.evaluation.scores import format_number

MAIN: Mapping[str, str] = {
    "vendi_score": "Vendi score",
    "self_bleu": "self-BLEU",
    "mmd2": "MMD²",
    "c2st_auc": "C2ST AUC",
    "label_agreement": "label agreement",
    "leak_rate": "leak rate",
    "tstr_macro_f1": "TSTR F1",
    "masked_tstr_macro_f1": "TSTR F1, masked",
    "gain_macro_f1": "gain on 100 real",
}
"""Figures of the first table; all others follow in tables of their own."""


def results_lines(results: Mapping[str, Any]) -> Iterator[str]:
    """Write `results.md`."""
    model, reference = results["model"], results["reference"]
    yield "# Does conditioning on personas help?"
    yield ""
    yield (
        f"{results['rows']} texts an arm in {results['seeds']} seeds by {model['name']} ({model['backend']}), "
        f"against {reference['name']}. Intervals are 95 %; `{results['command']}`, PersonaGen {results['personagen']}."
    )
    yield ""
    found = counts(results["claims"])
    yield "## Verdicts"
    yield ""
    yield f"Of {len(results['claims'])} claims: " + ", ".join(f"{count} {name}" for name, count in found.items()) + "."
    yield "p is corrected for their number (Holm); an undecided claim is neither shown nor refuted by so many texts."
    yield ""
    yield from claims_table(results["claims"])
    yield ""
    yield "## Arms"
    yield ""
    yield from figures_table(results["arms"], MAIN)
    yield ""
    yield "## Cost"
    yield ""
    yield from costs_table(results["arms"])
    yield from _human_likeness(results)
    yield ""
    yield "## Label classifier"
    yield ""
    yield classifier_line(results["classifier"])
    names = list(dict.fromkeys(name for arm in results["arms"].values() for name in arm["figures"]))
    others = [name for name in names if name not in MAIN]
    for start in range(0, len(others), 8):
        yield ""
        yield "## All figures" if start == 0 else ""
        yield ""
        yield from figures_table(results["arms"], {name: f"`{name}`" for name in others[start : start + 8]})


def verdict_lines(results: Mapping[str, Any]) -> Iterator[str]:
    """Write a line for every claim, for the terminal."""
    for claim in results["claims"]:
        interval = "" if claim["low"] is None else f" [{signed(claim['low'])}, {signed(claim['high'])}]"
        chance = "" if claim["p_corrected"] is None else f", p {claim['p_corrected']:.2g}"
        against = f" - {claim['against']}" if claim["against"] else ""
        yield (
            f"{claim['verdict']}: {claim['says']} ({claim['measure']}, {claim['arm']}{against}: "
            f"{signed(claim['difference'])}{interval}{chance})"
        )
    found = counts(results["claims"])
    yield ", ".join(f"{count} {name}" for name, count in found.items())


def claims_table(claims: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Write a row for every claim."""
    rows = []
    for claim in claims:
        against = claim["against"] or format_number(claim["null"])
        low_high = "" if claim["low"] is None else f"{signed(claim['low'])} to {signed(claim['high'])}"
        chance = "" if claim["p_corrected"] is None else f"{claim['p_corrected']:.2g}"
        compared = f"{claim['measure']}: {claim['arm']} against {against}"
        rows.append([claim["says"], f"**{claim['verdict']}**", compared, signed(claim["difference"]), low_high, chance])
    yield from _table(["claim", "verdict", "compared", "difference", "95 %", "p"], rows, "lll")


def figures_table(arms: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[str]:
    """Write a row for every arm and a column for every figure, with half the width of its interval."""
    rows = [[arm, *(_cell(facts["figures"].get(name)) for name in names)] for arm, facts in arms.items()]
    yield from _table(["arm", *names.values()], rows, "l")


def costs_table(arms: Mapping[str, Any]) -> Iterator[str]:
    """Write what each arm took for an accepted text."""
    rows = list(costs(arms))
    yield from _table(list(rows[0]), [list(row.values()) for row in rows], "l")


def costs(arms: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """Tell what each arm took for an accepted text, as it is shown, by the names of the columns."""
    for arm, facts in arms.items():
        yield {
            "arm": arm,
            "texts": str(facts["texts"]),
            "missing": str(facts["missing"] or ""),
            "tokens a text": format_number(facts["tokens_per_text"]),
            "cost a text": "" if facts["cost_per_text"] is None else f"{facts['cost_per_text']:.3g}",
            "rejects a text": format_number(facts["rejects_per_text"]),
            "reasons": ", ".join(f"{name} {count}" for name, count in facts["rejects"].items()),
        }


def classifier_line(classifier: Mapping[str, Any]) -> str:
    """Tell in one line how far the emotion classifier is to be believed."""
    return (
        f"Logistic regression on {classifier['model']}, trained on {classifier['trained_on']} texts of "
        f"{classifier['reference']} (version {classifier['version']}). On {classifier['tested_on']} texts that it was not "
        f"trained on: accuracy {classifier['accuracy']:.3f}, over labels alike {classifier['balanced_accuracy']:.3f}, "
        f"macro-F1 {classifier['macro_f1']:.3f}, calibration error {classifier['calibration_error']:.3f}."
    )


def _human_likeness(results: Mapping[str, Any]) -> Iterator[str]:
    found = results["human_likeness"]
    if not found:
        return
    yield ""
    yield "## Human-likeness"
    yield ""
    doubt = next((arm["judge_validation"] for arm in found.values() if not arm.get("judge_validated", True)), None)
    if doubt:
        yield f"Not validated: {doubt}"
        yield ""
    rows = []
    for arm, facts in found.items():
        if "problem" in facts:
            rows.append([arm, facts["problem"], "", ""])
            continue
        keys = ("human_likeness", "human_likeness_gap", "human_likeness_auc")
        rows.append([arm, *("" if facts.get(key) is None else format_number(facts[key]) for key in keys)])
    yield from _table(["arm", "rating", "above real", "AUC against real"], rows, "l")


def _cell(figure: Mapping[str, Any] | None) -> str:
    if figure is None:
        return ""
    if figure["low"] is None:
        return format_number(figure["value"])
    return f"{format_number(figure['value'])} ± {(figure['high'] - figure['low']) / 2:.2g}"


def signed(value: float) -> str:
    """Write a difference with its sign."""
    return f"{'+' if value > 0 else ''}{format_number(value)}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], left: str) -> Iterator[str]:
    """Write a table of Markdown; columns beyond those of `left` are numbers."""
    yield "| " + " | ".join(head) + " |"
    yield "| " + " | ".join("---" if place < len(left) else "---:" for place in range(len(head))) + " |"
    for row in rows:
        yield "| " + " | ".join(row) + " |"
