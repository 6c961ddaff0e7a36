"""How the last stage asks for a text: by instruction, or, of a model too small for that, by a beginning to continue."""

import random
from dataclasses import dataclass
from functools import cache

from personagen.builder.data_files import read_yaml
from personagen.builder.llm import Request, Sampling
from personagen.builder.personas import Persona
from personagen.builder.plan import RowPlan
from personagen.builder.prompts import render
from personagen.builder.recipe import Recipe
from personagen.builder.schema import layers_of
from personagen.builder.situations import Scene
from personagen.builder.taxonomy import Emotion


@dataclass(frozen=True, slots=True)
class Writing:
    """How texts are asked for.

    Attributes:
        template: "expression" (an instruction) or "continuation" (a beginning that the model goes on with).
        sampling: decoding parameters.
        stop: strings that end a text.
        candidates: texts drawn a request.

    """

    template: str
    sampling: Sampling
    stop: tuple[str, ...]
    candidates: int


def writing_of(recipe: Recipe) -> Writing:
    """Choose how texts are asked for: the recipe's wishes over the defaults of its backend."""
    draw, small = recipe.draw, recipe.backend.kind == "embedded"
    if small:
        sampling = Sampling(max_tokens=60, temperature=0.6, top_p=draw.top_p, min_p=0.08, repetition_penalty=1.05)
    else:
        # Two tokens a word and some room: a text cut off at the limit would be paid for and thrown away.
        sampling = Sampling(max_tokens=2 * recipe.text.max_words + 64, temperature=0.9, top_p=draw.top_p)
    if draw.temperature is not None:
        sampling = Sampling(
            sampling.max_tokens, draw.temperature, sampling.top_p, sampling.min_p, sampling.repetition_penalty
        )
    stop = ("\n",) if small else ()
    return Writing("continuation" if small else "expression", sampling, stop, draw.candidates or (8 if small else 1))


def expression_request(
    writing: Writing, recipe: Recipe, row: RowPlan, emotion: Emotion, persona: Persona | None, scene: Scene | None
) -> Request:
    """Make the request for a row's text; its seed is set by the attempt."""
    layers = layers_of(row.depth)
    messages = render(
        writing.template,
        demographic=persona.demographic if persona else None,
        sociocultural=persona.sociocultural if persona and "sociocultural" in layers else None,
        scene=scene,
        emotion=emotion.name,
        definition=emotion.definition,
        intensity=row.intensity,
        language=recipe.text.language,
        min_words=recipe.text.min_words,
        max_words=recipe.text.max_words,
    )
    prefill = _beginning(recipe.seed, row, emotion, scene) if writing.template == "continuation" else ""
    return Request(
        messages, writing.sampling, seed=0, prefill=prefill, stop=writing.stop, candidates=writing.candidates
    )


@cache
def openings(bank: str | None) -> tuple[str, ...]:
    """List clauses that imply an emotion of the bank without naming it, for a small model to complete."""
    return tuple(read_yaml("openings.yaml").get(bank, ("And now I",)))


def _beginning(seed: int, row: RowPlan, emotion: Emotion, scene: Scene | None) -> str:
    """Begin the text: the event as the persona tells it, where there is one, and a clause that implies the emotion."""
    clause = random.Random(f"opening:{seed}:{row.emotion}:{row.turn}").choice(openings(emotion.bank))
    return f"{scene.telling} {clause}" if scene and scene.telling else clause
