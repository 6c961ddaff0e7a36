"""The draw of real texts per row: independent or dealt, without barred texts, the same for counterfactuals."""

from collections import Counter
from dataclasses import replace

import pytest

from personagen.builder.planning.plan import Counterfactual, make_plan
from personagen.builder.planning.real_texts import ExampleDraw, PoolText, SourceDraw, TextPool
from personagen.builder.planning.real_texts.terms import SourceTerms
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.styles import draw_examples

TEXTS = [PoolText(row, f"the text {row}") for row in range(40)]
PLAN = make_plan(Recipe(rows=60, emotions=("joy",), depth="none"))
ROWS = [row for shard in PLAN.shards() for row in PLAN.rows(shard)]


def pool(*barred: int) -> TextPool:
    return TextPool("a file.csv", "0" * 16, "", {"joy": TEXTS}, frozenset(barred), SourceTerms())


def test_examples_are_those_of_a_file_with_the_same_texts() -> None:
    draw = ExampleDraw(pool(), 7, 4)
    for row in ROWS:
        assert tuple(text.text for text in draw.draw(row)) == draw_examples([t.text for t in TEXTS], 7, row.id)


def test_a_barred_text_is_replaced_in_its_rows_alone() -> None:
    free, barred = ExampleDraw(pool(), 7, 4), ExampleDraw(pool(3, 8), 7, 4)
    changed = 0
    for row in ROWS:
        before, after = free.draw(row), barred.draw(row)
        assert len(set(after)) == 4 and not {3, 8} & {text.row for text in after}
        hit = bool({3, 8} & {text.row for text in before})
        assert (before == after) == (not hit)
        changed += hit
    assert 0 < changed < len(ROWS)


@pytest.mark.parametrize("count", [1, 3, 7])
def test_dealt_examples_are_used_evenly_and_no_more_than_allowed(count: int) -> None:
    most = -(-len(ROWS) // (38 // count))
    draw = ExampleDraw(pool(3, 8), 7, count, most)
    uses = Counter(text for row in ROWS for text in draw.draw(row))
    assert max(uses.values()) <= most and not {3, 8} & {text.row for text in uses}
    assert all(len(set(draw.draw(row))) == count for row in ROWS)
    limit = draw.most_rows("joy")
    assert limit is not None and limit >= len(ROWS) and ExampleDraw(pool(), 7, 4).most_rows("joy") is None
    assert [draw.draw(row) for row in reversed(ROWS)] == [draw.draw(row) for row in ROWS][::-1]


def test_every_row_paraphrases_a_text_of_its_own_and_barred_ones_move_no_other() -> None:
    free, barred = SourceDraw(pool(), 7), SourceDraw(pool(3, 8), 7)
    before, after = [free.draw(row) for row in ROWS], [barred.draw(row) for row in ROWS]
    assert len({*before} - {None}) == 40 and before[40:] == [None] * 20 and after[38:] == [None] * 22
    assert not {3, 8} & {text.row for text in after if text}
    assert sum(one != other for one, other in zip(before[:38], after, strict=False)) <= 2


def test_a_counterfactual_sees_the_texts_of_its_original() -> None:
    changed = replace(ROWS[0], id="joy-x", counterfactual=Counterfactual(ROWS[0].id, "gender", "woman"))
    for draw in (ExampleDraw(pool(), 7, 4), ExampleDraw(pool(), 7, 4, 9)):
        assert draw.draw(changed) == draw.draw(ROWS[0])


def test_an_id_has_no_space() -> None:
    assert pool().text_id(TEXTS[5]) == "a_file.csv:5"
