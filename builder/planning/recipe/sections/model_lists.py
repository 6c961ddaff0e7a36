"""Validate a list of models: each row has one of them."""

from collections.abc import Sequence

from personagen.builder.planning.recipe.sections.backends import BackendChoice

MAX_MODELS = 50
"""Upper bound on the models of a list, each with connections of its own."""


def validate_models(backend: BackendChoice | Sequence[BackendChoice]) -> None:
    """Raise ValueError for a share of a single model, or for a list of models that cannot share the rows."""
    if isinstance(backend, BackendChoice):
        if backend.share is not None:
            raise ValueError("backend.share: a single model writes all rows; leave it out, or list several models")
        return
    if len(backend) < 2:
        got = "an empty list" if not backend else "a list of one model"
        raise ValueError(f"backend: got {got}, wanted two models or more; write one model as a mapping, without a list")
    if len(backend) > MAX_MODELS:
        raise ValueError(f"backend: got {len(backend)} models, wanted at most {MAX_MODELS}; leave some out")
    positions: dict[str, int] = {}
    for position, choice in enumerate(backend):
        _validate_model(position, choice, backend[0])
        first = positions.setdefault(choice.model or "", position)
        if first != position:
            raise ValueError(
                f"backend.{position}: got the model {choice.model}, which backend.{first} has too, wanted different "
                "models, since a row names its model; leave one out, and add its share to the other"
            )


def _validate_model(position: int, choice: BackendChoice, first: BackendChoice) -> None:
    if choice.kind == "embedded":
        raise ValueError(
            f"backend.{position}: got the embedded model, which has prompts of its own and writes no prose, wanted "
            "openai, batch or transformers in a list of models; leave it out"
        )
    if (choice.share is None) != (first.share is None):
        lacking = 0 if first.share is None else position
        raise ValueError(f"backend.{lacking}: has no share, but others have; give every model one, or none a share")
