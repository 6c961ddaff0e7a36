"""Emotion taxonomies: those that ship with the package, and the type of those defined in a recipe."""

from dataclasses import dataclass

from personagen.builder.core.package_data import read_yaml

NAMED_TAXONOMIES = ("ekman", "plutchik", "goemotions")
"""Names of the taxonomies in builder/data/taxonomies.yaml."""


@dataclass(frozen=True, slots=True)
class Emotion:
    """One label of a taxonomy.

    Attributes:
        name: the label.
        definition: meaning of the label, as shown in the prompts.
        bank: emotion of the situational bank whose events can evoke this one. None: the recipe defines the events.
        bank_label: GoEmotions label that an event of the bank must have. None: all events of the bank.
        events: events defined by the recipe, as clauses without a subject.

    """

    name: str
    definition: str
    bank: str | None = None
    bank_label: str | None = None
    events: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """An ordered set of emotions; their positions are the class ids of the label."""

    name: str
    emotions: tuple[Emotion, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The labels, in order."""
        return tuple(emotion.name for emotion in self.emotions)

    def __getitem__(self, name: str) -> Emotion:
        """Return the emotion of this name; KeyError if the taxonomy has none."""
        for emotion in self.emotions:
            if emotion.name == name:
                return emotion
        raise KeyError(name)


def named_taxonomy(name: str) -> Taxonomy:
    """Load a taxonomy that ships with the package; KeyError if the name is not one of NAMED_TAXONOMIES."""
    entries = read_yaml("taxonomies.yaml")[name]["emotions"]
    return Taxonomy(name, tuple(Emotion(emotion, **fields) for emotion, fields in entries.items()))


def bank_emotions() -> tuple[str, ...]:
    """Return the emotions for which the situational bank has events, sorted."""
    banks = {entry["bank"] for table in read_yaml("taxonomies.yaml").values() for entry in table["emotions"].values()}
    return tuple(sorted(banks))
