"""Cells of personas: dealt in their fractions, and fitted to the margins of a recipe."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personagen.builder.planning.personas.cells import deal_cells, even_margin, fit_cells, margin_of

cells = st.lists(st.tuples(st.text("abcd", min_size=1, max_size=3)), min_size=1, max_size=12, unique=True)


@given(cells, st.integers(0, 2**40), st.integers(0, 5))
def test_equal_cells_are_equally_frequent_in_every_block(labels: list[tuple[str]], seed: int, block: int) -> None:
    dealt = deal_cells(dict.fromkeys(labels, 1 / len(labels)), seed)
    size = len(labels)
    assert Counter(dealt.cell_of(number) for number in range(block * size, (block + 1) * size)) == Counter(labels)


def test_shares_of_three_to_one_are_exact_in_every_four_personas() -> None:
    dealt = deal_cells({("b",): 0.75, ("j",): 0.25}, 5)
    for start in range(0, 40, 4):
        assert Counter(dealt.cell_of(number) for number in range(start, start + 4)) == {("b",): 3, ("j",): 1}


@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=8), st.integers(0, 99), st.integers(200, 3_000))
def test_any_fractions_are_met_over_many_personas(weights: list[float], seed: int, count: int) -> None:
    total = sum(weights)
    targets = {(str(number),): weight / total for number, weight in enumerate(weights)}
    dealt = deal_cells(targets, seed)
    counts = Counter(dealt.cell_of(number) for number in range(count))
    for cell, fraction in targets.items():  # whole blocks deviate by two, the begun block by as many as it has
        assert abs(counts[cell] - fraction * count) <= 2 + dealt.block


def test_the_cell_of_a_persona_does_not_depend_on_the_order_of_questions() -> None:
    targets = {("a",): 0.3, ("b",): 0.45, ("c",): 0.25}
    forwards, backwards = deal_cells(targets, 1), deal_cells(targets, 1)
    numbers = range(10_000)
    assert [forwards.cell_of(number) for number in numbers] == [
        backwards.cell_of(number) for number in reversed(numbers)
    ][::-1]


@given(st.dictionaries(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz")), st.floats(0.01, 1), min_size=6))
def test_fitting_keeps_odds_ratios_and_meets_the_margins(joint: dict[tuple[str, ...], float]) -> None:
    weights = {("x",): 0.2, ("y",): 0.3, ("z",): 0.5}
    fitted = fit_cells(joint, [((1,), weights), even_margin(joint, (0,))])
    assert margin_of(fitted, (0,)) == pytest.approx({("a",): 0.5, ("b",): 0.5})
    assert margin_of(fitted, (1,)) == pytest.approx(weights)
    for one, other in (("x", "y"), ("y", "z")):
        odds = [
            table["a", one] * table["b", other] / (table["a", other] * table["b", one]) for table in (joint, fitted)
        ]
        assert odds[1] == pytest.approx(odds[0], rel=1e-5)


def test_margins_that_contradict_each_other_are_refused() -> None:
    joint = {("old", "retired"): 0.2, ("young", "employed"): 0.4, ("old", "employed"): 0.4}
    with pytest.raises(ArithmeticError) as error:
        fit_cells(joint, [((0,), {("old",): 0.5, ("young",): 0.5}), ((1,), {("retired",): 0.7, ("employed",): 0.3})])
    assert len(error.value.args) == 3
