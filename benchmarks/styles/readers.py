"""Readers of the published files of real corpora, one per style: texts with their labels."""

import csv
import hashlib
import re
import unicodedata
import zipfile
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from xml.etree import ElementTree

from personagen.metrics.style.expressions import FAMILIES

Labelled = Iterator[tuple[str, frozenset[str]]]
"""Texts with their labels; no label in a corpus without labels."""

GOEMOTIONS = (*sorted(chain.from_iterable(FAMILIES.values())), "neutral")
XED = ("anger", "anticipation", "disgust", "fear", "joy", "sadness", "surprise", "trust")
BRIGHTER = ("anger", "fear", "joy", "sadness", "surprise")
TWEETEVAL = ("anger", "joy", "optimism", "sadness")
LEMOTIF = {
    "afraid": "fear", "angry": "anger", "anxious": "fear", "ashamed": "sadness", "awkward": "sadness", "calm": "joy",
    "confused": "surprise", "disgusted": "disgust", "excited": "joy", "frustrated": "anger", "happy": "joy",
    "proud": "joy", "sad": "sadness", "satisfied": "joy", "surprised": "surprise",
}  # fmt: skip
"""Basic emotions by emotion of Lemotif, as GoEmotions groups them; jealous, nostalgic and bored have none."""

ENGLISH_SPEAKING = ("United States", "USA", "Canada", "United Kingdom", "UK", "Australia", "Ireland", "New Zealand")


def read_comments(path: Path) -> Labelled:
    """Read GoEmotions: text, numbers of labels, id."""
    for text, numbers, _ in _rows(path, quoted=True):
        yield text, frozenset(GOEMOTIONS[int(number)] for number in numbers.split(","))


def read_dialogue(path: Path) -> Labelled:
    """Read XED: text in tokens, numbers of labels from 1. A fifth, by digest of the text, is left for testing."""
    for text, numbers in _rows(path, quoted=False):
        line = _join_tokens(text)
        if not _is_held_out(line):
            yield line, frozenset(XED[int(number) - 1] for number in numbers.split(","))


def read_reports(path: Path) -> Labelled:
    """Read BRIGHTER: one column of 0 and 1 per emotion; none is neutral."""
    for row in _records(path):
        labels = frozenset(name for name in BRIGHTER if row[name] == "1")
        yield row["text"], labels or frozenset(["neutral"])


def read_tweets(path: Path) -> Labelled:
    """Read TweetEval, emotion: one tweet per line, the numbers of the labels in train_labels.txt beside it.

    The mask of a mentioned account, @user, is taken out.
    """
    numbers = path.with_name(path.name.replace("text", "labels")).read_text(encoding="utf-8").split()
    texts = path.read_text(encoding="utf-8").rstrip("\n").split("\n")
    for text, number in zip(texts, numbers, strict=True):
        yield text.replace("@user", ""), frozenset([TWEETEVAL[int(number)]])


def read_diary(path: Path) -> Labelled:
    """Read Lemotif: one column of TRUE and FALSE per emotion. An entry with several basic emotions counts for each."""
    for row in _records(path):
        columns = {name: f"Answer.f1.{name}.raw" for name in LEMOTIF}
        for label in sorted({LEMOTIF[name] for name, column in columns.items() if row[column] == "TRUE"}):
            yield row["Answer"], frozenset([label])


def read_messages(path: Path) -> Labelled:
    """Read the archive of the NUS SMS corpus: native speakers in English-speaking countries."""
    with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as file:
        for _, element in ElementTree.iterparse(file):
            if element.tag != "message":
                continue
            native = (element.findtext(".//nativeSpeaker") or "").lower() == "yes"
            if native and element.findtext(".//country") in ENGLISH_SPEAKING:
                yield element.findtext("text") or "", frozenset()
            element.clear()


def read_mail(path: Path) -> Labelled:
    """Read a folder of AESLC: the body of each mail, which ends at "@subject"."""
    for file in sorted(path.glob("*.subject")):
        yield file.read_text(encoding="utf-8").partition("\n@subject")[0], frozenset()


READERS: Mapping[str, Callable[[Path], Labelled]] = {
    "comments": read_comments,
    "messages": read_messages,
    "tweets": read_tweets,
    "dialogue": read_dialogue,
    "reports": read_reports,
    "diary": read_diary,
    "mail": read_mail,
}


def _rows(path: Path, *, quoted: bool) -> Iterator[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.reader(file, delimiter="\t", quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE)


def _records(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from csv.DictReader(file)


def _join_tokens(text: str) -> str:
    """Undo the spaces that a tokeniser put before marks and inside contractions."""
    text = re.sub(r"\s+([,.;:!?%)\]}…]+)", r"\1", text)
    text = re.sub(r"([(\[{$£])\s+", r"\1", text)
    text = re.sub(r"\s+(n't|'(?:s|m|d|re|ve|ll|em))\b", r"\1", text, flags=re.IGNORECASE)
    text = re.sub(r"\b(gon|wan|got|can) (na|ta|not)\b", r"\1\2", text, flags=re.IGNORECASE)
    return re.sub(r"(\w(?:s|in))\s+'(?=[\s.,!?…]|$)", r"\1'", text)


def _is_held_out(text: str) -> bool:
    plain = unicodedata.normalize("NFKC", text).casefold()
    key = " ".join("".join(mark if mark.isalnum() else " " for mark in plain).split()) or text
    number = int.from_bytes(hashlib.sha256(f"xed_en v1\x1f{key}".encode()).digest()[:8], "big")
    return number / 2**64 < 0.2
