"""Personas of a source: which rows are chosen, what they become, and that only rows and seed decide it."""

import json
from collections import Counter
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from personagen.builder.core.errors import RecipeError
from personagen.builder.planning.personas.sources.choice import SourceRequest, choose_personas
from personagen.builder.planning.personas.sources.files import reading
from personagen.builder.planning.personas.sources.people import SourcedPeople
from personagen.builder.planning.personas.tables import persona_tables

COLUMNS = (
    "uuid",
    "professional_persona",
    "persona",
    "cultural_background",
    "sex",
    "age",
    "education_level",
    "occupation",
)
Table = Mapping[str, list[Any]]


def table(rows: int = 200) -> dict[str, list[Any]]:
    """Return a table with columns of Nemotron-Personas."""
    rng = Random(1)
    return {
        "uuid": [f"u{number:05d}" for number in range(rows)],
        "professional_persona": ["long"] * rows,
        "persona": [f"A person, number {number}, who sings" for number in range(rows)],
        "cultural_background": [f"Grew up in house {number}" for number in range(rows)],
        "sex": rng.choices(["Male", "Female"], [9, 1], k=rows),
        "age": [rng.randrange(18, 80) for _ in range(rows)],
        "education_level": rng.choices(["bachelors", "graduate", "some_college"], k=rows),
        "occupation": rng.choices(["nurse", "software_developer", "retired", "not_in_workforce"], k=rows),
        "state": rng.choices(["CA", "TX", "NY"], k=rows),
    }


def write(path: Path, columns: Table, **options: Any) -> str:
    """Write a table in the form that its name asks for, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.table(columns), path, **options)
        return str(path)
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return str(path)
    separator = "\t" if path.suffix == ".tsv" else ","
    lines = [separator.join(columns), *(separator.join(f'"{row[name]}"' for name in columns) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def choose(source: str, count: int = 20, *, seed: int = 0, store: Path | None = None, **keys: Any) -> SourcedPeople:
    """Choose personas."""
    request = SourceRequest(source, Path(source).name, seed, count, **keys)
    return choose_personas(request, persona_tables(), store)


def ids(people: SourcedPeople, count: int = 20) -> list[Any]:
    """Return the ids of the personas in their source."""
    return [people.persona(number).attributes["source_id"] for number in range(count)]


def test_columns_of_a_known_dataset_become_attributes(tmp_path: Path) -> None:
    people = choose(write(tmp_path / "n.parquet", table()))
    assert people.source["preset"] == "Nemotron-Personas"
    rows = {row["uuid"]: row for row in pa.table(table()).to_pylist()}
    for number in range(20):
        persona = people.persona(number)
        row = rows[str(persona.attributes["source_id"])]
        assert persona.demographic.age == row["age"] == persona.values["age"]
        assert persona.demographic.gender == {"Male": "man", "Female": "woman"}[row["sex"]]
        assert persona.demographic.prose == row["persona"]
        assert persona.sociocultural.prose == row["cultural_background"]
        assert persona.sociocultural.education == row["education_level"].replace("_", " ").replace(
            "bachelors", "bachelor"
        )
        assert persona.attributes["state"] == row["state"] and "professional_persona" not in persona.attributes
        assert persona.demographic.mbti is None and "mbti" not in persona.values


def test_an_occupation_gives_work_group_and_code_where_they_are_certain(tmp_path: Path) -> None:
    people = choose(write(tmp_path / "n.parquet", table()), 60)
    by_occupation = {str(people.persona(number).demographic.occupation): people.persona(number) for number in range(60)}
    nurse, developer = by_occupation["nurse"].demographic, by_occupation["software developer"].demographic
    assert (nurse.work, nurse.occupation_group, nurse.isco08) == ("employed", "professionals", "2221")
    assert developer.work == "employed"
    assert by_occupation["retired"].demographic.work == "retired"
    assert by_occupation["not in workforce"].demographic.work is None


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_every_form_of_a_table_gives_the_same_personas(suffix: str, tmp_path: Path) -> None:
    expected = choose(write(tmp_path / "n.parquet", table()))
    people = choose(write(tmp_path / f"other{suffix}", table()))
    assert [people.persona(number) for number in range(20)] == [expected.persona(number) for number in range(20)]


def test_order_files_and_batches_do_not_change_the_choice(tmp_path: Path) -> None:
    columns = table()
    whole = ids(choose(write(tmp_path / "whole.parquet", columns)))
    order = Random(5).sample(range(200), 200)
    shuffled = {name: [values[number] for number in order] for name, values in columns.items()}
    for part in range(4):
        parts = {name: values[part * 50 : part * 50 + 50] for name, values in shuffled.items()}
        write(tmp_path / "parts" / f"z{9 - part}.parquet", parts, row_group_size=7)
    assert ids(choose(str(tmp_path / "parts"))) == whole
    assert ids(choose(str(tmp_path / "parts"), seed=1)) != whole


def test_rows_without_ids_are_known_by_their_content(tmp_path: Path) -> None:
    texts = [f"A person who counts to {number % 90}" for number in range(180)]
    people = choose(write(tmp_path / "hub.jsonl", {"persona": texts}), 90)
    prose = [people.persona(number).demographic.prose for number in range(90)]
    assert sorted(map(str, prose)) == sorted(set(texts)), "each text once, however often it stands in the source"
    assert people.source["preset"] == "PersonaHub" and people.attribute_types == {}
    with pytest.raises(
        RecipeError,
        match=r"90 of the 180 rows of 'hub.jsonl' fit \(90 repeat another row, and no column personas.columns.id "
        r"distinguishes them\), wanted 91 personas, one row each; rai",
    ):
        choose(str(tmp_path / "hub.jsonl"), 91)


def test_the_first_personas_do_not_depend_on_their_number(tmp_path: Path) -> None:
    source = write(tmp_path / "n.parquet", table())
    assert ids(choose(source, 100), 10) == ids(choose(source, 10), 10)


def test_pairs_of_values_are_covered_better_than_at_random(tmp_path: Path) -> None:
    source = write(tmp_path / "n.parquet", table(2000))
    people = choose(source, 60)

    def pairs(values: list[Mapping[str, Any]]) -> int:
        names = ("age_band", "gender", "education", "state")
        met = {
            (*pair, one[pair[0]], one[pair[1]]) for one in values for pair in product(names, names) if pair[0] < pair[1]
        }
        return len(met)

    drawn = [people.persona(number).values for number in range(60)]
    whole = choose(source, 2000)
    pool = [whole.persona(number).values for number in range(2000)]
    samples = [pairs(Random(seed).sample(pool, 60)) for seed in range(20)]
    assert pairs(drawn) > max(samples)


def test_conditions_filter_the_rows_and_a_message_counts_what_they_exclude(tmp_path: Path) -> None:
    source = write(tmp_path / "n.parquet", table(400))
    where = {"age": {"min": 30, "max": 50}, "state": ["CA", "NY"], "occupation": {"not": "*work*"}}
    people = choose(source, 10, where=where)
    for number in range(10):
        values = people.persona(number).values
        assert 30 <= values["age"] <= 50 and values["state"] in ("CA", "NY")
        assert values["occupation"] != "not in workforce"
    with pytest.raises(
        RecipeError, match=r"0 of the 400 rows .* \(age excludes 400, state excludes \d+\), wanted 10 per"
    ):
        choose(source, 10, where={"age": {"min": 100}, "state": "CA"})
    with pytest.raises(
        RecipeError, match=r"where: the source has no column for 'religion'; name one under personas.col"
    ):
        choose(source, 10, where={"religion": "none"})


def test_a_missing_value_meets_only_a_negation(tmp_path: Path) -> None:
    columns = table(40) | {"state": ["CA", None] * 20}
    source = write(tmp_path / "n.parquet", columns)
    with pytest.raises(RecipeError, match="20 of the 40 rows"):
        choose(source, 30, where={"state": "*"})
    assert ids(choose(source, 40, where={"state": {"not": "TX"}}), 40)


def test_balanced_attributes_are_even_and_weights_are_kept(tmp_path: Path) -> None:
    source = write(tmp_path / "n.parquet", table(2000))
    balanced = choose(source, 60, balance=("gender", "state"))
    cells = Counter((v["gender"], v["state"]) for v in (balanced.persona(number).values for number in range(60)))
    assert set(cells.values()) == {10} and len(cells) == 6
    turns = [balanced.persona(number).values["gender"] for number in range(60)]
    assert len(set(turns[::2])) == len(set(turns[1::2])) == 2, "cells in turn would each get emotions of their own"
    weighted = choose(source, 60, weights={"state": {"CA": 2.0, "TX": 1.0}})
    states = Counter(weighted.persona(number).values["state"] for number in range(60))
    assert states == {"CA": 40, "TX": 20}


def test_a_run_continues_with_its_rows_whatever_becomes_of_the_source(tmp_path: Path) -> None:
    source, store = write(tmp_path / "n.parquet", table()), tmp_path / "run" / "chosen.personas.jsonl"
    first = ids(choose(source, store=store))
    content = store.read_bytes()
    Path(source).write_bytes(b"changed")
    assert ids(choose(source, store=store)) == first
    Path(source).unlink()
    assert ids(choose(source, store=store)) == first and store.read_bytes() == content
    with pytest.raises(RecipeError, match="does not exist; give a path relative to the recipe"):
        choose(source, 19, store=store)


def test_a_damaged_file_of_the_run_is_made_again(tmp_path: Path) -> None:
    source, store = write(tmp_path / "n.parquet", table()), tmp_path / "chosen.personas.jsonl"
    first = ids(choose(source, store=store))
    store.write_bytes(store.read_bytes()[:500])
    assert ids(choose(source, store=store)) == first


def test_numbers_of_a_column_stay_numbers(tmp_path: Path) -> None:
    columns = table() | {"income": list(range(200)), "score": [number / 4 for number in range(200)]}
    people = choose(write(tmp_path / "n.parquet", columns), where={"income": {"max": 150}})
    assert people.attribute_types["income"] == "int64" and people.attribute_types["score"] == "float64"
    assert all(isinstance(people.persona(number).attributes["income"], int) for number in range(20))


def test_hostile_values_are_data_on_one_line(tmp_path: Path) -> None:
    hostile = "{{ 7*7 }} {% raw %}\n- Age 99\u202e\u2028\x1b[31m !!python/object: x"
    people = choose(write(tmp_path / "n.jsonl", {"persona": [hostile] * 2, "note": [hostile, "y"]}), 2)
    texts = {people.persona(number).demographic.prose for number in range(2)}
    assert texts == {"{{ 7*7 }} {% raw %} - Age 99 [31m !!python/object: x"}


def test_the_choice_reads_no_more_than_a_batch_at_a_time(tmp_path: Path) -> None:
    source = write(tmp_path / "n.parquet", table(3 * reading.ROWS_PER_BATCH + 5))
    file = reading.SourceFile("n.parquet", Path(source))
    sizes = [len(batch["uuid"]) for batch in reading.read_batches(file, ["uuid"])]
    assert max(sizes) <= reading.ROWS_PER_BATCH and sum(sizes) == 3 * reading.ROWS_PER_BATCH + 5
