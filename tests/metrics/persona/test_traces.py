"""What texts show of their personas: planted traces are found, and shuffled personas are not."""

import numpy as np
import pytest

from personagen.metrics.persona import AttributeTrace, persona_traces
from personagen.metrics.persona import traces as module
from personagen.metrics.persona.recovery import recovered_by_reader
from personagen.metrics.persona.shown import ANY, shown_and_chance, shown_by_words
from personagen.metrics.persona.words import ENGLISH_ONLY

COUNTRIES = {"Brazil": "in São Paulo", "Nigeria": "in Lagos", "Japan": "in Tokyo"}
REGISTERS = ("formal", "casual")


def planted(count: int, seed: int, *, delivered: float, shuffled: bool = False) -> list[AttributeTrace]:
    """Measure texts, two per persona; a fraction of them names the country, whose vectors lean towards it."""
    generator = np.random.default_rng(seed)
    countries = [list(COUNTRIES)[number % 3] for number in range(count)]
    registers = [REGISTERS[number // 3 % 2] for number in range(count)]
    stated = [countries[number] for number in (generator.permutation(count) if shuffled else range(count))]
    directions = generator.normal(size=(3, 24))
    texts, vectors, labels, personas, ids = [], [], [], [], []
    for number in range(count):
        for part in range(2):
            place = COUNTRIES[stated[number]] if generator.random() < delivered else "somewhere"
            texts.append(f"It rained {place} for days.")
            lean = directions[list(COUNTRIES).index(stated[number])] * (2 * delivered)
            vectors.append(generator.normal(size=24) + lean)
            labels.append(("joy", "fear")[(number + part) % 2])
            personas.append({"country": countries[number], "register": registers[number], "title": str(number)})
            ids.append(f"p{number}")
    table = np.array(vectors)
    unit = (table / np.linalg.norm(table, axis=1, keepdims=True)).astype(np.float32)
    return persona_traces(texts, unit, labels, personas, ids, seed=seed)


def by_name(traces: list[AttributeTrace]) -> dict[str, AttributeTrace]:
    return {trace.attribute: trace for trace in traces}


def test_a_planted_country_is_found_and_the_register_is_not() -> None:
    traces = by_name(planted(60, 1, delivered=0.5))
    country, register = traces["country"], traces["register"]
    assert country.n == 120 and country.personas == 60
    assert country.shown == pytest.approx(0.5, abs=0.1) and country.precision == 1.0
    assert country.shown_chance == pytest.approx(country.shown / 3, abs=0.05)
    assert country.shown_low is not None and country.shown_low > 0
    assert country.shown_p is not None and country.shown_p < 0.01
    assert country.auc is not None and country.auc > 0.7
    assert country.auc_p is not None and country.auc_p < 0.01
    assert register.shown == 0.0 and register.shown_p == 1.0 and register.precision is None
    assert register.auc_p is not None and register.auc_p > 0.05
    assert traces[ANY].shown == country.shown and traces[ANY].auc is None


def test_exchanged_personas_are_found_no_more_often_than_stated() -> None:
    traces = [by_name(planted(30, seed, delivered=0.8, shuffled=True)) for seed in range(30)]
    by_words = sum((run["country"].shown_p or 0.0) < 0.05 for run in traces)
    by_reader = sum((run["country"].auc_p or 0.0) < 0.05 for run in traces)
    assert by_words <= 4 and by_reader <= 4  # of 30; 5 or more have a probability of 1.6 % at a rate of 5 %
    shown = np.mean([(run["country"].shown or 0.0) - (run["country"].shown_chance or 0.0) for run in traces])
    assert abs(shown) < 0.04


def test_texts_in_another_language_have_a_reader_and_no_figures_by_words() -> None:
    vectors = np.eye(40, dtype=np.float32)
    personas = [{"country": list(COUNTRIES)[number % 2]} for number in range(40)]
    ids = [str(number) for number in range(40)]
    traces = persona_traces(["Regen in Lagos"] * 40, vectors, ["joy"] * 40, personas, ids, is_english=False)
    assert [(trace.attribute, trace.shown, trace.words_reason) for trace in traces] == [("country", None, ENGLISH_ONLY)]
    assert traces[0].auc is not None and traces[0].reader_reason is None


def test_an_attribute_with_too_few_personas_per_value_has_no_reader_with_the_reason() -> None:
    traces = by_name(planted(12, 2, delivered=0.5))
    assert traces["country"].auc is None
    assert traces["country"].reader_reason == "no value has 5 personas beside 5 others"
    assert traces["country"].shown is not None


def test_few_personas_have_fractions_and_no_p() -> None:
    traces = by_name(planted(4, 3, delivered=1.0))
    assert traces["country"].shown == 1.0 and traces["country"].shown_p is None
    assert traces["country"].words_reason == "4 personas, wanted 5"


def test_one_persona_per_label_has_no_chance() -> None:
    groups = np.array([0, 0, 1, 1])
    personas = [{"country": "Brazil"}] * 2 + [{"country": "Japan"}] * 2
    records = shown_by_words(["in Tokyo"] * 4, ["joy", "joy", "fear", "fear"], personas, groups, 0)
    assert [(record.shown, record.chance, record.reason) for record in records] == [
        (0.5, None, "each label has one persona")
    ] * 2


def test_chance_is_that_of_the_other_personas_of_the_label() -> None:
    texts = ["in Tokyo", "in Tokyo", "in Lagos", "nowhere"]
    personas = [{"country": name} for name in ("Japan", "Japan", "Nigeria", "Japan")]
    chances = shown_and_chance(texts, ["joy"] * 4, personas, ["a", "b", "c", "d"])
    assert chances["country"] == pytest.approx((1 / 3 + 1 / 3 + 0 + 2 / 3) / 4)


def test_ages_are_read_in_thirds() -> None:
    generator = np.random.default_rng(5)
    ages = generator.integers(18, 80, size=90)
    vectors = generator.normal(size=(90, 16))
    vectors[:, 0] += ages / 8
    unit = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    [record] = recovered_by_reader(unit, ["joy"] * 90, [{"age": str(age)} for age in ages], np.arange(90), 0)
    assert record.values == 3 and record.auc is not None and record.auc > 0.7 and record.p is not None
    assert record.p < 0.001


def test_more_texts_than_are_measured_are_drawn_as_whole_personas() -> None:
    groups = np.repeat(np.arange(600), 3)
    rows = module._sample(groups, 0)
    drawn = groups[rows]
    assert module.MAX_TEXTS - 3 < len(rows) <= module.MAX_TEXTS
    assert set(np.bincount(drawn)[np.unique(drawn)]) == {3}


def test_no_attributes_give_no_records() -> None:
    assert persona_traces(["a text"], np.ones((1, 2), dtype=np.float32), ["joy"], [{}], ["p"]) == []
