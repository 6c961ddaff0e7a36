"""A backend that never calls a model: requests have the keys that they had when it was called."""

import asyncio
import json
from dataclasses import asdict

import pytest

from personagen.builder.core.errors import MissingReplyError
from personagen.builder.llm.journal_only import CONCURRENCY, JournalOnly, ModelIdentity, identity_of_model, journal_only
from personagen.builder.llm.models import connect_models
from personagen.builder.llm.requests import Message, Request, Sampling, request_key
from tests.helpers.flow import recipe_for

REQUEST = Request((Message("user", "Write."),), Sampling(max_tokens=100), seed=7)


def test_a_request_has_the_key_that_it_had_when_the_model_was_called() -> None:
    """With every part of the identity: revision, and body of the requests."""
    recipe = recipe_for(
        "http://127.0.0.1:9/v1", {"backend.body": {"logit_bias": {"9": 1, "50256": -100}, "min_p": 0.1}}
    )
    (model,) = connect_models(recipe.backends, recipe.model_prices(), None, "key")
    identity = identity_of_model(model.backend)
    copied = ModelIdentity(**json.loads(json.dumps(asdict(identity))))
    (offline,) = journal_only([copied], recipe.backends, recipe.model_prices())
    assert request_key(offline.backend, REQUEST) == request_key(model.backend, REQUEST)
    assert (offline.label, offline.concurrency, offline.backend.paid) == ("fake-1", CONCURRENCY, False)
    asyncio.run(model.backend.close())


def test_no_call_is_made_and_no_room_is_given() -> None:
    backend = JournalOnly(ModelIdentity("openai", "fake-1", revision="abc"))
    assert str(ModelIdentity("openai", "fake-1", revision="abc")) == "openai fake-1 at revision abc"
    assert (backend.token_limit(REQUEST), backend.token_limit(REQUEST, 100)) == (100, 0)
    with pytest.raises(MissingReplyError, match=r"^the journal has no reply to a request with seed 7$"):
        asyncio.run(backend.complete(REQUEST))
    backend.stop()
    asyncio.run(backend.close())
