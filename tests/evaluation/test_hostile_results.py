"""2,000 mutations of saved scores and audits, and of a match: read, or refused in one line."""

import hashlib
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from personagen.builder.core.errors import PersonaGenError, ReleaseError
from personagen.builder.evaluation.audit_results import (
    FORMAT,
    audit_lines,
    read_audit,
)
from personagen.builder.evaluation.scores import card_rows, read_saved_scores, score_lines
from personagen.builder.release.results import read_results
from tests.helpers.hostile.mutations import as_json, damaged, mutated, places, strange_files, watched_files

SCORES: dict[str, Any] = {
    "reference": {"name": "goemotions"},
    "command": "personagen evaluate x",
    "results": {
        "diversity": {
            "self_bleu": 0.1133, "self_bleu_ci": [0.108, 0.118], "self_bleu_reference": 0.1115, "sample_size": 1000,
            "vendi_score": 1650.4, "distinct_2": None, "self_bleu_by_label": {"joy": 0.25, "fear": None},
        },
        "human_likeness": {"human_likeness": 3.25, "judge_validated": False, "judge_validation": "one judge alone"},
    },
    "problems": {"realism": "it rained"},
    "slices": {"comments": {"problem": "none"}},
}  # fmt: skip
AUDIT: dict[str, Any] = {
    "format": FORMAT, "command": "c", "release": "r", "texts": 12, "digest": "d", "outcomes": {"length": "words"},
    "associations": [
        {"attribute": "age", "outcome": "length", "fraction": 0.1, "low": 0.0, "high": 0.2, "p": 0.01,
         "p_corrected": 0.02, "n": 12, "detectable": 0.1, "reason": None},
    ],
    "differences": [], "words": [], "pairs": [], "effects": [], "problems": {"content": "no"},
}  # fmt: skip


def read_scores_whole(content: Any) -> None:
    scores = read_saved_scores(content)
    assert all(isinstance(line, str) for line in score_lines(scores))
    card_rows(scores)
    scores._repr_html_()
    repr(scores)


def read_audit_whole(content: Any) -> None:
    audit = read_audit(content)
    assert all(isinstance(line, str) for line in audit_lines(audit))
    audit._repr_html_()
    repr(audit)


CASES: tuple[tuple[str, dict[str, Any], Callable[[Any], None]], ...] = (
    ("evaluation", SCORES, read_scores_whole),
    ("audit", AUDIT, read_audit_whole),
)


@pytest.mark.parametrize(("key", "content", "read"), CASES, ids=["scores", "audit"])
def test_mutated_results_are_read_or_refused(
    key: str, content: dict[str, Any], read: Callable[[Any], None], tmp_path: Path
) -> None:
    """Each file is the one that its manifest lists."""
    rng = random.Random(key)
    known, text = list(places(content)), json.dumps(content)
    name = "scores.json" if key == "evaluation" else "audit.json"
    read(content)
    counts = {"read": 0, "refused": 0}
    with watched_files() as opened:
        for number in range(1000):
            changed = damaged(text, rng) if number % 4 == 0 else as_json(mutated(content, rng, known))
            data = changed.encode("utf-8", "surrogatepass")
            (tmp_path / name).write_bytes(data)
            manifest = {key: {"path": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}}
            try:
                read(read_results(tmp_path, manifest, key))
                counts["read"] += 1
            except PersonaGenError as error:
                assert len(str(error)) < 1000 and "\n" not in str(error)
                counts["refused"] += 1
        assert not strange_files(opened, tmp_path), strange_files(opened, tmp_path)
    assert min(counts.values()) > 50, counts


def test_a_file_that_the_manifest_does_not_list_is_refused(tmp_path: Path) -> None:
    (tmp_path / "scores.json").write_text(json.dumps(SCORES), encoding="utf-8")
    entry = {"path": "scores.json", "bytes": 3, "sha256": "0" * 64}
    with pytest.raises(ReleaseError, match=r"cannot read scores.json of .*: it is not the file of the manifest; run"):
        read_results(tmp_path, {"evaluation": entry}, "evaluation")
