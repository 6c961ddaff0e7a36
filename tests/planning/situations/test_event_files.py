"""Files of events: three formats with the same content, and what is refused in words."""

import json
from pathlib import Path
from typing import Any

import pytest

from personagen.builder.core.errors import RecipeError
from personagen.builder.planning.personas.conditions import vocabulary_of
from personagen.builder.planning.personas.tables import persona_tables
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.recipe.parsing import parse_recipe
from personagen.builder.planning.situations.event_files import MAX_FILE_BYTES, FileEvent, load_event_file

APPRAISAL = {
    "pleasantness": "unpleasant",
    "agency": "other",
    "certainty": "certain",
    "control": "low",
    "expectedness": "unexpected",
}
EVENTS: list[dict[str, Any]] = [
    {"clause": "waiting two hours on the phone for the power company"},
    {
        "clause": "finding a second charge on the bank statement",
        "id": "double_charge",
        "emotions": ["anger", "sadness"],
        "fit": {"age": {"min": 18}, "work": ["employed", "student"]},
        "places": ["home", "online"],
        "companions": ["partner"],
        "times": ["evening"],
        "stakes": "money for the rent",
        "appraisal": APPRAISAL,
    },
]


def load(path: Path) -> tuple[FileEvent, ...]:
    return load_event_file(str(path), vocabulary_of(persona_tables()))


def written(folder: Path, name: str, content: str) -> Path:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return path


def recipe(path: Path, **changes: Any) -> Recipe:
    return parse_recipe("", "r", {"emotions": ["anger", "sadness"], "events.file": str(path)} | changes)


def test_all_formats_say_the_same(tmp_path: Path) -> None:
    columns = list(EVENTS[1])
    cells = [
        ";".join(value) if isinstance(value, list) else json.dumps(value) if isinstance(value, dict) else value
        for value in EVENTS[1].values()
    ]
    quoted = ['"' + cell.replace('"', '""') + '"' for cell in cells]
    plain = [EVENTS[0]["clause"], *[""] * (len(columns) - 1)]
    files = [
        written(tmp_path, "e.yaml", json.dumps([EVENTS[0]["clause"], EVENTS[1]])),
        written(tmp_path, "e.jsonl", "\n".join(map(json.dumps, EVENTS)) + "\n\n"),
        written(tmp_path, "e.csv", "\n".join(map(",".join, (columns, plain, quoted))) + "\n"),
        written(tmp_path, "e.tsv", "\ufeff" + "\n".join(map("\t".join, (columns, plain, quoted))) + "\n"),
    ]
    events = {path: [(one.event, one.emotions) for one in load(path)] for path in files}
    first = events[files[0]]
    assert all(listed == first for listed in events.values())
    (plain_event, any_emotion), (event, emotions) = first
    assert (plain_event.kind, any_emotion, plain_event.places, plain_event.is_own) == ("own_00001", (), (), True)
    assert (event.kind, emotions, event.places, event.times) == (
        "double_charge",
        ("anger", "sadness"),
        ("home", "online"),
        ("evening",),
    )
    assert event.fit.holds({"age": 30, "work": "student"}) and not event.fit.holds({"age": 12, "work": "student"})
    assert event.appraisal is not None and event.appraisal.agency == "other"


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({}, "has no clause, wanted a line of text; add one"),
        ({"clause": "  "}, "has no clause"),
        ({"clause": 7}, "has no clause"),
        (["a list"], "wanted a clause or a mapping"),
        ({"clause": "a\u0000b"}, r"clause has the invisible character U\+0000"),
        ({"clause": "losing\nkeys"}, "clause has a line break"),
        ({"clause": "losing \u202ekeys"}, r"clause has the invisible character U\+202E"),
        ({"clause": "x" * 301}, "clause has 301 characters, wanted 300 at most"),
        ({"clause": "a", "plases": ["home"]}, "unknown key 'plases', did you mean 'places'"),
        ({"clause": "a", "places": ["hom"]}, "unknown places 'hom', did you mean 'home'"),
        ({"clause": "a", "companions": ["partnr"]}, "unknown companions 'partnr', did you mean 'partner'"),
        ({"clause": "a", "times": ["evning"]}, "unknown times 'evning', did you mean 'evening'"),
        ({"clause": "a", "places": {"home": 1}}, "places is .*, wanted a list of names"),
        ({"clause": "a", "id": "Has Space"}, "id is 'Has Space', wanted small letters"),
        ({"clause": "a", "id": "custom"}, "id 'custom' is that of another kind of event; rename it"),
        ({"clause": "a", "id": "invented_joy_00001"}, "id 'invented_joy_00001' is that of another kind of event"),
        ({"clause": "a", "id": "airport_reunion"}, "id 'airport_reunion' is that of another kind of event"),
        ({"clause": "a", "fit": ["employed"]}, "fit is .*wanted a mapping of attributes"),
        ({"clause": "a", "fit": {"shoe": "big"}}, "fit.shoe: personas have no attribute 'shoe'"),
        ({"clause": "a", "fit": {"work": "employd"}}, "fit.work: unknown value 'employd', did you mean 'employed'"),
        ({"clause": "a", "fit": {"age": {"min": "old"}}}, "fit.age: got .*wanted {min: 20, max: 40}"),
        ({"clause": "a", "stakes": ""}, "has no stakes"),
        ({"clause": "a", "appraisal": {"agency": "self"}}, "appraisal has agency, wanted pleasantness, agency"),
        ({"clause": "a", "appraisal": "bad"}, "appraisal has 'bad', wanted"),
        ({"clause": "a", "appraisal": APPRAISAL | {"agency": "fate"}}, "appraisal.agency is 'fate', wanted self"),
    ],
)  # fmt: skip
def test_a_malformed_event_is_named_with_its_line(event: Any, message: str, tmp_path: Path) -> None:
    lines = [{"clause": "missing the last bus home"}, event]
    path = written(tmp_path, "e.jsonl", "\n".join(map(json.dumps, lines)))
    with pytest.raises(ValueError, match=message) as refused:
        load(path)
    assert str(refused.value).startswith("events.file: e.jsonl, line 2: ") and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("e.txt", "a", r"got 'e.txt', wanted a name in .yaml, .yml, .jsonl, .csv, .tsv; rename the file"),
        ("e.yaml", "", "e.yaml has no event, wanted one or more"),
        ("e.jsonl", "\n", "e.jsonl has no event"),
        ("e.csv", "clause\n", "e.csv has no event"),
        ("e.csv", "", "e.csv has the columns none, wanted clause"),
        ("e.csv", "event,places\na,home\n", "e.csv has the columns event, places, wanted clause"),
        ("e.csv", "clause,places\na\n", "e.csv, line 2: has another number of cells than columns"),
        ("e.csv", "clause,fit\na,{age: [\n", r"cannot parse e.csv, line 2, fit \("),
        ("e.csv", "clause,places,clause\na,home,b\n", "e.csv has two columns 'clause'; rename one of them"),
        ("e.yaml", "clause: a", "e.yaml is a dict, wanted a list"),
        ("e.yaml", "- a\n- [unclosed", r"cannot parse e.yaml, line 2 \("),
        ("e.yaml", "- !!python/object:os.system {}", r"cannot parse e.yaml, line 1 \(a value of type"),
        ("e.jsonl", '"a"\n{', r"cannot parse e.jsonl, line 2 \("),
        ("e.jsonl", "[" * 100_000, r"cannot parse e.jsonl, line 1 \("),
        ("e.yaml", "- losing keys\n- losing keys", "event 2: repeats the clause 'losing keys' of event 1"),
        ("e.yaml", "- {clause: a, id: x}\n- {clause: b, id: x}", "event 2: repeats the id 'x' of event 1"),
    ],
)
def test_an_unusable_file_is_refused(name: str, content: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message) as refused:
        load(written(tmp_path, name, content))
    assert str(refused.value).startswith("events.file: ")


def test_a_file_that_is_missing_binary_or_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"events.file: cannot read '.*none.yaml' \(No such file"):
        load(tmp_path / "none.yaml")
    with pytest.raises(ValueError, match=r"events.file: cannot read .*null"):
        load(Path("a\0.yaml"))
    (tmp_path / "e.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"events.file: e.yaml is no text in UTF-8"):
        load(tmp_path / "e.yaml")
    with (tmp_path / "large.yaml").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(ValueError, match=r"events.file: large.yaml has more than 64,000,000 bytes"):
        load(tmp_path / "large.yaml")


def test_a_clause_that_names_its_emotion_is_refused(tmp_path: Path) -> None:
    named = written(tmp_path, "e.yaml", "- {clause: being angry at the landlord, emotions: [anger]}\n- losing keys")
    with pytest.raises(
        RecipeError, match=r"event 1: the clause 'being angry .*names its emotion anger; say what happens"
    ):
        recipe(named)
    general = written(tmp_path, "g.yaml", "- being angry at the landlord")
    with pytest.raises(RecipeError, match=r"names its emotion anger; say what happens instead, or name its emotions"):
        recipe(general)
    other = "- {clause: calming an angry child, emotions: [sadness]}\n- {clause: losing keys, emotions: anger}"
    assert recipe(written(tmp_path, "o.yaml", other))
    assert recipe(general, **{"text.language": "de"}), "the word list is English"


def test_an_unknown_emotion_of_an_event_is_refused_with_a_suggestion(tmp_path: Path) -> None:
    path = written(tmp_path, "e.yaml", "- {clause: losing keys, emotions: [angr]}")
    with pytest.raises(RecipeError, match=r"event 1: unknown emotion 'angr', did you mean 'anger'"):
        recipe(path)
    other = written(tmp_path, "o.yaml", "- losing keys\n- {clause: a party, emotions: [joy]}")
    assert recipe(other), "an emotion of the taxonomy that the recipe leaves out"


def test_a_recipe_finds_the_file_beside_it_and_is_identified_by_its_content(tmp_path: Path) -> None:
    for folder, clause in (("one", "losing keys"), ("two", "losing keys"), ("three", "finding keys")):
        (tmp_path / folder).mkdir()
        written(tmp_path / folder, "e.yaml", f"- {clause} on the stairs")
    text = "emotions: [anger]\nevents: {file: e.yaml}"
    one, two, three = (parse_recipe(text, "r", folder=tmp_path / folder) for folder in ("one", "two", "three"))
    assert one.fingerprint() == two.fingerprint() != three.fingerprint()
    assert one.identity()["events"]["file"].startswith("e.yaml sha256:")
    (tmp_path / "one" / "e.yaml").unlink()
    with pytest.raises(RecipeError, match=r"events.file: cannot read"):
        one.fingerprint()
