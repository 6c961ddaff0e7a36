"""Words that the project does not use, in names, comments, docstrings, messages and documentation."""

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

from tests.helpers.releasing import ROOT
from tests.project.files import in_each, name_of

BANNED = {
    "twin": "counterfactual",
    "twins": "counterfactuals",
    "tell": "report or log",
    "tells": "report or log",
    "telling": "report or log",
    "told": "reported",
    "whoever": "name the actor",
    "nobody": "name the actor",
    "somebody": "name the actor",
    "checker": "emotion classifier",
    "checkers": "emotion classifiers",
}
"""Word: what to write instead. CONTRIBUTING.md gives the rules behind them."""

PHRASES = {
    r"\basked (for )?again\b": "retried",
    r"\bheld against\b|\bhold against\b|\bholds? \w+ against\b": "compared against",
    r"\b(requests?|tokens?|calls?|rows?|texts?) an? (minute|second|day|row|emotion|text|call|persona|label)\b": "per",
    r"\btakes none\b": "None: ...",
}
"""Pattern: what to write instead."""

RELEASED = ("checker_label", "checker_confidence", '"checker"')
"""Columns and a key of the manifest that releases have had since the first version."""

DATA = (
    "metrics/human_likeness/dimensions.py",
    "metrics/realism/profiles.py",
    "metrics/style/voice_lexicon.py",
)
"""Modules whose strings are data: the questions to judges, whose answers are cached by wording, and English words."""

CODE = [
    *sorted((ROOT / "builder").rglob("*.py")),
    *sorted((ROOT / "metrics").rglob("*.py")),
    *sorted((ROOT / "benchmarks").rglob("*.py")),
    ROOT / "personagen_dataset.py",
    ROOT / "src" / "personagen" / "__init__.py",
]
TESTS = [path for path in sorted((ROOT / "tests").rglob("*.py")) if path != Path(__file__)]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "metrics").rglob("README.md")),
]


def fragments(path: Path, *, strings: bool) -> Iterator[tuple[int, str]]:
    """Yield line and text of the names, comments and docstrings of a module, and of all its strings if asked."""
    literals = {tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}  # parts of their own from 3.12
    docstring_follows = True
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        docstring = docstring_follows and token.type == tokenize.STRING and token.string.startswith('"""')
        named = token.type in (tokenize.NAME, tokenize.COMMENT)
        if named or docstring or (strings and token.type in literals):
            yield token.start[0], token.string
        if token.type not in (tokenize.NL, tokenize.COMMENT):
            docstring_follows = token.type in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)


def violations(text: str) -> list[str]:
    """List the banned words and phrases of a text with what to write instead."""
    words = re.findall(r"[a-z]+", re.sub("|".join(RELEASED), "", text).lower().replace("_", " "))
    found = [f"{word!r}: write {BANNED[word]}" for word in words if word in BANNED]
    return found + [f"{pattern}: write {better}" for pattern, better in PHRASES.items() if re.search(pattern, text)]


def in_code(path: Path, *, strings: bool) -> list[str]:
    """List the violations of a module with their lines."""
    return [
        f"{name_of(path)}:{line} {problem}"
        for line, text in fragments(path, strings=strings)
        for problem in violations(text)
    ]


@in_each(CODE)
def test_names_comments_and_messages_use_the_words_of_the_field(path: Path) -> None:
    assert in_code(path, strings=name_of(path) not in DATA) == []


@in_each(TESTS)
def test_tests_use_the_words_of_the_field(path: Path) -> None:
    assert in_code(path, strings=False) == []


@in_each(PAGES)
def test_pages_use_the_words_of_the_field(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    if path.name == "CONTRIBUTING.md":  # its glossary names the words
        lines = [line for line in lines if not line.startswith("| ")]
    assert [f"{number} {problem}" for number, line in enumerate(lines, 1) for problem in violations(line)] == []


def test_a_banned_word_is_found_wherever_it_stands() -> None:
    assert violations("def told_name(): ...") and violations("# nobody waits") and violations("60 requests a minute")
    assert not violations("row['provenance']['checker_label']") and not violations("a title, 60 requests per minute")
