"""Real texts from the package, from files of all kinds, from a folder, and what cannot be read."""

import gzip
import json
from pathlib import Path

import pytest

from personagen.metrics.texts.reference import load_reference

ROWS = [
    ("Hi there", "joy", "train"),
    ("Oh, no", "fear", "train"),
    ("  ", "joy", "train"),
    ("Late again", "anger", "test"),
]


def write(path: Path, text: str) -> Path:
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.tsv", "a.tsv.gz", "a.jsonl", "a.jsonl.gz", "a.parquet"])
def test_files_of_all_kinds(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name.endswith("parquet"):
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns = dict(zip(("text", "label", "split"), map(list, zip(*ROWS, strict=True)), strict=True))
        pq.write_table(pa.table(columns), path)
    elif "jsonl" in name:
        write(path, "\n".join(json.dumps(dict(zip(("text", "label", "split"), row, strict=True))) for row in ROWS))
    elif "csv" in name:
        write(path, "\ufefftext,label,split\n" + "\n".join(f'"{text}",{label},{split}' for text, label, split in ROWS))
    else:
        write(path, "text\tlabel\tsplit\n" + "\n".join("\t".join(row) for row in ROWS))
    found = load_reference(str(path))
    assert (found.name, found.texts, found.labels) == (name, ["Hi there", "Oh, no"], ["joy", "fear"])
    assert (found.test_texts, found.test_labels) == (["Late again"], ["anger"])


def test_columns_are_found_by_name_and_rows_without_one_label_left_out(tmp_path: Path) -> None:
    rows = [
        {"comment": "one", "emotions": [2]},
        {"comment": "two", "emotions": [1, 2]},
        {"comment": "three", "emotions": []},
        {"comment": "four", "emotions": ["joy"]},
        {"comment": None, "emotions": [1]},
    ]
    found = load_reference(str(write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)))))
    assert (found.texts, found.labels, found.test_texts) == (["one", "four"], ["2", "joy"], [])
    bare = load_reference(str(write(tmp_path / "b.csv", 'sentence\n"a\nb"\nc\n')))
    assert (bare.texts, bare.labels) == (["a\nb", "c"], None)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "x", r"reference a\.txt is a \.txt file, wanted csv, tsv, jsonl or parquet"),
        (
            "a.csv",
            "body\nx\n",
            r"reference a\.csv has the columns 'body', wanted one called text, .*",
        ),
        ("a.csv", "text\n\n", r"reference a\.csv has no text, wanted one or more; name another file or dataset"),
        (
            "a.csv",
            "text\n" + "x" * 200_000,
            r"line \d of reference a\.csv cannot be read \(field larger .*\); shorten .*",
        ),
        ("a.jsonl", '{"text": "x"}\n{', r"line 2 of reference a\.jsonl is no JSON \(.*\); correct it"),
        ("a.jsonl", "5", r"line 1 of reference a\.jsonl is 5, wanted an object"),
        ("a.csv.gz", None, r"cannot read reference a\.csv\.gz \(.*\); wanted text in UTF-8"),
        ("a.csv", b"text\n\xff\xfe", r"cannot read reference a\.csv \(.*\); wanted text in UTF-8"),
    ],
)
def test_what_cannot_be_read_is_one_line(name: str, text: str | bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(b"no gzip" if text is None else text.encode() if isinstance(text, str) else text)
    with pytest.raises(ValueError, match=f"^{message}$") as caught:
        load_reference(str(path))
    assert "\n" not in str(caught.value)


def test_what_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"^cannot load reference '.* \(.*\); wanted goemotions, xed, brighter, a file, a folder"
    ):
        load_reference(str(tmp_path / "nowhere"))
    with pytest.raises(
        ValueError, match=r"^no reference file 'nowhere\.csv\.gz'; wanted goemotions, xed, brighter, a file, a folder"
    ):
        load_reference("nowhere.csv.gz")


def test_a_folder_that_datasets_can_load(tmp_path: Path) -> None:
    for split, rows in (("train", ROWS[:2]), ("test", ROWS[3:])):
        lines = [json.dumps({"text": text, "label": label}) for text, label, _ in rows]
        write(tmp_path / f"{split}.jsonl", "\n".join(lines))
    found = load_reference(str(tmp_path))
    assert (found.texts, found.labels) == (["Hi there", "Oh, no"], ["joy", "fear"])
    assert (found.name, found.test_texts) == (tmp_path.name, ["Late again"])
