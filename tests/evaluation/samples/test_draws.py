"""Which texts of a large release are measured, and how much memory it takes to draw them."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from personagen.builder.evaluation.samples import draws
from personagen.builder.evaluation.samples.draws import (
    AuditSample,
    MeasuredSample,
    PersonaIds,
    measured_sample,
    random_personas,
    read_persona_ids,
    sample_sentence,
)
from personagen.builder.release.texts import Texts, read_texts
from tests.helpers.releasing import manifest_of, rewrite
from tests.release.test_texts import peak, repeated


def ids_of(names: list[str]) -> PersonaIds:
    kinds = list(dict.fromkeys(names))
    return PersonaIds(kinds, np.array([kinds.index(name) for name in names], dtype=np.intp))


def test_a_release_of_few_texts_is_measured_whole(release: Path) -> None:
    manifest = manifest_of(release)
    sample, whole = measured_sample(release, manifest, 0), read_texts(release, manifest)
    assert (sample.texts.texts, sample.texts.rows) == (whole.texts, whole.rows)
    assert not sample.is_part and sample.counted() == "70 texts"


def test_of_many_texts_those_of_random_personas_are_measured(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draws, "MAX_TEXTS", 30)
    manifest = manifest_of(release)
    whole = read_texts(release, manifest)
    per_persona = Counter(row["persona_id"] for row in whole.rows)
    samples = [measured_sample(release, manifest, seed) for seed in (0, 0, 1)]
    first, again, other = ([row["id"] for row in sample.texts.rows] for sample in samples)
    assert first == again != other and len(first) <= 30
    drawn = Counter(row["persona_id"] for row in samples[0].texts.rows)
    assert drawn == {id_: per_persona[id_] for id_ in drawn}, "each persona has all its texts"
    assert first == [row["id"] for row in whole.rows if row["id"] in {*first}], "in the order of the release"
    assert samples[0].counted() == f"{len(first)} texts drawn from 70"


def test_every_persona_is_as_likely_as_the_others() -> None:
    ids = ids_of([f"p{number // 4}" for number in range(400)])
    drawn = Counter(row // 4 for seed in range(300) for row in random_personas(ids, 40, seed))
    counts = [drawn[persona] / 4 for persona in range(100)]
    assert sum(counts) == 300 * 10 and 10 < min(counts) <= max(counts) < 60


def test_a_text_without_a_persona_counts_as_one_of_its_own() -> None:
    rows = random_personas(ids_of([""] * 50), 20, 0)
    assert len(rows) == len({*rows}) == 20 and rows == sorted(rows) != list(range(20))
    mixed = random_personas(ids_of(["", "a", "a", "", "a"]), 4, 0)
    assert {1, 2, 4} <= {*mixed} or not {1, 2, 4} & {*mixed}


def test_single_texts_are_drawn_of_a_persona_with_too_many() -> None:
    rows = random_personas(ids_of(["a"] * 50), 20, 0)
    assert len({*rows}) == 20 and max(rows) >= 20


def test_personas_are_read_text_by_text(release: Path) -> None:
    manifest = manifest_of(release)
    ids = read_persona_ids(release, manifest)
    rows = read_texts(release, manifest).rows
    assert [ids.names[code] for code in ids.codes] == [row["persona_id"] for row in rows]


def test_the_results_state_what_was_drawn() -> None:
    sample = MeasuredSample(Texts(["a", "b"]), 1_000, 3)
    facts = sample.facts() | {"of_all_texts": {"diversity": ["mean_words"], "realism": ["copied_share"]}}
    assert sample_sentence({"sample": facts}) == (
        "Measured: 2 of 1,000 texts, those of random personas (seed 3); of all texts: mean_words, copied_share."
    )
    assert sample_sentence({}) is None
    audited = AuditSample(1_000, "random personas", 3, {"gender": (20, 400)})
    assert audited.sentence(2) == (
        "Audited: 2 of 1,000 texts, 20 of 400 counterfactuals of gender, those of random personas (seed 3)."
    )


def test_memory_for_a_sample_is_a_small_part_of_that_for_all(
    release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draws, "MAX_TEXTS", 100)
    folder = rewrite(release, tmp_path / "large", "joy/", lambda table: repeated(table, 1_000))
    manifest = manifest_of(folder)
    sample, most = peak(lambda: measured_sample(folder, manifest, 0))
    assert 0 < len(sample.texts.texts) <= 100 < sample.total
    assert most < 10_000 * 3_000 / 10  # the texts of joy alone have 30 MB
