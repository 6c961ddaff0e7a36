"""The licence of a source: where it is found, and which licences of a release it permits."""

from pathlib import Path

import pytest

from personagen.builder.core.errors import RecipeError
from personagen.builder.planning.personas.sources.choice import SourceRequest, choose_personas
from personagen.builder.planning.personas.sources.licences import SourceLicence, require_compatible
from personagen.builder.planning.personas.tables import persona_tables


@pytest.mark.parametrize(
    ("source", "release", "reason"),
    [
        (
            "cc-by-nc-sa-4.0",
            "cc-by-4.0",
            "it forbids commercial use, which the release would allow; choose another lice",
        ),
        ("cc-by-nc-4.0", "apache-2.0", "it forbids commercial use"),
        ("cc-by-nd-4.0", "cc-by-nd-4.0", None),
        ("cc-by-nd-4.0", "cc-by-4.0", "it forbids to share what is made from it"),
        ("cc-by-sa-4.0", "cc-by-4.0", "what is made from it must be under cc-by-sa-4.0"),
        ("cc-by-sa-3.0", "cc-by-sa-4.0", None),
        ("odbl", "mit", "what is made from it must be under odbl"),
        ("cc-by-4.0", "cc0-1.0", "it asks for attribution, which the release would not"),
        ("cc-by-4.0", "mit", None),
        ("cc0-1.0", "cc-by-nc-4.0", None),
        ("cc-by-nc-4.0", "cc-by-nc-sa-4.0", None),
        ("llama3", "cc-by-4.0", "its terms are its own, and are not known to permit cc-by-4.0"),
        ("other", "cc-by-4.0", "nothing is known to permit it"),
        (None, "cc-by-4.0", "nothing is known to permit it; state its licence as personas.source_license, or leave"),
        ("cc-by-nc-4.0", None, None),
        (None, None, None),
        ("llama3", "other", None),
    ],
)
def test_a_release_cannot_allow_what_its_source_forbids(
    source: str | None, release: str | None, reason: str | None
) -> None:
    licence = SourceLicence(source, None, "recipe")
    if reason is None:
        require_compatible(licence, release)
        return
    with pytest.raises(RecipeError, match=f"license: got {release} for personas under .*: {reason}"):
        require_compatible(licence, release)


def choose(folder: Path, source_license: str | None = None) -> dict[str, object]:
    """Choose personas of a file in a folder, and return the facts on it and the notes."""
    (folder / "t.csv").write_text("persona\na\nb\nc\n")
    request = SourceRequest(str(folder / "t.csv"), "t.csv", 0, 2, source_license=source_license)
    people = choose_personas(request, persona_tables())
    return {**people.source, "notes": people.notes}


def test_a_readme_beside_the_file_states_licence_and_citation(tmp_path: Path) -> None:
    bibtex = "@misc{some2025,\n  title = {Some personas}\n}"
    (tmp_path / "README.md").write_text(f"---\nlicense: CC-BY-4.0\n---\n# T\n```\n{bibtex}\n```\n")
    facts = choose(tmp_path)
    assert (facts["license"], facts["license_from"], facts["notes"]) == ("cc-by-4.0", "card", ())
    assert facts["citation"] == "@misc{some2025, title = {Some personas} }"
    assert choose(tmp_path, "mit")["license_from"] == "recipe"


@pytest.mark.parametrize("front", ["license: [a, b]", "license: {x: y}", "license: 'Some words'"])
def test_an_unclear_licence_is_an_unknown_one(front: str, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(f"---\n{front}\n---\n")
    assert choose(tmp_path)["license"] == "other"


@pytest.mark.parametrize("readme", [None, "# no front matter", "---\nlicense: unknown\n---\n", "---\n: : [\n---\n"])
def test_a_source_without_a_licence_gives_a_warning(readme: str | None, tmp_path: Path) -> None:
    if readme is not None:
        (tmp_path / "README.md").write_text(readme)
    facts = choose(tmp_path)
    assert (facts["license"], facts["license_from"]) == (None, None)
    assert facts["notes"] == (
        "the licence of t.csv is unknown, so the release may not be free to share; state it as personas.source_license",
    )
