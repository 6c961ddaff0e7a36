"""Real human texts that the checks reject, by reason: each is a false rejection.

    python benchmarks/checks.py CORPUS.tsv.gz ...

A corpus is a tab-separated file, gzipped or not, with a header line that names a column `text`.
"""

import csv
import gzip
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

from personagen.builder.writing.checks import TextRules, check_text
from personagen.metrics.texts.words import count_words

RULES = TextRules(min_words=8, max_words=250, language="en", emotion_words=None, reject_leaks=False)


def main() -> None:
    """Print one table row per corpus: texts of 8 words or more, fraction rejected, reasons, microseconds per text."""
    print("| corpus | texts | refused | reasons | µs a text |\n| --- | --- | --- | --- | --- |")
    for path in map(Path, sys.argv[1:]):
        texts = [text for text in _texts(path) if count_words(text) >= RULES.min_words]
        start = perf_counter()
        verdicts = [check_text(text, prompt="", finish="stop", rules=RULES) for text in texts]
        took = (perf_counter() - start) / max(len(texts), 1)
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
