"""A release of more texts than are measured: terminal, results, manifest, card and page state the sample."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from personagen.builder.core.errors import ReleaseError
from personagen.builder.evaluation import counterfactual_effects
from personagen.builder.evaluation.samples import draws
from personagen.builder.hub.verify import verify_folder
from personagen.builder.release.texts import read_texts
from personagen.builder.report import persona_coverage, release_report
from personagen.metrics.diversity.lexical import duplicate_fraction
from personagen.metrics.diversity.personas import pair_coverage
from personagen.metrics.texts.words import count_words
from tests.helpers.command import Run
from tests.helpers.real_texts import as_reference, known_vectors, real
from tests.helpers.releasing import make_release, manifest_of
from tests.helpers.servers.fake_openai import FakeOpenAI

REFERENCE = real(150)
RECIPE = "rows: 84\nsituations_per_persona: 3\ncounterfactual: {attributes: {gender: [woman, man]}}"
MOST = 42
"""Texts that are measured here."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with FakeOpenAI() as server:
        return make_release(tmp_path_factory.mktemp("sampled") / "large", server.url, RECIPE)


@pytest.fixture(scope="module")
def measured(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Cache vectors of all texts."""
    manifest = manifest_of(made)
    texts = [
        text for configs in (None, ["counterfactual_gender"]) for text in read_texts(made, manifest, configs).texts
    ]
    with known_vectors(tmp_path_factory.mktemp("cache"), [*texts, *REFERENCE.texts]):
        yield made


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (draws, counterfactual_effects):
        monkeypatch.setattr(module, "MAX_TEXTS", MOST)
    for module in (persona_coverage, release_report):
        monkeypatch.setattr(module, "MAX_PERSONAS", 10)


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    return as_reference(tmp_path / "real.jsonl", REFERENCE)


def content_of(release: Path, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((release / name).read_text(encoding="utf-8"))
    return content


@pytest.mark.usefixtures("few")
def test_a_sample_is_stated_wherever_its_results_are(run: Run, measured: Path, labelled: Path) -> None:
    whole = read_texts(measured, manifest_of(measured))
    done = run("evaluate", measured, "--reference", labelled, "--no-judge", "--sample-size", 12)
    assert done.code == 0, done.err
    scores = content_of(measured, "scores.json")
    sample = scores["sample"]
    assert sample["of"] == 84 and sample["draw"] == "random personas" and sample["seed"] == 0
    assert MOST - 6 < sample["texts"] <= MOST
    assert f"measuring {sample['texts']} texts drawn from 84 against" in done.err
    sentence = done.out.splitlines()[0]
    assert sentence.startswith(f"Measured: {sample['texts']} of 84 texts, those of random personas (seed 0); of all ")
    diversity, realism = scores["results"]["diversity"], scores["results"]["realism"]
    assert diversity["n"] == realism["n"] == sample["texts"]
    assert diversity["duplicate_share"] == duplicate_fraction(whole.texts)
    assert diversity["mean_words"] == sum(map(count_words, whole.texts)) / 84
    assert diversity["persona_pair_coverage"] == pair_coverage(whole.personas)
    assert set(sample["of_all_texts"]["diversity"]) <= {*diversity}
    assert manifest_of(measured)["scored_texts"] == sentence
    assert sentence.replace("(", "\\(")[:20] in (measured / "README.md").read_text(encoding="utf-8")
    done = run("audit", measured, "--reference", labelled)
    assert done.code == 0, done.err
    audit = content_of(measured, "audit.json")
    assert audit["texts"] == sample["texts"], "both measure the same texts"
    audited, counterfactuals = audit["sample"]["counterfactuals"]["gender"]
    assert 0 < audited <= MOST < counterfactuals and audit["sample"]["of"] == 84
    stated = (
        f"Audited: {audit['texts']} of 84 texts, {audited} of {counterfactuals} counterfactuals of gender, those of"
    )
    assert done.out.startswith(stated) and manifest_of(measured)["audited_texts"].startswith(stated)
    assert sum(pairs["pairs"] for pairs in audit["pairs"]) == audited
    verify_folder(measured)
    page = run("report", measured, "--reference", labelled, "--out", labelled.with_name("page.html"))
    assert page.code == 0, page.err
    html = labelled.with_name("page.html").read_text(encoding="utf-8")
    assert stated in html and sentence in html.replace("&#39;", "'")
    assert re.search(r"They are those of 10 of \d\d personas, drawn at random\.", html)


def test_a_malformed_sample_is_refused(measured: Path) -> None:
    from personagen.builder.evaluation.scores import read_saved_scores

    content = {"reference": {"name": "x"}, "command": None, "results": {}, "problems": {}, "sample": {"texts": "many"}}
    with pytest.raises(ReleaseError, match=r"scores.json is malformed .*; run `evaluate` again"):
        read_saved_scores(content)
