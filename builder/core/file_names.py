"""Names of the files of a release, a run folder and a comparison folder, for their writers and their readers."""

MANIFEST = "manifest.json"
"""Of a release: recipe, model, counts and the SHA-256 of every data file."""

CARD = "README.md"
"""Of a release: the dataset card."""

CROISSANT = "croissant.json"
"""Of a release: its description in the format Croissant, with Responsible-AI fields."""

SCORES = "scores.json"
"""Of a release: results of `evaluate`."""

AUDIT = "audit.json"
"""Of a release: results of `audit`."""

REPORT = "report.html"
"""Of a release, a comparison or a match: the page that `report` writes."""

REJECTS = "rejects.jsonl"
"""Of a run or a comparison: rejected replies with their reasons, one JSON object per line."""

JOURNALS = "personagen.journals"
"""Folder of the replies that workers ship, by default."""

JOURNAL = "journal.sqlite"
"""Of a run: every reply of the model."""

RECIPE = "recipe.json"
"""Of a run: its recipe as it may be published; see `public_recipe`."""

LOCK = "lock"
"""Of a run: lock file of the process at work."""

RESULTS = "results.json"
"""Of a comparison: every figure."""

TABLES = "results.md"
"""Of a comparison: the figures as Markdown tables."""

MATCH_RESULTS = "match.json"
"""Of a match: every figure."""

MATCH_TABLES = "match.md"
"""Of a match: the figures as Markdown tables, and the conclusions."""

MATCH_RECIPE = "recipe.yaml"
"""Of a match: the recipe of the best arm."""

MATCH_PROFILE = "profile.tsv"
"""Of a match: the style profile of the reference."""

MATCH_EXAMPLES = "examples.tsv"
"""Of a match: real texts that prompts show."""

MATCH_LABEL_WORDS = "label_words.tsv"
"""Of a match: words that distinguish labels, which prompts name."""

RESUME = "run"
"""Of a comparison or a match: folder of the state that a second call continues from."""

ARM_TEXTS = "texts"
"""Of a comparison: folder with one file of texts per arm."""


ARM_RECIPES = "recipes"
"""Of a comparison: folder with one recipe per arm that has one."""

BEST_RECIPE = "best.yaml"
"""Of a comparison: the recipe of the best arm."""


def arm_recipe_path(arm: str) -> str:
    """Return the path of an arm's recipe within a comparison folder."""
    return f"{ARM_RECIPES}/{arm.replace(':', '-')}.yaml"


def arm_texts_path(arm: str) -> str:
    """Return the path of an arm's texts within a comparison folder; ":" is not allowed in Windows file names."""
    return f"{ARM_TEXTS}/{arm.replace(':', '-')}.jsonl"
