"""Planned counterfactuals: one attribute changed, all else equal, and only what could have been drawn."""

from collections import Counter
from dataclasses import asdict, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personagen.builder.core.errors import RecipeError
from personagen.builder.planning.counterfactuals import add_counterfactuals, counterfactual_persona, with_attribute
from personagen.builder.planning.personas.drawing import Persona
from personagen.builder.planning.personas.tables import known_values, persona_tables
from personagen.builder.planning.plan import Counterfactual, Plan, RowPlan, make_plan
from personagen.builder.planning.recipe.parsing import parse_recipe
from personagen.builder.planning.recipe.sections.rows import CHANGEABLE_ATTRIBUTES
from personagen.builder.planning.situations.bank import draw_scene, setting_options
from personagen.builder.planning.situations.dealing import event_of

PAIRS = """
counterfactual:
  attributes: {gender: [woman, man], religion: [none, Christian, Muslim], age: [20-24, 35-44, 65-74]}
  pairs: 6
"""

PEOPLE = make_plan(parse_recipe("rows: 900", "test"))


def planned(text: str) -> Plan:
    return add_counterfactuals(make_plan(parse_recipe(text, "test")))


def counterfactuals_of(plan: Plan) -> list[tuple[RowPlan, Counterfactual]]:
    rows = [row for splits in plan.counterfactuals.values() for part in splits.values() for row in part]
    return [(row, row.counterfactual) for row in rows if row.counterfactual is not None]


def originals_of(plan: Plan) -> dict[str, RowPlan]:
    rows = [row for shard in plan.shards() for row in plan.rows(shard)]
    return {row.id: row for row in rows if row.counterfactual is None}


def person(number: int) -> Persona:
    return PEOPLE.people.persona(number)


def test_counterfactuals_are_reproducible_and_leave_the_plan_as_it_was() -> None:
    bare, plan = make_plan(parse_recipe("rows: 70", "test")), planned(f"rows: 70\n{PAIRS}")
    assert plan == planned(f"rows: 70\n{PAIRS}")
    assert originals_of(plan) == originals_of(bare)
    assert list(plan.counterfactuals) == ["counterfactual_gender", "counterfactual_religion", "counterfactual_age"]
    assert add_counterfactuals(bare) is bare


def test_a_counterfactual_names_its_original_and_equals_it_in_all_else() -> None:
    plan = planned(f"rows: 70\n{PAIRS}")
    originals = originals_of(plan)
    for row, counterfactual in counterfactuals_of(plan):
        original = originals[counterfactual.original_id]
        assert replace(row, id=original.id, counterfactual=None) == original
        assert row.id.startswith(f"{original.id}-{counterfactual.attribute}-")
    rows = counterfactuals_of(plan)
    assert len({row.id for row, _ in rows} | set(originals)) == 70 + len(rows)
    assert sum(shard.stop - shard.start for shard in plan.shards()) == 70 + len(rows)


def test_pairs_rows_per_attribute_get_counterfactuals_and_emotions_alternate() -> None:
    plan = planned(f"rows: 70\n{PAIRS}")
    for config, splits in plan.counterfactuals.items():
        rows = [row for part in splits.values() for row in part]
        assert len({row.counterfactual.original_id for row in rows if row.counterfactual}) == 6, config
        assert all(row.split == split for split, part in splits.items() for row in part)
        assert max(Counter(row.emotion for row in rows).values()) <= 4


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 400), st.sampled_from(sorted(CHANGEABLE_ATTRIBUTES)), st.data())
def test_one_attribute_is_changed_and_the_tables_could_have_drawn_the_result(
    number: int, attribute: str, data: st.DataObject
) -> None:
    original = PEOPLE.people.persona(number)
    value = data.draw(st.sampled_from(sorted(known_values(attribute))))
    changed = with_attribute(original, attribute, value, persona_tables())
    if original.values["age_band" if attribute == "age" else attribute] == value or changed is None:
        assert changed is None
        return
    before, after = (asdict(one.demographic) | asdict(one.sociocultural) for one in (original, changed))
    assert {name for name in before if before[name] != after[name]} == {attribute}
    if attribute == "age":
        low, high = map(int, value.split("-"))
        assert low <= changed.demographic.age <= high
    else:
        assert after[attribute] == value
    for table in persona_tables().tables:
        drawn = changed.values["age_band" if table.name == "age" else table.name]
        assert drawn in table.distribution(changed.values).probabilities
    assert changed.id.startswith(f"{original.id}-{attribute}-")
    assert changed == counterfactual_persona(original, Counterfactual("row", attribute, value), persona_tables())


@pytest.mark.parametrize(
    ("years", "band", "changed_years"), [(36, "65-74", 66), (44, "65-74", 74), (36, "20-24", 21), (44, "20-24", 24)]
)
def test_a_new_age_is_as_far_above_the_minimum_of_its_band_or_at_the_maximum_of_a_narrower_one(
    years: int, band: str, changed_years: int
) -> None:
    originals = (aged(one, years) for number in range(900) if (one := person(number)).values["age_band"] == "35-44")
    changed = next(one for original in originals if (one := with_attribute(original, "age", band, persona_tables())))
    assert changed.demographic.age == changed.values["age"] == changed_years
    assert changed.values["age_band"] == band


def aged(one: Persona, years: int) -> Persona:
    return replace(one, demographic=replace(one.demographic, age=years), values={**one.values, "age": years})


def test_a_persona_that_the_tables_could_not_have_drawn_is_refused() -> None:
    retired = next(one for number in range(400) if (one := person(number)).demographic.work == "retired")
    assert with_attribute(retired, "age", "16-19", persona_tables()) is None
    with pytest.raises(ValueError, match=rf"^persona {retired.id} cannot be of age '16-19'$"):
        counterfactual_persona(retired, Counterfactual("row", "age", "16-19"), persona_tables())


def test_the_situation_of_a_counterfactual_can_happen_to_its_persona() -> None:
    attributes = "{age: [20-24, 35-44, 65-74], household: [alone, couple, single parent], religion: [none, Muslim]}"
    plan = planned(f"rows: 210\nseed: 2\ncounterfactual: {{attributes: {attributes}}}")
    taxonomy, originals, impossible = plan.recipe.chosen_taxonomy(), originals_of(plan), 0
    planned_ids = {row.id for row, _ in counterfactuals_of(plan)}
    for row in originals.values():
        one, emotion = plan.people.persona(row.persona), taxonomy[row.emotion]
        event = event_of(plan, emotion, row, {})
        scene = draw_scene(emotion, event, one, seed=2, turn=row.turn, number=row.situation).situational
        for attribute, values in plan.recipe.counterfactual.attributes.items() if plan.recipe.counterfactual else ():
            if one.values["age_band" if attribute == "age" else attribute] not in values:
                continue
            for value in values:
                changed = with_attribute(one, attribute, value, persona_tables())
                if changed is None:
                    continue
                possible = event.fit.holds(changed.values) and all(
                    setting_options(kind)[id_].fit.holds(changed.values)
                    for kind, id_ in (
                        ("places", scene.place),
                        ("times", scene.time),
                        ("companions", scene.companions),
                        ("channels", scene.channel),
                    )
                )
                assert (changed.id.replace(one.id, row.id) in planned_ids) == possible
                impossible += not possible
    assert impossible > 0


def test_a_text_without_a_situation_needs_none_that_fits() -> None:
    keys = "rows: 210\ncounterfactual: {attributes: {age: [20-24, 35-44, 65-74]}}"
    assert len(counterfactuals_of(planned(f"{keys}\ndepth: sociocultural"))) > len(counterfactuals_of(planned(keys)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{attributes: {}}", "counterfactual.attributes: got {}, wanted "),
        (
            "{attributes: {gendre: [woman, man]}}",
            "counterfactual.attributes.gendre: not an attribute that can be changed, did you mean 'gender'?; known:",
        ),
        ("{attributes: {gender: [woman]}}", "counterfactual.attributes.gender: got 1 value, wanted two or more"),
        ("{attributes: {gender: [woman, women]}}", "unknown value 'women', did you mean 'woman'?; known: man"),
        ("{attributes: {gender: [woman, woman]}}", "counterfactual.attributes.gender names 'woman' twice"),
        ("{attributes: {age: [20-24, '30']}}", "counterfactual.attributes.age: unknown value '30'"),
        ("{attributes: {gender: [woman, man]}, pairs: 0}", "counterfactual.pairs: got 0, wanted "),
    ],
)
def test_a_bad_request_for_counterfactuals_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(RecipeError) as error:
        parse_recipe(f"counterfactual: {text}", "test")
    assert message in str(error.value) and "\n" not in str(error.value)


def test_an_attribute_that_the_texts_do_not_show_is_refused() -> None:
    with pytest.raises(RecipeError, match="texts of depth 'demographic' do not show it; leave it out or raise depth"):
        parse_recipe("depth: demographic\ncounterfactual: {attributes: {means: [struggling, well off]}}", "test")


@pytest.mark.parametrize("name", ["counterfactual_age", "depth_none", "situational", "default"])
def test_an_emotion_cannot_have_the_name_of_another_configuration(name: str) -> None:
    with pytest.raises(RecipeError, match=f"'{name}' is the name of another configuration"):
        parse_recipe(f"taxonomy: {{name: t, emotions: [{{name: {name}, definition: x, like: joy}}]}}", "test")


def test_more_pairs_than_eligible_rows_are_refused() -> None:
    text = "rows: 14\ncounterfactual: {attributes: {religion: [Buddhist, Jewish]}, pairs: 14}"
    with pytest.raises(RecipeError) as error:
        planned(text)
    assert str(error.value).startswith("counterfactual.attributes.religion: ")
    assert "of 14 rows have a persona with one of Buddhist, Jewish that can be changed to another" in str(error.value)
    assert str(error.value).endswith("lower counterfactual.pairs, or name values that are more frequent")


def test_a_recipe_without_counterfactuals_has_the_identity_of_earlier_versions() -> None:
    assert "counterfactual" not in parse_recipe("", "test").identity()
    assert "counterfactual" in parse_recipe(PAIRS, "test").identity()
