"""Emotion taxonomies: the named ones, and those that a recipe defines."""

from dataclasses import dataclass

from personagen.builder.core.package_data import read_yaml

NAMED = ("ekman", "plutchik", "goemotions")


@dataclass(frozen=True, slots=True)
class Emotion:
    """One label of a taxonomy.

    Attributes:
        name: the label.
        definition: what it means, as the prompts put it.
        bank: emotion of the situational bank whose events can evoke this one; None where the recipe gives events.
        bank_label: keeps only the bank's events that carry this fine label; None keeps all.
        events: events of the recipe's own, as clauses without a subject.

    """

    name: str
    definition: str
    bank: str | None = None
    bank_label: str | None = None
    events: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """An ordered set of emotions; the order is that of the label's class ids."""

    name: str
    emotions: tuple[Emotion, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The labels, in order."""
        return tuple(emotion.name for emotion in self.emotions)

    def __getitem__(self, name: str) -> Emotion:
        """Find an emotion by name; KeyError where the taxonomy has none."""
        for emotion in self.emotions:
            if emotion.name == name:
                return emotion
        raise KeyError(name)


def named_taxonomy(name: str) -> Taxonomy:
    """Read one of the taxonomies that ship with the package; KeyError where there is none of this name."""
    entries = read_yaml("taxonomies.yaml")[name]["emotions"]
    return Taxonomy(name, tuple(Emotion(emotion, **fields) for emotion, fields in entries.items()))


def bank_emotions() -> tuple[str, ...]:
    """List the emotions that the situational bank has events for."""
    banks = {entry["bank"] for table in read_yaml("taxonomies.yaml").values() for entry in table["emotions"].values()}
    return tuple(sorted(banks))
