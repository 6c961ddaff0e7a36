"""Figures of all texts of a release equal those of the metrics, whose memory grows with the texts."""

from pathlib import Path

import pyarrow as pa
import pytest

from personagen.builder.evaluation.samples.whole import measure_whole
from personagen.builder.release.texts import read_texts
from personagen.metrics.diversity.lexical import duplicate_fraction
from personagen.metrics.diversity.personas import evenness, pair_coverage
from personagen.metrics.texts.words import count_words
from tests.helpers.releasing import manifest_of, rewrite
from tests.release.test_texts import peak, repeated


def with_copies(table: pa.Table) -> pa.Table:
    """Make the second text of a table equal to the first, apart from case and white space."""
    texts = table["text"].to_pylist()
    texts[1:2] = [f"  {texts[0].upper()}"]
    return table.set_column(table.schema.get_field_index("text"), table.schema.field("text"), pa.array(texts))


def test_all_texts_are_counted_as_the_metrics_count_them(release: Path, tmp_path: Path) -> None:
    folder = rewrite(release, tmp_path / "copies", "joy/train", with_copies)
    manifest = manifest_of(folder)
    texts = read_texts(folder, manifest)
    real = ["a real text", texts.texts[5].lower(), texts.texts[40]]
    found = measure_whole(folder, manifest, real)
    assert found.duplicate_share == duplicate_fraction(texts.texts) > 0
    assert found.mean_words == sum(map(count_words, texts.texts)) / len(texts.texts)
    assert found.copied_share == 2 / len(texts.texts)
    assert found.persona_pair_coverage == pair_coverage(texts.personas)
    assert found.persona_evenness == pytest.approx(evenness(texts.personas))
    by_metric = found.by_metric()
    assert by_metric["realism"] == {"copied_share": found.copied_share}
    assert [*by_metric["diversity"]] == [
        "mean_words", "duplicate_share", "persona_pair_coverage", "persona_evenness"
    ]  # fmt: skip


def test_memory_does_not_grow_with_the_length_of_the_texts(release: Path, tmp_path: Path) -> None:
    folder = rewrite(release, tmp_path / "large", "joy/", lambda table: repeated(table, 300))
    _, most = peak(lambda: measure_whole(folder, manifest_of(folder), []))
    assert most < 3_000 * 3_000 / 2  # the texts of joy alone have 9 MB
