"""The table of figures of a card: value, interval and null apart, with direction and meaning."""

import json

import yaml

from personagen.builder.core.package_data import TEMPLATES
from personagen.builder.evaluation.score_tables.measures import DISPLAYED
from personagen.builder.release.cards.card import render_card
from personagen.builder.release.cards.figures import figure_rows, shared_command
from tests.release.cards.test_card import MANIFEST, table


def score(metric: str, value: str, command: str = "personagen evaluate small") -> dict[str, str]:
    return {"metric": metric, "value": value, "command": command}


def test_each_measure_of_the_terminal_has_its_direction_and_a_meaning() -> None:
    measures = yaml.safe_load((TEMPLATES / "measures.yaml").read_text(encoding="utf-8"))
    directions = {metric: {name: entry[0] for name, entry in part.items()} for metric, part in measures.items()}
    assert directions == {metric: dict(part) for metric, part in DISPLAYED.items()}
    assert all(len(entry) == 2 and entry[1] for part in measures.values() for entry in part.values())


def test_interval_and_null_have_columns_and_the_command_stands_once() -> None:
    manifest = json.loads(MANIFEST.read_text(encoding="utf-8"))
    manifest["scores"] = [
        score("realism: polarity", "0.05 (95 %: 0.01 to 0.09; real: -0.2; outside the null)"),
        score("utility: macro-F1 on comments, TF-IDF", "0.290 (95 %: 0.27 to 0.31; as many real texts: 0.4)"),
        score("human_likeness: human_likeness", "3.25 (real: 3.5); not validated"),
        score("diversity: duplicate_share", "0"),
        score("mine: other", "1 (a|b"),
    ]
    card = render_card(manifest)
    found = {name.replace("\\", ""): cells[:4] for name, cells in table(card, "| measure |").items()}
    assert found == {
        "realism: polarity": ["0.05; outside the null", "0.01 to 0.09", "real: -0.2", "real"],
        "utility: macro-F1 on comments, TF-IDF": ["0.290", "0.27 to 0.31", "as many real texts: 0.4", "higher"],
        "human_likeness: human_likeness": ["3.25; not validated", "", "real: 3.5", "higher"],
        "diversity: duplicate_share": ["0", "", "", "lower"],
        "mine: other": [r"1 (a\|b", "", "", ""],
    }
    assert card.count("personagen evaluate small") == 1


def test_figures_of_several_commands_have_no_shared_one() -> None:
    manifest = {"scores": [score("a: b", "1", "one"), score("a: c", "1", "two")]}
    assert shared_command(manifest) == "" and [row["value"] for row in figure_rows(manifest)] == ["1", "1"]
