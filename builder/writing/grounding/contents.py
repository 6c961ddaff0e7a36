"""Draw the content of a row's prompt beside its layers: real texts and words, from files and sources of a recipe."""

from collections.abc import Callable

from personagen.builder.core.errors import RecipeError, raise_as
from personagen.builder.llm.requests import Request
from personagen.builder.planning.plan import RowPlan
from personagen.builder.planning.real_texts import ExampleDraw, PoolText, SourceDraw, TextPool
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.styles import draw_examples, load_examples
from personagen.builder.writing.expression import NO_GROUNDING, Grounding, row_label_words
from personagen.builder.writing.grounding.pools import load_pools

DrawTexts = Callable[[RowPlan], tuple[tuple[str, ...], str | None, tuple[tuple[str, str], ...]]]
"""Returns the examples of a row, the text that it paraphrases (None: it is new), and id and text of all of them."""


def load_grounding(recipe: Recipe) -> Callable[[RowPlan], Grounding]:
    """Return a function that draws the content of a row's prompt beside its layers.

    Raises:
        RecipeError: a file or a source of the recipe cannot be read, or has too few texts.

    """
    text = recipe.text
    if text.examples is None and text.label_words is None and recipe.grounding is None:
        return lambda row: NO_GROUNDING
    with raise_as(RecipeError):  # the files may have changed since the recipe was read
        examples = {} if text.examples is None else load_examples(text.examples)
        words = {} if text.label_words is None else load_examples(text.label_words, "text.label_words")
    draw = _real_texts(recipe, load_pools(recipe))

    def grounding(row: RowPlan) -> Grounding:
        shown, source, real_texts = draw(row)
        return Grounding(
            examples=shown or draw_examples(examples.get(row.emotion, ()), recipe.seed, row.id),
            source=source,
            label_words=row_label_words(row, words.get(row.emotion, ()), recipe.seed),
            real_texts=real_texts,
        )

    return grounding


def _real_texts(recipe: Recipe, pools: dict[str, TextPool]) -> DrawTexts:
    settings = recipe.grounding
    seed = recipe.seed if settings is None or settings.seed is None else settings.seed
    examples = sources = None
    if settings is not None and settings.examples is not None:
        examples = ExampleDraw(pools["examples"], seed, settings.examples.count, settings.examples.max_uses)
    if "paraphrase" in pools:
        sources = SourceDraw(pools["paraphrase"], seed)

    def draw(row: RowPlan) -> tuple[tuple[str, ...], str | None, tuple[tuple[str, str], ...]]:
        shown = examples.draw(row) if examples else ()
        source = sources.draw(row) if sources else None
        ids = [_identified(pools["examples"], text) for text in shown]
        ids += [_identified(pools["paraphrase"], source)] if source else []
        return tuple(text.text for text in shown), source.text if source else None, tuple(dict.fromkeys(ids))

    return draw


def _identified(pool: TextPool, text: PoolText) -> tuple[str, str]:
    return pool.text_id(text), text.text


def seen_texts(grounding: Grounding, request: Request) -> str | None:
    """Return the ids of the real texts in a prompt, separated by spaces; None: it shows none.

    A template may leave out what a row has, so the prompt itself decides.
    """
    prompt = "\n".join([*(message.content for message in request.messages), request.prefill])
    return " ".join(id_ for id_, text in grounding.real_texts if text in prompt) or None
