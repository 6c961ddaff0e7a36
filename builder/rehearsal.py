"""Refuse a recipe whose texts cannot be written, before its first call: by its templates, or by the embedded model.

Templates of a recipe are rendered for rows of every kind in its plan.

The embedded model completes given beginnings in English with a few words. Some rows go through the real stages with a
stand-in that completes each beginning with as many words as it lacks, as far as the token limit of a request allows.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from personagen.builder.core.errors import RecipeError
from personagen.builder.core.event_loop import compute_in_thread
from personagen.builder.llm.requests import Ask, Candidate, Reply, Request
from personagen.builder.planning.plan import Plan, RowPlan, make_plan
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.recipe.sections import Elaboration
from personagen.builder.planning.situations.possible import with_assumed_events
from personagen.builder.writing.continuation import finished
from personagen.builder.writing.rows import RowWriter
from personagen.metrics.style.profiles import MAX_COUNT
from personagen.metrics.texts.words import count_words

LANGUAGE = "en"
"""Language of the embedded model. For any other one, 98 % or more of 150 English texts were rejected."""

REHEARSED_ROWS = 42
"""Rows that are rehearsed, spread over the emotions; a row takes 20 ms."""

EXAMINED_ROWS = 210
"""Rows among which those are chosen that a recipe's templates are rendered for."""

REHEARSED_ATTEMPTS = 24
"""Attempts that are rehearsed: later ones have the same beginnings."""

HOPELESS_FRACTION = 0.05
"""Fraction of rehearsed rows without any fitting text from which a recipe is refused: a release needs every row."""

MAX_COMPLETION_WORDS = 10
"""Words of the longest completion: `completions.yaml` refuses more, and the model has one token or more per word."""

COMPLETION = ("near", "that", "old", "house", "with", "green", "doors", "and", "small", "windows")
"""Words of the stand-in."""


Lengths = Sequence[tuple[int, int]]
"""The shortest and the longest text of a row, in words, for each beginning that was tried."""


async def require_writable(recipe: Recipe, chosen: Path | None = None) -> None:
    """Raise RecipeError if a template of a recipe cannot be rendered, or the embedded model cannot write its texts.

    The embedded model may be unable by the language or the length of the texts. Recipes of other models are not
    examined for that, nor are those of `shown` texts without a style, nor default lengths.

    Args:
        recipe: the recipe.
        chosen: file of the run for the personas that are chosen from a source; see `make_plan`.

    """
    await _require_renderable(recipe, chosen)
    if not recipe.is_embedded or recipe.mixture() is None:
        return
    if recipe.text.language not in (None, LANGUAGE):
        raise RecipeError(
            f"text.language: got {recipe.text.language} for the embedded model, which writes English, wanted "
            f"{LANGUAGE}; leave it out, or choose another model by backend.kind and backend.model"
        )
    keys = [f"text.{key}" for key in ("style", "min_words", "max_words") if getattr(recipe.text, key) is not None]
    if not keys and recipe.channels is None:
        return
    plan = await compute_in_thread(lambda: make_plan(_simplified(recipe)))
    least, greatest = recipe.text_bounds()
    rows = [(_bounds_of(plan, row), await _rehearse(plan, row)) for row in _first_rows(plan)]
    hopeless = [
        lengths for (low, high), lengths in rows if not any(least <= high and most >= low for least, most in lengths)
    ]
    if not hopeless or len(hopeless) < HOPELESS_FRACTION * len(rows):
        return
    possible = [length for lengths in hopeless for pair in lengths for length in pair]
    raise RecipeError(
        f"{', '.join(keys or ['channels'])}: got texts of {least} to {greatest} words, but {len(hopeless)} of "
        f"{len(rows)} rehearsed texts of the embedded model can have {min(possible)} to {max(possible)} words at most, "
        "wanted bounds that all can meet; change them, or choose another model by backend.kind and backend.model"
    )


def _bounds_of(plan: Plan, row: RowPlan) -> tuple[int, int]:
    """Return the least and the greatest words of the text of a row."""
    channel = plan.channel_of(row)
    return plan.recipe.text_bounds() if channel is None else (channel.min_words, channel.max_words)


async def _require_renderable(recipe: Recipe, chosen: Path | None) -> None:
    """Render the templates that a recipe replaces, in every wording, for rows that differ in kind."""
    if recipe.prompts is None:
        return
    plan = await compute_in_thread(lambda: with_assumed_events(make_plan(with_attempts(recipe, 1), chosen)))
    writer = RowWriter(plan, lambda priority, stage, model: _answer_stand_in(stage), models=[""] * len(recipe.backends))
    for row in _rows_of_each_kind(plan):
        for wording in plan.wordings or (None,):
            await writer.write(replace(row, wording=wording), priority=0)


def with_attempts(recipe: Recipe, most: int) -> Recipe:
    """Return the recipe with at most so many attempts per text."""
    checks = recipe.checks.model_copy(update={"attempts": min(recipe.checks.attempts, most)})
    return recipe.model_copy(update={"checks": checks})


def stand_in_of(stage: str) -> str:
    """Return what stands in a prompt for prose that the model has not written yet."""
    return f"[Here stands the prose that the model writes in its reply to the request of the stage {stage}.]"


def prose_reply(stage: str) -> Reply:
    """Return a reply to a request for prose that holds a stand-in."""
    return Reply((Candidate(json.dumps({"prose": stand_in_of(stage)}), "stop"),), 0, 0)


def _answer_stand_in(stage: str) -> Ask:
    """Return a function that answers requests for prose by a stand-in, and requests for texts by nothing."""

    async def ask(request: Request) -> Reply:
        return Reply((Candidate("", "stop"),), 0, 0) if stage == "expression" else prose_reply(stage)

    return ask


def _rows_of_each_kind(plan: Plan) -> Iterator[RowPlan]:
    """Yield the first row of each kind at all depths: kinds differ in what is null, and in the words of a prompt."""
    kinds: set[tuple[object, ...]] = set()
    per_emotion = -(-EXAMINED_ROWS // len(plan.quotas))
    for emotion, quota in plan.quotas.items():
        for turn in range(min(per_emotion, sum(quota.values()))):
            row = plan.turn(emotion, turn)
            for depth in (plan.recipe.depth, *plan.recipe.ablations):
                style = row.style and (row.style.expression, row.style.style, row.style.features is None)
                job = depth != "none" and plan.people.persona(row.persona).demographic.isco08 is None
                kind = (emotion, row.intensity, depth, style, job)
                if kind not in kinds:
                    kinds.add(kind)
                    yield replace(row, depth=depth)


def _simplified(recipe: Recipe) -> Recipe:
    """Return the recipe with no prose of a model, and with no more attempts than have different beginnings."""
    sampled = Elaboration(demographic="sampled", sociocultural="sampled", situational="sampled")
    drawn = {"personas": None} if recipe.personas is not None and recipe.personas.source else {}  # not read twice
    return with_attempts(recipe, REHEARSED_ATTEMPTS).model_copy(update={"elaborate": sampled, **drawn})


def _first_rows(plan: Plan) -> Iterator[RowPlan]:
    """Yield the first rows of each emotion at all depths; their personas are the first ones, which are soon chosen."""
    per_emotion = -(-REHEARSED_ROWS // len(plan.quotas))
    for emotion, quota in plan.quotas.items():
        for turn in range(min(per_emotion, sum(quota.values()))):
            row = plan.turn(emotion, turn)
            yield row
            for depth in plan.recipe.ablations:
                yield replace(row, depth=depth)


async def _rehearse(plan: Plan, row: RowPlan) -> Lengths:
    """Take a row through its stages until a text is accepted."""
    lengths: list[tuple[int, int]] = []
    least = _bounds_of(plan, row)[0]
    features = row.style.features if row.style else None

    async def ask(request: Request) -> Reply:
        most = max(1, min(request.sampling.max_tokens - 1, MAX_COMPLETION_WORDS))
        if request.messages:
            shortest = count_words(finished(f"{request.prefill} {COMPLETION[0]}", features))
            lengths.append((shortest, shortest - 1 + most))
        else:  # the model continues a list of real texts
            lengths.append((1, MAX_COUNT))
        missing = min(max(1, least - count_words(request.prefill)), most)
        return Reply((Candidate("".join(f" {word}" for word in COMPLETION[:missing]), "stop"),), 0, 0)

    def ask_of(priority: int, stage: str, model: int) -> Ask:
        return ask

    writer = RowWriter(plan, ask_of, models=("",))
    await writer.write(row, priority=0)
    return lengths
