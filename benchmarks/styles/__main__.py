"""Measure the style profiles of the package over the published files of real corpora.

python -m benchmarks.styles train.tsv --style comments > builder/data/styles/comments.tsv

builder/data/styles.yaml names the file of each profile, its source, licence and SHA-256. The same file gives the same
table, byte for byte. Only figures leave the corpus, one line per text.
"""

import argparse
import hashlib
import html
import sys
from collections import Counter
from pathlib import Path

from benchmarks.styles.readers import READERS
from personagen.metrics.style import StyleProfile, measure_profile, write_profile
from personagen.metrics.style.expressions import family_of
from personagen.metrics.style.profiles import UNLABELLED
from personagen.metrics.texts.words import count_words

PER_LABEL = 150
"""Texts per basic emotion of a profile."""

UNLABELLED_TEXTS = 600
"""Texts of a profile without labels."""

MAX_WORDS = 150
"""Words of the longest text that is measured."""


def measure(style: str, path: Path) -> StyleProfile:
    """Measure the profile of a style over its corpus; texts with labels of several basic emotions are left out."""
    texts, labels = [], []
    for raw, own in READERS[style](path):
        text = " ".join(html.unescape(raw).split())
        families = {family_of(label) for label in own}
        if len(families) <= 1 and count_words(text) <= MAX_WORDS:
            texts.append(text)
            labels.append(families.pop() if families else UNLABELLED)
    if any(labels):
        return measure_profile(style, "", texts, labels, per_label=PER_LABEL)
    return measure_profile(style, "", texts, None, per_label=UNLABELLED_TEXTS)


def digest(path: Path) -> str:
    """Return the SHA-256 of a file; of a folder, that of the names and digests of its files."""
    if path.is_dir():
        lines = "".join(f"{digest(file)}  {file.name}\n" for file in sorted(path.iterdir()))
        return hashlib.sha256(lines.encode()).hexdigest()
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main(arguments: list[str] | None = None) -> None:
    """Write the table of a profile to standard output, and its counts to standard error."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.styles", description=__doc__)
    parser.add_argument("corpus", type=Path, help="published file or folder, named in builder/data/styles.yaml")
    parser.add_argument("--style", required=True, choices=READERS)
    options = parser.parse_args(arguments)
    profile = measure(options.style, options.corpus)
    sys.stdout.write(write_profile(profile))
    counts = {label or "without label": len(texts) for label, texts in profile.texts.items()}
    print(f"{options.style}: {counts}; sha256 {digest(options.corpus)}", file=sys.stderr)
    for label, texts in profile.texts.items():
        kinds = Counter(one.expression for one in texts)
        print(f"  {label or 'all'}: {dict(kinds.most_common())}", file=sys.stderr)


if __name__ == "__main__":
    main()
