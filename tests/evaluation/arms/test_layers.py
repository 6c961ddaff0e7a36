"""Layers of personas are in memory once, however many texts have them."""

from dataclasses import asdict, replace

from personagen.builder.core.records import Demographic
from personagen.builder.evaluation.arms.layers import SharedLayers

PERSON = Demographic(
    age=41, gender="woman", work="employed", occupation="nurse", occupation_group="health", isco08="2221", mbti="ISFJ",
    openness=1, conscientiousness=2, extraversion=3, agreeableness=4, neuroticism=5,
)  # fmt: skip


def test_equal_layers_are_one_object() -> None:
    shared = SharedLayers()
    first, again = (shared.of({"demographic": replace(PERSON)}) for _ in range(2))
    assert first is again and first == {"demographic": asdict(PERSON)}
    other = shared.of({"demographic": replace(PERSON, age=42)})
    assert other != first and shared.of({}) == {} and shared.of({}) is shared.of({})
