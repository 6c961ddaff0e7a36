"""Names of the files of a release, a run folder and a comparison folder, for their writers and their readers."""

MANIFEST = "manifest.json"
"""Of a release: recipe, model, counts and the SHA-256 of every data file."""

CARD = "README.md"
"""Of a release: the dataset card."""

SCORES = "scores.json"
"""Of a release: results of `evaluate`."""

AUDIT = "audit.json"
"""Of a release: results of `audit`."""

REPORT = "report.html"
"""Of a release or a comparison: the page that `report` writes."""

REJECTS = "rejects.jsonl"
"""Of a run or a comparison: rejected replies with their reasons, one JSON object per line."""

JOURNAL = "journal.sqlite"
"""Of a run: every reply of the model."""

LOCK = "lock"
"""Of a run: lock file of the process at work."""

RESULTS = "results.json"
"""Of a comparison: every figure."""

TABLES = "results.md"
"""Of a comparison: the figures as Markdown tables."""

ARM_TEXTS = "texts"
"""Of a comparison: folder with one file of texts per arm."""


def arm_texts_path(arm: str) -> str:
    """Return the path of an arm's texts within a comparison folder; ":" is not allowed in Windows file names."""
    return f"{ARM_TEXTS}/{arm.replace(':', '-')}.jsonl"
