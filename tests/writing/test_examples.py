"""`text.examples`: real texts of the emotion in every prompt; refused if the file is none; recorded without a path."""

import json
import re
from pathlib import Path

import pytest

from personagen.builder.core.errors import FolderError, RecipeError
from personagen.builder.generate import generate
from personagen.builder.planning.recipe.parsing import read_recipe
from personagen.builder.planning.styles import EXAMPLES, MAX_EXAMPLE_WORDS, write_examples
from personagen.builder.release.run.run_folder import open_run
from personagen.builder.release.run.run_state import run_recipe
from personagen.metrics.style import measure_profile, write_profile
from tests.helpers.corpora.hand_made import corpus
from tests.helpers.servers.fake_openai import FakeOpenAI

TEXTS = [(row["label"], row["text"]) for row in corpus(20)]


def recipe_in(folder: Path, table: str, url: str = "http://localhost:9/v1") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "examples.tsv").write_text(table, encoding="utf-8")
    path = folder / "recipe.yaml"
    path.write_text(
        f"rows: 6\nemotions: [anger, joy]\ntext: {{examples: examples.tsv}}\nexpression: shown\n"
        f"backend: {{kind: openai, model: fake-1, base_url: '{url}'}}\n",
        encoding="utf-8",
    )
    return path


def test_every_prompt_shows_real_texts_of_its_emotion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    with FakeOpenAI() as server:
        path = recipe_in(tmp_path / "recipes", write_examples(TEXTS), server.url)
        result = generate(read_recipe(path), tmp_path / "out")
        texts = [json.dumps(request["messages"][-1]["content"]) for request in server.requests]
    prompts = [text for text in texts if "for the tone and not for the content" in text]
    assert len(prompts) >= 6
    for prompt in prompts:
        shown = {(label, text) for label, text in TEXTS if json.dumps(text)[1:-1] in prompt}
        assert len(shown) == EXAMPLES and len({label for label, _ in shown}) == 1
    recorded = result.manifest["recipe"]["text"]["examples"]
    assert recorded.startswith("examples.tsv sha256:") and str(tmp_path) not in json.dumps(result.manifest)


def test_a_prompt_names_words_of_the_label_that_are_no_more_open_than_the_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    open_words, covert = {"furious", "hate"}, {"queue", "landlord", "again", "boss"}
    table = write_examples([("anger", word) for word in sorted(open_words | covert)])
    (tmp_path / "words.tsv").write_text(table, encoding="utf-8")
    for expression in ("shown", "named"):
        with FakeOpenAI() as server:
            path = tmp_path / "recipe.yaml"
            path.write_text(
                f"rows: 12\nemotions: [anger]\nexpression: {expression}\ndepth: none\n"
                "text: {label_words: words.tsv, style: comments, min_words: 10, max_words: 60}\n"
                f"backend: {{kind: openai, model: fake-1, base_url: '{server.url}'}}\n",
                encoding="utf-8",
            )
            generate(read_recipe(path), tmp_path / expression)
            prompts = [request["messages"][-1]["content"] for request in server.requests]
        named = [set(re.findall(r"^- Words that such texts use.*: (.*)\.$", text, re.MULTILINE)) for text in prompts]
        assert all(len(lines) == 1 for lines in named)
        words = {word for lines in named for line in lines for word in line.split(", ")}
        assert words == (covert if expression == "shown" else covert | open_words)


def test_words_without_a_style_are_refused(tmp_path: Path) -> None:
    (tmp_path / "words.tsv").write_text(write_examples([("anger", "queue")]), encoding="utf-8")
    (tmp_path / "recipe.yaml").write_text("expression: shown\ntext: {label_words: words.tsv}\n", encoding="utf-8")
    with pytest.raises(RecipeError, match=r"text\.label_words needs a style or an expression"):
        read_recipe(tmp_path / "recipe.yaml")


def test_the_fingerprint_depends_on_the_texts_and_not_on_the_folder(tmp_path: Path) -> None:
    one, two, other = (
        read_recipe(recipe_in(tmp_path / name, write_examples(texts))).fingerprint()
        for name, texts in (("one", TEXTS), ("two", TEXTS), ("other", TEXTS[:-1]))
    )
    assert one == two != other


def test_long_texts_are_left_out_and_line_breaks_become_spaces() -> None:
    table = write_examples([("joy", "word " * (MAX_EXAMPLE_WORDS + 1)), ("joy", "so\nmuch\tfun")])
    assert table == "label\ttext\njoy\tso much fun\n"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("label\ttext\n", "text.examples: examples.tsv has no text, wanted one or more; run personagen match"),
        ("emotion\ttext\njoy\tfun\n", "text.examples: examples.tsv lacks the column label or text"),
        ("label\ttext\nbliss\tfun\n", r"has the labels 'bliss', none of which is an emotion .* \(anger, joy\)"),
        (f"label\ttext\njoy\t{'x' * 200_000}\n", "cannot read .*field larger than field limit"),
    ],
)
def test_a_file_that_is_no_table_of_examples_is_refused(table: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=message):
        read_recipe(recipe_in(tmp_path / "recipes", table))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    path = recipe_in(tmp_path / "recipes", "label\ttext\njoy\tfun\n")
    (path.parent / "examples.tsv").unlink()
    with pytest.raises(RecipeError, match=r"text\.examples: cannot read .*examples\.tsv.* \(No such file"):
        read_recipe(path)


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    read_recipe(recipe_in(tmp_path / "recipes", "\ufefflabel\ttext\njoy\tfun\n"))


class Changing:
    """Progress that deletes one file and replaces another at the first counts."""

    def __init__(self, deleted: Path, replaced: Path) -> None:
        self._deleted, self._replaced = deleted, replaced

    def update(self, status: object) -> None:
        self._deleted.unlink(missing_ok=True)
        self._replaced.write_text("label\ttext\njoy\tother\n", encoding="utf-8")

    def step(self, name: str) -> None: ...

    def advance(self, done: int, total: int) -> None: ...

    def warn(self, message: str) -> None: ...


def test_a_file_that_changes_during_a_run_changes_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither texts nor the record of their files: a deleted profile stops no run, and another one enters none."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    with FakeOpenAI() as server:
        path = recipe_in(tmp_path / "recipes", write_examples(TEXTS), server.url)
        profile = path.parent / "own.tsv"
        profile.write_text(write_profile(measure_profile("own", "a text", [TEXTS[0][1]], None, per_label=1)))
        path.write_text(
            path.read_text().replace("examples.tsv}", "examples.tsv, style: own.tsv, min_words: 3, max_words: 99}"),
            encoding="utf-8",
        )
        recipe = read_recipe(path)
        before = recipe.fingerprint()

        result = generate(recipe, tmp_path / "out", progress=Changing(profile, path.parent / "examples.tsv"))
    assert not profile.exists() and result.manifest["fingerprint"] == before


def test_examples_that_cannot_be_copied_stop_a_run_before_the_first_request(tmp_path: Path) -> None:
    recipe = read_recipe(recipe_in(tmp_path / "recipes", write_examples(TEXTS)))
    with open_run(tmp_path / "out", run_recipe(recipe)) as run:
        run.inputs.write_text("no folder", encoding="utf-8")
    with pytest.raises(FolderError, match=r"^cannot copy .*examples\.tsv to .*inputs.0: not a directory"):
        generate(recipe, tmp_path / "out")
