"""Channels of a recipe: exact shares, lengths, addressees and conditions, and what is refused."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from personagen.builder.core.errors import RecipeError
from personagen.builder.planning.personas.tables import Condition
from personagen.builder.planning.plan import Plan, make_plan
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.recipe.parsing import parse_recipe
from tests.helpers.releasing import ROOT

MODEL = {"backend.kind": "openai", "backend.model": "m"}
TWO: dict[str, Any] = {"mail": {"text": "an email", "share": 3}, "chat": {"text": "a chat message", "share": 1}}
PROFILE = ROOT / "builder" / "data" / "styles" / "mail.tsv"


def recipe(channels: Any, **changes: Any) -> Recipe:
    settings = {key.replace("__", "."): value for key, value in changes.items()}
    return parse_recipe("", "r", MODEL | {"channels": channels} | settings)


def counts(plan: Plan, emotion: str) -> Counter[str]:
    turns = sum(plan.quotas[emotion].values())
    channels = [plan.channel_of(plan.turn(emotion, turn)) for turn in range(turns)]
    return Counter(channel.name for channel in channels if channel is not None)


def test_shares_are_exact_quotas_of_each_emotion_whatever_the_order_of_the_keys() -> None:
    plan = make_plan(recipe(TWO, rows=280))
    assert all(counts(plan, emotion) == {"mail": 30, "chat": 10} for emotion in plan.quotas)
    turned = make_plan(recipe(dict(reversed(TWO.items())), rows=280))
    rows = [plan.turn("joy", turn) for turn in range(40)]
    assert [turned.channel_of(row) for row in rows] == [plan.channel_of(row) for row in rows]
    assert turned.recipe.fingerprint() == plan.recipe.fingerprint()


def test_channels_without_shares_are_equally_frequent_and_crossed_with_intensities() -> None:
    plan = make_plan(
        recipe({"mail": "an email", "chat": "a chat"}, rows=40, emotions=["joy"], intensities=["low", "high"])
    )
    pairs = Counter(
        (row.intensity, str(plan.channel_of(row))) for row in (plan.turn("joy", turn) for turn in range(40))
    )
    assert set(pairs.values()) == {10}


def test_a_phrase_is_a_channel_with_nothing_else() -> None:
    short, long = recipe({"mail": "an email"}), recipe({"mail": {"text": "an email"}})
    assert short.fingerprint() == long.fingerprint() != Recipe().fingerprint()


def test_a_row_has_the_same_channel_at_all_depths() -> None:
    channels = {"old": {"text": "a letter", "fit": {"age": {"min": 50}}}, "any": "a post"}
    plan = make_plan(recipe(channels, rows=70, ablations=["none", "demographic"]))
    rows = [row for shard in plan.shards() for row in plan.rows(shard)]
    by_turn: dict[tuple[str, int], set[str]] = {}
    for row in rows:
        by_turn.setdefault((row.emotion, row.turn), set()).add(str(plan.channel_of(row)))
    assert all(len(names) == 1 for names in by_turn.values()) and len({*map(str, by_turn.values())}) == 2


def test_a_persona_whom_its_channel_does_not_fit_gets_another_one() -> None:
    channels = {
        "old": {"text": "a letter", "share": 9, "fit": {"age": {"min": 50}}},
        "any": {"text": "a post", "share": 1},
    }
    plan = make_plan(recipe(channels, rows=140, emotions=["joy", "fear"]))
    for turn in range(70):
        row = plan.turn("joy", turn)
        channel = plan.channel_of(row)
        assert channel is not None and channel.fit.holds(plan.people.persona(row.persona).values)
    assert set(counts(plan, "joy")) == {"old", "any"}


def test_conditions_name_attributes_of_the_recipe_too() -> None:
    attributes = {"pet": {"values": {"dog": 1, "cat": 1}}}
    channels = {"walk": {"text": "a note from a walk", "fit": {"pet": "dog"}}, "any": "a post"}
    plan = make_plan(recipe(channels, rows=40, emotions=["joy"], personas={"attributes": attributes}))
    row = next(row for row in (plan.turn("joy", turn) for turn in range(40)) if plan.channel_of(row).name == "walk")  # type: ignore[union-attr]
    assert plan.people.persona(row.persona).attributes["pet"] == "dog"


def test_lengths_are_those_of_the_channel_else_of_the_text_else_the_default() -> None:
    channels = {"mail": {"text": "an email", "min_words": 40, "max_words": 200}, "chat": "a chat"}
    bounds = {channel.name: (channel.min_words, channel.max_words) for channel in deal(recipe(channels))}
    assert bounds == {"mail": (40, 200), "chat": (8, 120)}
    assert recipe(channels).text_bounds() == (8, 200)
    bounded = deal(recipe({"chat": "a chat"}, text__min_words=5, text__max_words=50))
    assert [(channel.min_words, channel.max_words) for channel in bounded] == [(5, 50)]


def test_the_addressee_stands_behind_the_form() -> None:
    (channel,) = deal(recipe({"mail": {"text": "an email to support", "to": "a stranger at the company"}}))
    assert channel.form == "an email to support, addressed to a stranger at the company"
    assert channel.fit == Condition()


def test_channels_have_no_style_unless_it_is_a_measured_profile(tmp_path: Path) -> None:
    assert not (recipe(TWO).mixture() or pytest.fail("channels need a mixture")).styles
    assert recipe(TWO, expression="shown").mixture() is not None
    profile = tmp_path / "own.tsv"
    profile.write_bytes(PROFILE.read_bytes())
    styled = recipe(TWO, text__style=str(profile))
    assert [name for name, _ in (styled.mixture() or pytest.fail("styled")).styles] == [str(profile)]


def deal(one: Recipe) -> Any:
    channels = make_plan(one).channels
    assert channels is not None
    return channels.channels


TEXT = {"text": "a"}
NO_SHARE = (
    "channels: chat without a share beside others that have one, wanted a share for all or none; add channels.chat"
)


@pytest.mark.parametrize(
    ("channels", "changes", "message"),
    [
        ({"Mail": "an email"}, {}, r"channels.Mail: got .*wanted text that matches .*small letters, digits, blanks"),
        ({}, {}, "channels: got {}, wanted one entry or more"),
        ({"mail": ""}, {}, "channels.mail.text: got"),
        ({"mail": "two\nlines"}, {}, "channels.mail.text: has a line break"),
        ({"mail": "an \u202eemail"}, {}, r"channels.mail.text: has the invisible character U\+202E"),
        ({"mail": {"share": 1}}, {}, "channels.mail.text: missing"),
        ({"mail": TEXT | {"to": "x" * 201}}, {}, "channels.mail.to: got"),
        ({"mail": TEXT | {"shares": 1}}, {}, "unknown key 'channels.mail.shares', did you mean"),
        ({"mail": TEXT | {"share": 1}, "chat": "b"}, {}, NO_SHARE),
        ({"mail": TEXT | {"share": 0}}, {}, "channels.mail.share: got 0, wanted greater than 0"),
        ({"mail": TEXT | {"share": -1}}, {}, "channels.mail.share: got -1, wanted greater than 0"),
        (
            {"mail": TEXT | {"fit": {"ocupation": "nurse"}}},
            {},
            "fit.*no attribute 'ocupation', did you mean 'occupation'",
        ),
        ({"mail": TEXT | {"fit": {"work": "employd"}}}, {}, "unknown value 'employd', did you mean 'employed'"),
        ({"mail": TEXT | {"fit": {"age": {"min": 9, "max": 3}}}}, {}, "mail.fit.age: min 9 is above max 3"),
        (
            {"mail": TEXT | {"min_words": 3}},
            {"text__min_words": 8},
            "got 3, below text.min_words 8; change one of them",
        ),
        ({"mail": TEXT | {"max_words": 90}}, {"text__max_words": 80}, "got 90, above text.max_words 80; change one"),
        (
            {"mail": TEXT | {"min_words": 200}},
            {},
            "min_words 200 is above max_words 120, .*set channels.mail.max_words",
        ),
        (
            {"mail": TEXT | {"min_words": 50}},
            {"text.max_words": 40},
            "min_words 50 is above max_words 40, .*change it or text.max_words",
        ),
        (
            {"mail": TEXT | {"min_words": 50, "max_words": 20}},
            {},
            "min_words 50 is above max_words 20, .*change one of them",
        ),
        ({"mail": TEXT | {"max_words": 4}}, {}, "min_words 8 is above max_words 4, .*set channels.mail.min_words"),
        ({"mail": "a"}, {"text__style": "diary"}, r"text.style diary is a kind of text of its own \(a diary entry\)"),
        ({"mail": "a"}, {"text__style": {"diary": 0.5, "mail": 0.5}}, "text.style diary is a kind of text of its own"),
    ],
)
def test_bad_channels_are_refused(channels: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message) as refused:
        recipe(channels, **changes)
    assert "\n" not in str(refused.value)


def test_a_length_beside_a_profile_is_refused(tmp_path: Path) -> None:
    profile = tmp_path / "own.tsv"
    profile.write_bytes(PROFILE.read_bytes())
    with pytest.raises(RecipeError, match=r"channels.mail: has a length beside the profile of text.style"):
        recipe({"mail": {"text": "a", "max_words": 40}}, text__style=str(profile))


def test_a_persona_whom_no_channel_fits_is_refused_before_the_first_call() -> None:
    with pytest.raises(RecipeError, match=r"channels: none fits a persona \(age \d+, .*add a channel without fit"):
        make_plan(recipe({"old": {"text": "a letter", "fit": {"age": {"min": 60}}}}, rows=70))
