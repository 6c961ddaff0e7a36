"""Sources that are refused: one line with the reason, before any personas are made."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from personagen.builder.core.errors import RecipeError
from personagen.builder.planning.personas.sources.choice import SourceRequest, choose_personas
from personagen.builder.planning.personas.sources.files import reading
from personagen.builder.planning.personas.sources.stored import MAX_VALUE_CHARS
from personagen.builder.planning.personas.tables import persona_tables
from personagen.builder.planning.recipe.parsing import parse_recipe

SENTENCES = {"persona": [f"A person with {number} cats" for number in range(30)]}


def choose(path: Path, count: int = 5, **keys: Any) -> None:
    """Choose personas of a table."""
    choose_personas(SourceRequest(str(path), path.name, 0, count, **keys), persona_tables())


def parquet(folder: Path, columns: dict[str, Any], name: str = "t.parquet") -> Path:
    """Write a parquet file."""
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), folder / name)
    return folder / name


def lines(folder: Path, content: bytes | str, name: str = "t.jsonl") -> Path:
    """Write a text file."""
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder / name


def test_a_column_that_the_source_lacks_is_named_with_those_that_it_has(tmp_path: Path) -> None:
    path = parquet(tmp_path, {"bio": ["x"] * 9, "years": [20] * 9})
    with pytest.raises(
        RecipeError, match=r"columns.age: the source has no column 'year', did you mean 'years'\?; its col"
    ):
        choose(path, columns={"age": "year"})
    with pytest.raises(
        RecipeError, match=r"no column says who a person is \(columns: 'bio', 'years'\); name them under "
    ):
        choose(path)
    with pytest.raises(
        RecipeError, match=r"personas.columns: got the attribute 'age_band', wanted another name of small"
    ):
        choose(path, columns={"age_band": "years", "prose": "bio"})


def test_ids_must_be_there_and_differ(tmp_path: Path) -> None:
    double = parquet(tmp_path, {"id": ["a", "b", "a"], **{"persona": ["x", "y", "z"]}}, "a.parquet")
    with pytest.raises(
        RecipeError, match=r"two rows have the same id \(rows 1 and 3 of their files\), wanted one row per"
    ):
        choose(double, 2, columns={"id": "id"})
    missing = parquet(tmp_path, {"id": ["a", None, "c"], "persona": ["x", "y", "z"]}, "b.parquet")
    with pytest.raises(
        RecipeError, match=r"row 2 of 'b.parquet' has no id in its column 'id', wanted one per row; fill it"
    ):
        choose(missing, 2)
    choose(missing, 3, columns={"id": None})


def test_columns_of_lists_are_left_out_or_refused(tmp_path: Path) -> None:
    path = parquet(tmp_path, SENTENCES | {"hobbies": [["chess"]] * 30})
    choose(path)
    with pytest.raises(
        RecipeError, match=r"columns.hobby: 'hobbies' is a column of lists, wanted text or numbers; leave i"
    ):
        choose(path, columns={"hobby": "hobbies"})
    late = [*({"persona": "x"} for _ in range(1200)), {"persona": ["x"]}]
    path = lines(tmp_path, "\n".join(map(json.dumps, late)))
    with pytest.raises(
        RecipeError, match=r"'t.jsonl' has a list in its column 'persona'; leave the column out, or write"
    ):
        choose(path)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("t.csv", "", "'t.csv' is empty; name a table with rows"),
        ("t.jsonl", "\n\n", "'t.jsonl' is empty; name a table with rows"),
        ("t.csv", "persona,age\n", r"0 of the 0 rows of 't.csv' fit, wanted 5 personas"),
        ("t.csv", "persona\nM\xfcller\n".encode("latin-1"), "'t.csv' is not in UTF-8; save it in UTF-8"),
        ("t.jsonl", '{"persona": "M\xfcller"}\n'.encode("latin-1"), "'t.jsonl' is not in UTF-8; save it in UTF-8"),
        ("t.csv", "persona,persona\na,b\n", "'t.csv' has two columns 'persona'; rename one of them"),
        ("t.csv", "persona,age\na\n", r"'t.csv' cannot be read \(CSV parse error.*\); check that it is whole"),
        ("t.jsonl", '{"persona": "a"}\n{"pers', "'t.jsonl' has no JSON in line 2; write one object per line"),
        ("t.jsonl", "[1]\n", "'t.jsonl' has no object in line 1; write one object per line"),
        ("t.jsonl", "[" * 100_000, "'t.jsonl' (has no JSON in line 1|has lists in lists without end); "),
        ("t.parquet", "PAR1", r"'t.parquet' cannot be read \(.*\); check that it is whole"),
        ("t.txt", "persona\nx\n", r"got 't.txt', wanted a file that ends in .csv, .tsv, .jsonl, .parquet; convert it"),
    ],
)  # fmt: skip
def test_files_that_cannot_be_read_are_refused(name: str, content: bytes | str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=problem):
        choose(lines(tmp_path, content, name))


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
def test_a_line_without_end_is_refused_and_not_read_into_memory(name: str, tmp_path: Path) -> None:
    head = "persona\n" if name == "t.csv" else ""
    path = lines(tmp_path, head, name)
    with path.open("ab") as file:
        file.truncate(3 * reading.MAX_LINE_BYTES)
    with pytest.raises(RecipeError, match=f"'{name}' has a line of more than 16,777,216 bytes; shorten it"):
        choose(path)


def test_a_text_too_long_for_a_prompt_is_refused(tmp_path: Path) -> None:
    path = parquet(tmp_path, {"persona": ["x" * (MAX_VALUE_CHARS + 1)]})
    with pytest.raises(
        RecipeError, match=r"row 1 of 't.parquet' has 20,001 characters in its column 'persona', wanted at"
    ):
        choose(path, 1)


def test_tables_of_a_folder_must_be_alike(tmp_path: Path) -> None:
    parquet(tmp_path, SENTENCES, "a/1.parquet")
    parquet(tmp_path, SENTENCES | {"age": [1] * 30}, "a/2.parquet")
    with pytest.raises(
        RecipeError, match=r"'1.parquet' and '2.parquet' differ in the columns 'age'; wanted the same colu"
    ):
        choose(tmp_path / "a")
    parquet(tmp_path, SENTENCES, "b/1.parquet")
    lines(tmp_path / "b", '{"persona": "x"}', "2.jsonl")
    with pytest.raises(
        RecipeError, match=r"'b' has .jsonl and .parquet files, wanted one kind; name a file or a folder w"
    ):
        choose(tmp_path / "b")
    (tmp_path / "c").mkdir()
    with pytest.raises(
        RecipeError, match=r"'c' has no file that ends in .csv, .tsv, .jsonl, .parquet; name a folder of"
    ):
        choose(tmp_path / "c")


def test_too_many_columns_or_cells_are_refused(tmp_path: Path) -> None:
    wide = parquet(tmp_path, {f"c{number}": [1] for number in range(501)}, "w.parquet")
    with pytest.raises(RecipeError, match=r"'w.parquet' has 501 columns, wanted at most 500; leave some out"):
        choose(wide)
    many = parquet(tmp_path, {"persona": list(map(str, range(900))), "town": [f"t{number}" for number in range(900)]})
    with pytest.raises(
        RecipeError, match="balance: town have more than 500 combinations of values in the source, wanted"
    ):
        choose(many, balance=("town",))


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("hf://datasets/a", "got 'hf://datasets/a', wanted hf://datasets/OWNER/NAME@REVISION or a path within it"),
        ("hf://datasets/a/b/../c", "got the path '../c', which leaves the repository; name a file or folder in it"),
        ("hf://datasets/a/b@../x", "got the revision '..', wanted a branch, a tag or a commit"),
        (
            "https://example.org/t.csv",
            "got 'https://example.org/t.csv', wanted a path, or hf://datasets/OWNER/NAME@REVI",
        ),
    ],
)
def test_addresses_of_another_form_are_refused_with_the_recipe(source: str, problem: str) -> None:
    with pytest.raises(RecipeError, match=problem):
        parse_recipe(f"personas: {{source: '{source}'}}", "r")


def test_keys_of_a_source_need_one() -> None:
    with pytest.raises(
        RecipeError, match=r"columns belongs to a source; name it as personas.source, or leave columns out"
    ):
        parse_recipe("personas: {columns: {age: years}}", "r")
    with pytest.raises(
        RecipeError, match="attributes are drawn from the recipe, a source has its own; leave out one of"
    ):
        parse_recipe("personas: {source: t.csv, attributes: {pet: {values: {cat: 1}}}}", "r")
    with pytest.raises(
        RecipeError, match=r"source_license: the Hub knows no 'cc-by-4', did you mean 'cc-by-4.0'.*; name o"
    ):
        parse_recipe("personas: {source: t.csv, source_license: cc-by-4}", "r")
    with pytest.raises(RecipeError, match=r"got '.*', wanted the path of a table or of a folder of tables"):
        parse_recipe("personas: {source: ' '}", "r")
