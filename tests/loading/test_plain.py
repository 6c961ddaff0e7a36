"""The configuration of texts and labels alone, with our builder; `test_load.py` reads it with `datasets` alone."""

from pathlib import Path
from typing import Any

import pytest

from personagen_dataset import PersonaGen
from tests.helpers.releasing import records


def texts_and_labels(release: Path, split: str = "test", config: str = "all") -> list[dict[str, Any]]:
    return [{"text": row["text"], "label": row["label"]} for row in records(release, config, split)]


def test_the_builder_reads_texts_and_labels_alone(release: Path, tmp_path: Path) -> None:
    builder = PersonaGen(cache_dir=str(tmp_path), config_name="plain", data_dir=str(release))
    builder.download_and_prepare()
    assert builder.as_dataset(split="test").to_list() == texts_and_labels(release)
    assert list(builder.as_streaming_dataset(split="test")) == texts_and_labels(release)
    labels = PersonaGen(cache_dir=str(tmp_path), config_name="plain", data_dir=str(release), columns=["label"])
    labels.download_and_prepare()
    assert labels.as_dataset(split="test").column_names == ["label"]


@pytest.mark.parametrize(
    ("selection", "config"), [({"emotions": ["joy"]}, "joy"), ({"depth": "none"}, "depth_none")], ids=str
)
def test_a_selection_of_texts_and_labels(selection: dict[str, Any], config: str, release: Path, tmp_path: Path) -> None:
    builder = PersonaGen(cache_dir=str(tmp_path), config_name="plain", data_dir=str(release), **selection)
    builder.download_and_prepare()
    assert builder.as_dataset(split="train").to_list() == texts_and_labels(release, "train", config)


def test_texts_and_labels_have_no_other_column(release: Path) -> None:
    with pytest.raises(ValueError, match=r"^no column of plain: 'emotion'; known: text, label$"):
        PersonaGen(config_name="plain", data_dir=str(release), columns=["emotion"])
