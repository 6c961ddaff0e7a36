"""Profiles made again from published corpora: every format is read, and equal files give equal tables."""

import csv
import io
import zipfile
from pathlib import Path

import pytest

from benchmarks.styles.__main__ import digest, main, measure
from benchmarks.styles.readers import READERS
from personagen.builder.core.package_data import read_text, read_yaml
from personagen.builder.planning.styles.library import STYLES, find_style
from personagen.builder.writing.continuation.material import REGISTERS
from personagen.metrics.style import write_profile

COMMENTS = (
    "I hate mondays\t3\ta1\n"
    '"He said ""no"" &amp; left."\t27\ta2\n'
    "both at once\t2,17\ta3\n"
    "love it, so happy\t17,18\ta4\n"
    "thanks!!\t15\ta5\n"
)
TABLE = """\
label words sentences expression lowercase unpunctuated shouted exclamations questions contractions misspelt emoji \
laughter profanity first second third fragments positive negative
anger 3 1 named 0 1 0 0 0 0 0 0 0 0 1 0 0 0 0 1
joy 1 1 voiced 1 0 0 2 0 0 0 0 0 0 0 0 0 1 1 0
joy 4 1 named 1 1 0 0 0 0 0 0 0 0 0 0 0 0 2 0
neutral 4 1 shown 0 0 0 0 0 0 0 0 0 0 0 0 1 0 0 1
"""

FELT = (
    "afraid", "angry", "anxious", "ashamed", "awkward", "bored", "calm", "confused", "disgusted", "excited",
    "frustrated", "happy", "jealous", "nostalgic", "proud", "sad", "satisfied", "surprised",
)  # fmt: skip


@pytest.fixture
def corpora(tmp_path: Path) -> dict[str, Path]:
    """Return one small corpus per style, in the format of the published one."""
    paths = {
        "comments": tmp_path / "train.tsv",
        "dialogue": tmp_path / "en.tsv",
        "reports": tmp_path / "eng.csv",
        "tweets": tmp_path / "train_text.txt",
        "diary": tmp_path / "diary.csv",
        "messages": tmp_path / "en.zip",
        "mail": tmp_path / "dev",
    }
    paths["comments"].write_text(COMMENTS, encoding="utf-8")
    lines = [f"I wo n't wait {number} days , you hear ?\t1\n" for number in range(40)]
    paths["dialogue"].write_text("".join(lines), encoding="utf-8")
    paths["reports"].write_text(
        "id,text,anger,fear,joy,sadness,surprise\n1,It rained.,0,0,0,0,0\n2,We ran.,0,1,0,0,0\n3,We fell.,1,1,0,0,0\n",
        encoding="utf-8",
    )
    paths["tweets"].write_text("@user that's bad\nso glad #win\n", encoding="utf-8")
    paths["tweets"].with_name("train_labels.txt").write_text("0\n2\n", encoding="utf-8")
    header = ",".join(["Answer", *(f"Answer.f1.{name}.raw" for name in FELT)])
    values = ["TRUE" if name in {"angry", "sad"} else "FALSE" for name in FELT]
    paths["diary"].write_text(f"{header}\n{','.join(['I sat at home.', *values])}\n", encoding="utf-8")
    with zipfile.ZipFile(paths["messages"], "w") as archive:
        archive.writestr(
            "corpus.xml", f"<smsCorpus>{message('on my way', 'USA')}{message('oso can', 'SG')}</smsCorpus>"
        )
    paths["mail"].mkdir()
    (paths["mail"] / "a.subject").write_text("Dear Ann,\nsee you then.\n\n@subject\nfriday", encoding="utf-8")
    (paths["mail"] / "b.subject").write_text("long " * 151 + "\n\n@subject\nlong", encoding="utf-8")
    return paths


def message(text: str, country: str) -> str:
    profile = f"<nativeSpeaker>yes</nativeSpeaker><country>{country}</country>"
    return f"<message><text>{text}</text><source><userProfile>{profile}</userProfile></source></message>"


def counts(profile_table: str) -> dict[str, int]:
    labels = [row["label"] for row in csv.DictReader(io.StringIO(profile_table), delimiter="\t")]
    return {label: labels.count(label) for label in labels}


def test_a_corpus_gives_the_table_counted_by_hand(corpora: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    main([str(corpora["comments"]), "--style", "comments"])
    header, *rows = capsys.readouterr().out.splitlines()
    wanted, *lines = TABLE.replace(" ", "\t").splitlines()
    assert header == wanted
    assert sorted(rows) == lines


@pytest.mark.parametrize("style", READERS)
def test_the_same_file_gives_the_same_bytes(
    style: str, corpora: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    tables = []
    for _ in range(2):
        main([str(corpora[style]), "--style", style])
        printed = capsys.readouterr()
        tables.append(printed.out)
        assert digest(corpora[style]) in printed.err
    assert tables[0] == tables[1]
    assert len(tables[0].splitlines()) > 1


def test_texts_of_several_emotions_are_left_out_but_in_a_diary(corpora: dict[str, Path]) -> None:
    assert counts(write_profile(measure("reports", corpora["reports"]))) == {"fear": 1, "neutral": 1}
    assert counts(write_profile(measure("diary", corpora["diary"]))) == {"anger": 1, "sadness": 1}


def test_a_mention_is_taken_out_of_a_tweet(corpora: dict[str, Path]) -> None:
    assert measure("tweets", corpora["tweets"]).texts["anger"][0].words == 2


def test_tokens_of_subtitles_are_joined_and_a_fifth_is_held_out(corpora: dict[str, Path]) -> None:
    texts = measure("dialogue", corpora["dialogue"]).texts["anger"]
    assert 24 <= len(texts) < 40
    assert {(one.words, one.contractions, one.questions) for one in texts} == {(7, 1, 1)}


def test_only_messages_from_english_speaking_countries_count(corpora: dict[str, Path]) -> None:
    assert [one.words for one in measure("messages", corpora["messages"]).texts[""]] == [3]


def test_a_mail_ends_at_its_subject_and_a_long_one_is_left_out(corpora: dict[str, Path]) -> None:
    assert [one.words for one in measure("mail", corpora["mail"]).texts[""]] == [5]


def test_every_style_of_the_package_has_a_reader_a_register_and_a_documented_source() -> None:
    entries = read_yaml("styles.yaml")
    assert set(STYLES) == set(entries) == set(READERS) == set(REGISTERS)
    channels = {channel["id"] for channel in read_yaml("setting.yaml")["channels"]}
    for style, entry in entries.items():
        assert set(entry) == {"form", "channel", "source", "file", "sha256", "licence", "date", "texts"}
        assert entry["channel"] in channels
        assert len(bytes.fromhex(entry["sha256"])) == 32
        assert sum(map(len, find_style(style).texts.values())) == entry["texts"]


@pytest.mark.parametrize("style", STYLES)
def test_the_tables_of_the_package_are_written_as_the_script_writes_them(style: str) -> None:
    assert write_profile(find_style(style)) == read_text(f"styles/{style}.tsv")
