"""Hand-written regions of a card are kept by later releases, or the run ends in one line; they are never lost."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personagen.builder.core.errors import ReleaseError
from personagen.builder.release.cards.regions import (
    REGIONS,
    begin_mark,
    end_mark,
    merge_regions,
    regions,
    validate_regions,
)
from tests.helpers.flow import bytes_of, make, recipe_for
from tests.helpers.servers.fake_openai import FakeOpenAI
from tests.release.cards.test_card import CARD

NEW = CARD.read_text(encoding="utf-8")
FIRST, LAST = REGIONS


def with_notes(card: str, **notes: str) -> str:
    """Return a card with text in its regions."""
    for name, text in notes.items():
        card = card.replace(begin_mark(name) + "\n", f"{begin_mark(name)}\n{text}\n", 1)
    return card


def test_the_card_has_a_region_after_its_introduction_and_one_at_its_end() -> None:
    assert list(regions(NEW)) == list(REGIONS)
    assert NEW.index("\n# small\n") < NEW.index(begin_mark(FIRST)) < NEW.index("\n## Load it\n")
    assert NEW.endswith(f"\n{begin_mark(LAST)}\n{end_mark(LAST)}\n")


def test_only_regions_are_kept() -> None:
    older = with_notes(NEW, introduction="Mine.\n\n## Also mine", notes="- thanks").replace("# small", "# renamed")
    merged = merge_regions(NEW, older)
    assert merged == with_notes(NEW, introduction="Mine.\n\n## Also mine", notes="- thanks")
    assert merge_regions(NEW, "") == merge_regions(NEW, NEW) == NEW
    assert merge_regions(NEW, older.replace("\n", "\r\n")).replace("\r", "") == merged


def test_a_region_that_is_not_empty_stays() -> None:
    newer = with_notes(NEW, introduction="new")
    assert merge_regions(newer, with_notes(NEW, introduction="old", notes="kept")) == with_notes(newer, notes="kept")


@given(st.text(), st.text())
def test_any_text_is_kept_unchanged(first: str, last: str) -> None:
    """Any text without a mark; blank text counts as empty."""
    older = with_notes("old\n" + NEW, introduction=first, notes=last)
    merged = merge_regions(NEW, older)
    for name, text in ((FIRST, first), (LAST, last)):
        assert regions(merged)[name] == (f"{text}\n".removesuffix("\n") if text.strip() else "")
    assert merge_regions(merged, older) == merge_regions(merged, merged) == merge_regions(NEW, merged) == merged


PARTS = [begin_mark(FIRST), end_mark(FIRST), begin_mark(LAST), end_mark(LAST), "text"]


@given(st.lists(st.sampled_from(PARTS), max_size=9))
def test_marks_in_any_order_are_kept_or_refused(lines: list[str]) -> None:
    """A card is accepted only if it has each region once and complete; then all text in them is kept."""
    older = "\n".join(["# title", *lines])
    try:
        merged = merge_regions(NEW, older)
    except ReleaseError as error:
        assert "\n" not in str(error)
        with pytest.raises(ReleaseError):
            validate_regions(older)
    else:
        validate_regions(older)
        assert sorted(line for line in lines if line != "text") == sorted(PARTS[:4])
        assert [regions(merged)[name] for name in REGIONS] == [regions(older)[name] for name in REGIONS]


BROKEN = {
    "no marks": ("".join(NEW.split(begin_mark(FIRST))[0]), "lacks the marks of the region 'introduction'"),
    "no end": (NEW.replace(end_mark(LAST), ""), "does not end the region 'notes' (line "),
    "no begin": (NEW.replace(begin_mark(FIRST), ""), "ends the region 'introduction' (line "),
    "doubled": (NEW + begin_mark(FIRST), "has the region 'introduction' twice (line "),
    "nested": (with_notes(NEW, introduction=begin_mark(LAST)), "begins the region 'notes' (line "),
    "reversed": (f"{end_mark(FIRST)}\nmine\n{begin_mark(FIRST)}\n", "that was not begun"),
    "another": (f"{NEW}{begin_mark('more')}\nmine\n{end_mark('more')}", "'more' that this version does not know"),
}


@pytest.mark.parametrize(("older", "message"), BROKEN.values(), ids=BROKEN)
def test_marks_that_are_not_in_order_are_refused_in_one_line(older: str, message: str) -> None:
    with pytest.raises(ReleaseError) as caught:
        merge_regions(NEW, older)
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert "put the lines <!-- personagen: ... --> back around your text" in str(caught.value)


def test_an_unknown_region_may_be_dropped_if_it_is_empty() -> None:
    assert merge_regions(NEW, f"{NEW}{begin_mark('more')}\n{end_mark('more')}\n") == NEW


def edit(out: Path) -> None:
    card = out / "README.md"
    card.write_text(with_notes(card.read_text(encoding="utf-8"), introduction="Héllo.", notes="Bye."), encoding="utf-8")


def notes_of(out: Path) -> dict[str, str]:
    return regions((out / "README.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize("way", ["same", "fresh", "reuse", "killed"])
def test_a_release_keeps_the_regions_of_the_one_it_replaces(way: str, tmp_path: Path) -> None:
    """By the same command, by --fresh, by --reuse for another recipe, or after a kill between two renames."""
    out = tmp_path / "out"
    with FakeOpenAI() as server:
        make(recipe_for(server.url), out)
        calm = bytes_of(out)
        edit(out)
        if way in ("same", "killed"):
            (out / "anger" / "test-00000-of-00001.parquet").unlink()
        if way == "killed":
            (out / "README.md").rename(tmp_path / "out.run" / "card.md")
            out.rename(tmp_path / "out.1")
        other = {"seed": 5} if way == "reuse" else {}
        assert make(recipe_for(server.url, other), out, fresh=way == "fresh", reuse=way == "reuse").created
    assert notes_of(out) == {"introduction": "Héllo.", "notes": "Bye."}
    assert way == "killed" or notes_of(tmp_path / "out.1") == notes_of(out)
    assert not (tmp_path / "out.run" / "card.md").exists()
    if way != "reuse":
        made = bytes_of(out)
        assert {name for name in calm if made[name] != calm[name]} == {"README.md"}


@pytest.mark.parametrize("way", ["same", "fresh", "reuse"])
@pytest.mark.parametrize(
    ("card", "message"),
    [
        ("mine", "README.md: the earlier card lacks the marks of the region 'introduction'"),
        (b"\xff", "save it as UTF-8"),
    ],
)
def test_regions_that_cannot_be_kept_stop_the_run_before_any_request(
    card: str | bytes, message: str, way: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with FakeOpenAI() as server:
        make(recipe_for(server.url), out)
        paid = len(server.requests)
        (out / "README.md").write_bytes(card if isinstance(card, bytes) else card.encode())
        (out / "anger" / "test-00000-of-00001.parquet").unlink()
        before = bytes_of(out)
        recipe = recipe_for(server.url, {"seed": 5} if way == "reuse" else {})
        with pytest.raises(ReleaseError) as caught:
            make(recipe, out, fresh=way == "fresh", reuse=way == "reuse")
        assert message in str(caught.value) and "\n" not in str(caught.value)
        assert bytes_of(out) == before and len(server.requests) == paid
        (out / "README.md").rename(out / "OLD.md")
        assert make(recipe, out, fresh=way == "fresh", reuse=way == "reuse").created
    assert notes_of(out) == {"introduction": "", "notes": ""}


def test_regions_survive_interrupted_fresh_runs(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with FakeOpenAI() as server:
        make(recipe_for(server.url), out)
        edit(out)
    for fresh in (True, True):
        with pytest.raises(Exception, match=r"127\.0\.0\.1"):
            make(recipe_for("http://127.0.0.1:1/v1"), out, fresh=fresh)
        assert not out.exists()
    with FakeOpenAI() as server:
        assert make(recipe_for(server.url), out).created
    assert notes_of(out) == {"introduction": "Héllo.", "notes": "Bye."}
