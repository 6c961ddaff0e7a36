"""Differences between recipes by key."""

from hypothesis import given
from hypothesis import strategies as st

from personagen.builder.planning.recipe.differences import RecipeDifference, describe_differences, recipe_differences
from personagen.builder.planning.recipe.parsing import parse_recipe

LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)
SETTINGS = st.dictionaries(st.text(max_size=3), LEAVES | st.dictionaries(st.text(max_size=2), LEAVES), max_size=4)


def test_every_changed_setting_is_named_with_both_values() -> None:
    one = parse_recipe("rows: 70\ndraw: {temperature: 0.5}", "r").identity()
    other = parse_recipe("rows: 140\nemotions: [joy, fear]\ndraw: {temperature: 0.5}", "r").identity()
    assert [*recipe_differences(one, other)] == [
        RecipeDifference("rows", 70, 140),
        RecipeDifference("emotions", None, ["joy", "fear"]),
    ]
    assert describe_differences(one, other) == (
        'rows is 70 there and 140 here, emotions is not set there and ["joy", "fear"] here'
    )


def test_many_differences_and_long_values_are_cut() -> None:
    one, other = {key: key * 100 for key in "abcde"}, dict.fromkeys("abcde", 1)
    assert describe_differences(one, other) == (
        ", ".join(f"{key} is {key * 56} ... there and 1 here" for key in "abc") + ", and 2 more differ"
    )


@given(SETTINGS, SETTINGS)
def test_nothing_differs_exactly_if_the_recipes_are_equal(one: dict[str, object], other: dict[str, object]) -> None:
    assert not [*recipe_differences(one, one)]
    differences = [*recipe_differences(one, other)]
    swapped = {(found.key, repr(found.other), repr(found.one)) for found in recipe_differences(other, one)}
    assert {(found.key, repr(found.one), repr(found.other)) for found in differences} == swapped
