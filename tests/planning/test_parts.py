"""Parts of a plan: each row is in exactly one, and their rows are counted without planning them."""

import re
from math import lcm
from typing import Any

import pytest

from personagen.builder.core.errors import RecipeError
from personagen.builder.planning.counterfactuals import add_counterfactuals
from personagen.builder.planning.parts import MAX_PARTS, Part, count_rows, parse_part
from personagen.builder.planning.plan import make_plan
from tests.helpers.flow import LAYERED, PLAIN, recipe_for

RECIPES: dict[str, dict[str, Any]] = {
    "none": PLAIN | {"rows": 37},
    "layered": LAYERED | {"rows": 37, "situations_per_persona": 3},
    "ablations": LAYERED | {"rows": 40, "ablations": ["none", "demographic"]},
    "counterfactuals": LAYERED
    | {"rows": 40, "counterfactual.attributes.gender": ["woman", "man"], "counterfactual.pairs": 6},
}


@pytest.mark.parametrize("text", ["0/1", "0/4", "3/4", "00/04", "99999/100000"])
def test_a_part_is_parsed(text: str) -> None:
    number, of = map(int, text.split("/"))
    assert parse_part(text) == Part(number, of) and str(parse_part(text)) == f"{number}/{of}"


@pytest.mark.parametrize(
    "text", ["x", "1/0", "0/0", "", "1", "/", "-1/4", "1/-4", "1.0/4", "1/4/8", " 1/4", "1/4\n", "٠/٤", "0/100001"]
)
def test_a_text_that_is_no_part_is_named(text: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_part(text)
    assert str(caught.value) == (
        f"{text!r} is no part, wanted I/N with 0 <= I < N <= {MAX_PARTS:,}; write 0/4 for the first of four"
    )


@pytest.mark.parametrize(("text", "last"), [("4/4", "3/4"), ("1/1", "0/1"), ("999999/100000", "99999/100000")])
def test_a_part_behind_the_last_one_is_named(text: str, last: str) -> None:
    line = rf"there is no part {text}: parts are counted from 0; name one from 0/{text.split('/')[1]} to {last}"
    with pytest.raises(RecipeError, match=re.escape(line)):
        parse_part(text)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("of", [1, 2, 7, 64])
def test_every_row_is_in_one_part_and_the_counts_add_up(recipe: str, of: int) -> None:
    plan = add_counterfactuals(make_plan(recipe_for("http://127.0.0.1:9/v1", RECIPES[recipe])))
    rows = [row for shard in plan.shards() for row in plan.rows(shard)]
    parts = [Part(number, of) for number in range(of)]
    for part in parts:
        assert count_rows(plan, part) == sum(part.has(row.persona) for row in rows)
    assert all(sum(part.has(row.persona) for part in parts) == 1 for row in rows)
    assert sum(count_rows(plan, part) for part in parts) == len(rows)


def test_parts_of_different_numbers_meet_where_they_share_a_persona() -> None:
    for m in range(1, 9):
        for n in range(1, 9):
            for one in (Part(number, m) for number in range(m)):
                for other in (Part(number, n) for number in range(n)):
                    shared = any(one.has(persona) and other.has(persona) for persona in range(lcm(m, n)))
                    assert one.meets(other) == other.meets(one) == shared
