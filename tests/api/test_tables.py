"""Records that a notebook displays: estimates and previews."""

import json
from dataclasses import replace

import pytest

import personagen as pg
from personagen.builder.api.preview_texts import Preview
from tests.helpers.servers.fake_openai import FakeOpenAI

HOSTILE = "<img src=x onerror=alert(1)> & <b>"
PRICES = {"m": {"input": 1, "output": 2}}


def test_an_estimate_shows_its_stages_and_their_total() -> None:
    expected = pg.estimate(rows=700, expression="shown", model="openai:m", prices=PRICES)
    assert [stage.stage for stage in expected.stages] == ["sociocultural", "situational", "expression"]
    assert sum(stage.requests for stage in expected.stages) == expected.total.requests
    frame = expected.to_pandas()
    assert list(frame["stage"]) == ["sociocultural", "situational", "expression", "total"]
    assert frame["prompt_tokens"].iloc[:-1].sum() == frame["prompt_tokens"].iloc[-1]
    assert repr(expected).startswith("<Estimate: 700 texts, ")
    assert f"cost {expected.cost:.2f}, time 0:01:" in repr(expected)
    assert f"<td>{expected.total.requests}</td>" in expected._repr_html_()
    assert json.loads(json.dumps(expected.to_json()))["stages"]["expression"]["requests"] == 735


def test_an_estimate_without_a_price_shows_no_cost() -> None:
    expected = pg.estimate(rows=700, model="openai:m")
    assert expected.cost is None
    assert "cost" not in repr(expected)


@pytest.fixture(scope="module")
def preview(model: FakeOpenAI) -> Preview:
    return pg.preview(number=3, model="openai:fake-1", base_url=model.url, intensities=["high"], progress=False)


def test_a_preview_is_a_sequence_of_rows(preview: Preview) -> None:
    assert [row.label for row in preview] == ["anger", "disgust", "fear"]
    assert preview[0] is preview.rows[0]
    assert preview[1:].rows == preview.rows[1:]
    shown = preview.shown()[0]
    assert shown is not None
    assert repr(preview[:1]) == f"<Preview: 1 text (anger); {int(bool(shown))} of 1 show their persona by words>"


def test_a_preview_has_one_row_per_text(preview: Preview) -> None:
    frame = preview.to_pandas()
    assert list(frame["text"]) == [row.text for row in preview]
    assert list(frame["demographic.age"]) == [row.demographic.age for row in preview if row.demographic]


def test_a_preview_shows_texts_below_their_personas_and_escapes_them(preview: Preview) -> None:
    assert preview[0].demographic is not None
    persona = replace(preview[0].demographic, occupation=HOSTILE)
    html = Preview((replace(preview[0], text=HOSTILE, demographic=persona), *preview.rows[1:]))._repr_html_()
    assert "<img" not in html
    assert "<b>" not in html
    assert html.count("&lt;img src=x onerror=alert(1)&gt; &amp;") == 2
    assert html.count("<table>") == 3
    assert "<th>anger, high</th>" in html
    assert html.count("<th>situational</th>") == 3
