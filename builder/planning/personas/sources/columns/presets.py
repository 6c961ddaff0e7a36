"""Columns of well-known persona datasets, found by their names; versions differ by country and year.

From the cards of nvidia/Nemotron-Personas-USA, -Japan, -India, -Singapore, -Brazil, -France and -Korea,
proj-persona/PersonaHub and argilla/FinePersonas-v0.1.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field

PROSE, BACKGROUND, ID = "prose", "background", "id"
"""Keys of `personas.columns` for the portrait, the background and the id of a row."""

NARRATIVES = (
    "professional_persona", "sports_persona", "arts_persona", "travel_persona", "culinary_persona", "family_persona",
    "linguistic_persona", "linguistic_background", "skills_and_expertise", "skills_and_expertise_list",
    "hobbies_and_interests", "hobbies_and_interests_list", "career_goals_and_ambitions",
)  # fmt: skip
"""Long texts of Nemotron-Personas, 7 KB per row, which a release has only if its recipe names them."""


@dataclass(frozen=True, slots=True)
class Preset:
    """Meaning of the columns of a dataset.

    Attributes:
        name: name in manifest and card.
        needs: columns by which the dataset is known.
        columns: column by attribute, PROSE, BACKGROUND or ID; those that a version lacks are left out.
        dropped: columns that are kept only if a recipe names them.

    """

    name: str
    needs: frozenset[str]
    columns: Mapping[str, str]
    dropped: tuple[str, ...] = field(default=())


PRESETS = (
    Preset(
        "Nemotron-Personas",
        frozenset({"uuid", "persona", "professional_persona"}),
        {
            ID: "uuid",
            PROSE: "persona",
            BACKGROUND: "cultural_background",
            "age": "age",
            "gender": "sex",
            "occupation": "occupation",
            "education": "education_level",
            "country": "country",
        },
        NARRATIVES,
    ),
    Preset("FinePersonas", frozenset({"id", "persona", "labels"}), {ID: "id", PROSE: "persona"}, ("labels",)),
    Preset(
        "PersonaHub",
        frozenset({"input persona"}),
        {PROSE: "input persona"},
        ("synthesized text", "description"),
    ),
    Preset("PersonaHub", frozenset({"persona"}), {PROSE: "persona"}),
)
"""Presets, the most specific first."""


def preset_of(columns: Set[str]) -> Preset | None:
    """Return the preset of a table with these columns; None: it is no known dataset."""
    return next((preset for preset in PRESETS if preset.needs <= columns), None)
