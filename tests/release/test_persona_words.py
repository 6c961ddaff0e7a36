"""Texts that show their personas by words: counted in the manifest, stated in card and preview."""

import json
from pathlib import Path

import pytest

from personagen.builder.api.preview_texts import Preview
from personagen.builder.cli.display import row_lines, shown_line
from personagen.builder.core.records import Demographic, Provenance, Row, Sociocultural
from personagen.builder.release.persona_words import MAX_SAMPLE, PersonaWords, shown_of
from personagen.builder.release.verdicts.shown_personas import persona_sentence
from tests.helpers.releasing import make_release, manifest_of
from tests.helpers.servers.behaviours.contents.languages import SPEECHES, answer, sentences
from tests.helpers.servers.behaviours.records import Behaviour, OddAnswer, OddCall, always
from tests.helpers.servers.odd_server import OddServer

RECIPE = "emotions: [joy, fear]\nrows: 12\ntext: {min_words: 8, max_words: 120}\n"


def row(number: int, text: str, country: str | None = "Brazil", *, leaked: bool | None = False) -> Row:
    """Return a text of a persona of a country; `leaked` None: it is in another language than English."""
    return Row(
        id=f"joy-{number:06d}", text=text, label="joy", depth="sociocultural", intensity=None,
        demographic=None if country is None else Demographic(age=30),
        sociocultural=None if country is None else Sociocultural(country=country), situational=None,
        persona_id=None if country is None else f"p{number}", situation_id=None,
        provenance=Provenance("m", "v", 1, 1, leaked),
    )  # fmt: skip


def counted(rows: list[Row]) -> PersonaWords:
    words = PersonaWords("sociocultural")
    for written in rows:
        words.add(written)
    return words


def test_texts_are_counted_by_attribute_beside_those_with_exchanged_personas() -> None:
    rows = [row(0, "in São Paulo"), row(1, "in Lagos"), row(2, "in Lagos", "Nigeria"), row(3, "I'm 30", "Japan")]
    counts = counted(rows).counts()
    assert counts is not None
    assert (counts["checked"], counts["texts"]) == (4, 3)
    assert counts["attributes"]["country"] == {"texts": 2, "chance": 0.1667}  # (0 + 1/3 + 1/3 + 0) / 4
    assert counts["attributes"]["age"] == {"texts": 1, "chance": 0.25}
    assert counts["chance"] == pytest.approx(5 / 12, abs=1e-4)


def test_texts_of_other_depths_and_languages_and_without_a_persona_are_not_counted() -> None:
    assert counted([row(0, "in São Paulo", leaked=None), row(1, "in Lagos", None)]).counts() is None
    words = PersonaWords("situational")
    words.add(row(0, "in São Paulo"))
    assert words.counts() is None


def test_chance_is_measured_with_the_first_texts_alone() -> None:
    rows = [row(number, "in São Paulo", "Brazil" if number < MAX_SAMPLE else "Japan") for number in range(250)]
    counts = counted(rows).counts()
    assert counts is not None
    assert counts["checked"] == 250 and counts["attributes"]["country"] == {"texts": MAX_SAMPLE, "chance": 1.0}


def test_a_release_states_how_many_texts_show_their_persona(tmp_path: Path) -> None:
    def serve(call: OddCall) -> OddAnswer:
        prompt = json.dumps(call.body)
        place = "I live in Tokyo." if "Japan" in prompt else "I saw the ward." if "nurse" in prompt else ""
        return answer(call, f"{sentences(SPEECHES['en'], call)} {place}".strip())

    recipe = RECIPE + "personas: {where: {country: [Japan], work: [student]}}\n"
    with OddServer(Behaviour("persona", "languages", always(serve), "models")) as server:
        release = make_release(tmp_path / "made", server.base_url, recipe)
    manifest = manifest_of(release)
    shown = manifest["persona_words"]
    assert shown["checked"] == 12 and shown["attributes"]["country"] == {"texts": 12, "chance": 1.0}
    assert shown["texts"] == 12 and shown["chance"] == 1.0
    sentence = persona_sentence(manifest, None)
    assert sentence is not None and sentence in (release / "README.md").read_text(encoding="utf-8")
    assert sentence == (
        "100 of 100 texts show their persona by words, as far as English lists find (12 of 12 texts; with the personas "
        "of other texts, 100 would)."
    )


def test_a_release_without_personas_states_nothing(tmp_path: Path) -> None:
    with OddServer(Behaviour("none", "languages", always(lambda call: answer(call, sentences(SPEECHES["en"], call))),
                             "models")) as server:  # fmt: skip
        release = make_release(tmp_path / "made", server.base_url, RECIPE + "depth: none\n")
    assert "persona_words" not in manifest_of(release)
    assert "show their persona" not in (release / "README.md").read_text(encoding="utf-8")


def test_a_preview_names_the_attributes_that_each_text_shows() -> None:
    rows = (row(0, "forty reais"), row(1, "forty naira"), row(2, "vierzig reais", leaked=None))
    assert [shown_of(written) for written in rows] == [("country",), (), None]
    preview = Preview(rows)
    assert preview.shown() == [("country",), (), None]
    assert repr(preview) == "<Preview: 3 texts (joy); 1 of 2 show their persona by words>"
    page = preview._repr_html_()
    assert "<th>shows</th><td>country</td>" in page and page.count("<th>shows</th>") == 2
    assert any(line.split() == ["shows", "country"] for line in row_lines(rows[0]))
    assert not any("shows" in line for line in row_lines(rows[2]))
    assert shown_line(rows) == "1 of 2 texts show their persona by words, as far as English lists find."
    assert shown_line(rows[2:]) is None


def test_the_sentence_names_what_a_reader_recovers_and_what_not() -> None:
    def trace(attribute: str, p: float | None) -> dict[str, object]:
        return {"attribute": attribute, "auc_p": p}

    shown = {"checked": 200, "texts": 1, "chance": 0.0, "attributes": {}}
    scores = {"personas": [trace("country", 0.001), trace("occupation_group", 0.04), trace("age", 0.05)]}
    assert persona_sentence({"persona_words": shown}, scores) == (
        "fewer than 1 of 100 texts show their persona by words, as far as English lists find (1 of 200 texts; with the "
        "personas of other texts, 0 would). Country and kind of work can be read from the texts better than chance; "
        "age cannot."
    )
    assert persona_sentence({}, {"personas": [trace("age", 0.5), trace("work", 1.0)]}) == (
        "None of 2 attributes can be read from the texts better than chance."
    )
    assert persona_sentence({}, {"personas": [trace("age", None)]}) is None
    assert persona_sentence({}, None) is None
