"""Real human texts that the checks reject, by reason: each is a false rejection.

    python benchmarks/checks.py [--language CODE] CORPUS.tsv.gz ...

A corpus is a tab-separated file, gzipped or not, with a header line that names a column `text`.
"""

import csv
import gzip
import re
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from time import process_time

from personagen.builder.writing.checks import TextRules, check_text
from personagen.metrics.texts.words import count_words

MIN_WORDS = 8
"""Words of the shortest text that is checked."""


def main() -> None:
    """Print one table row per corpus: texts of 8 words or more, fraction rejected, reasons, processor time."""
    parser = ArgumentParser(description="Check real human texts.")
    parser.add_argument("--language", default="en", help="ISO 639-1 code of the language of the texts")
    parser.add_argument("corpora", nargs="+", type=Path)
    given = parser.parse_args()
    rules = TextRules(MIN_WORDS, 250, given.language, None, reject_leaks=False)
    print("| corpus | texts | refused | reasons | µs per text |\n| --- | --- | --- | --- | --- |")
    for path in given.corpora:
        texts = [text for text in _texts(path) if count_words(text) >= MIN_WORDS]
        start = process_time()
        verdicts = [check_text(text, prompt="", finish="stop", rules=rules) for text in texts]
        took = (process_time() - start) / max(len(texts), 1)
        reasons = Counter(verdict.reason for verdict in verdicts if verdict.reason)
        summary = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
        share = reasons.total() / max(len(texts), 1)
        print(f"| {path.name} | {len(texts)} | {share:.2%} | {summary} | {took * 1e6:.0f} |")


def _texts(path: Path) -> Iterator[str]:
    data = path.read_bytes()
    lines = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8").split("\n")
    for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
        # Some corpora hide names behind placeholders, which in a generated text are a fault.
        yield re.sub(r"\[[A-Z]+\]", "Sam", row["text"])


if __name__ == "__main__":
    main()
