"""The division of real texts into disjoint parts for arms, for measures, and for testing classifiers."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from personagen.builder.core.errors import RecipeError
from personagen.builder.evaluation.arms import ReferenceParts, read_parts
from tests.helpers.real_texts import goemotions, known_vectors

QUOTA = {"joy": 3, "fear": 3}


def texts_of(emotion: str, count: int) -> list[str]:
    pairs = zip(goemotions().texts, goemotions().labels or [], strict=True)
    return [text for text, label in pairs if label == emotion][:count]


JOY, FEAR = texts_of("joy", 50), texts_of("fear", 40)


@pytest.fixture(scope="module", autouse=True)
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with known_vectors(tmp_path_factory.mktemp("cache"), [*JOY, *FEAR]):
        yield


def reference(path: Path, split_of: dict[str, str]) -> str:
    """Write the texts as a file, with the given splits."""
    rows = [("joy", text) for text in JOY] + [("fear", text) for text in FEAR]
    lines = [{"text": text, "label": label, "split": split_of.get(text)} for label, text in rows]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return str(path)


def labels(parts: ReferenceParts) -> list[dict[str, int]]:
    return [dict(Counter(part.labels or [])) for part in (parts.pool, parts.held, parts.test)]


def texts(parts: ReferenceParts) -> list[str]:
    return [text for part in (parts.pool, parts.held, parts.test) for text in part.texts]


def test_a_reference_without_a_test_part_is_divided_2_2_1_within_every_emotion(tmp_path: Path) -> None:
    parts = read_parts(reference(tmp_path / "r.jsonl", {}), None, QUOTA)
    assert labels(parts) == [{"joy": 20, "fear": 16}, {"joy": 20, "fear": 16}, {"joy": 10, "fear": 8}]
    assert parts.sizes() == {"pool": 36, "held": 36, "test": 18}
    assert sorted(texts(parts)) == sorted([*JOY, *FEAR]), "every text is in one part"


def test_the_train_part_is_halved_and_the_test_part_kept(tmp_path: Path) -> None:
    split_of = dict.fromkeys([*JOY, *FEAR], "train") | dict.fromkeys([*JOY[:10], *FEAR[:6]], "test")
    parts = read_parts(reference(tmp_path / "r.jsonl", split_of), None, QUOTA)
    assert labels(parts) == [{"joy": 20, "fear": 17}, {"joy": 20, "fear": 17}, {"joy": 10, "fear": 6}]
    assert sorted(parts.test.texts) == sorted([*JOY[:10], *FEAR[:6]])
    assert sorted(texts(parts)) == sorted([*JOY, *FEAR])


def test_the_division_is_equal_for_every_run_and_drops_other_emotions(tmp_path: Path) -> None:
    path = reference(tmp_path / "r.jsonl", {})
    one, other = (read_parts(path, None, {"joy": 3}) for _ in range(2))
    assert texts(one) == texts(other) and labels(one) == [{"joy": 20}, {"joy": 20}, {"joy": 10}]


def test_the_pool_needs_the_texts_that_arms_take(tmp_path: Path) -> None:
    path = reference(tmp_path / "r.jsonl", {})
    with pytest.raises(RecipeError, match=r"^reference r\.jsonl has \d+ texts of 'joy' for the arms that take real "):
        read_parts(path, None, {"joy": 30, "fear": 3})
    with pytest.raises(RecipeError, match=r"^reference r\.jsonl has 0 texts of 'anger' for the arms that take real"):
        read_parts(path, None, {"anger": 3})
