"""The fake server of the backends' tests: its replies are like those of a real server."""

import json
import random
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.servers.fake_batches import Trouble
from tests.helpers.servers.fake_openai import SCHEMA, Fault, completion, contents, instance


def test_fake_replies_are_readable_and_different() -> None:
    """Texts of 15 to 40 words that depend on the request only and differ between requests."""
    bodies = [{"model": "m", "messages": [{"role": "user", "content": f"Nr {i}"}], "seed": i} for i in range(200)]
    texts = [contents(body)[0] for body in bodies]
    assert texts == [contents(body)[0] for body in reversed(bodies)][::-1]
    assert all(15 <= len(text.split()) <= 40 and text.endswith(".") for text in texts)
    words = [set(text.lower().split()) for text in texts]
    assert max(len(a & b) / len(a | b) for i, a in enumerate(words) for b in words[:i]) < 0.6


def test_fake_satisfies_a_schema() -> None:
    """Numbers within bounds, enumerations and references."""
    body = {"model": "m", "messages": [{"role": "user", "content": "Nr 1"}], "seed": 1}
    asked = {**body, "response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}}
    value = json.loads(contents(asked)[0])
    assert 18 <= value["age"] <= 20
    assert value["mood"] in ("plain", "casual")
    assert len(value["tags"]) == 2
    assert max(len(tag) for tag in value["tags"]) <= 12
    spoilt = completion(asked, ["not_json"])["choices"][0]["message"]["content"]
    assert spoilt == "{" + contents(body)[0]
    refused = completion(asked, ["refusal"])["choices"][0]["message"]["content"]
    assert refused.startswith("I'm sorry")


@pytest.mark.parametrize(
    ("schema", "low", "high"),
    [
        ({"type": "number", "minimum": 0, "maximum": 1}, 0, 1),
        ({"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 2}, 1, 1),
        ({"type": ["integer", "null"], "maximum": 3}, -97, 3),
    ],
)
def test_fake_numbers_stay_in_bounds(schema: dict[str, Any], low: float, high: float) -> None:
    """Open and closed bounds."""
    assert all(low <= instance(schema, random.Random(seed), schema) <= high for seed in range(50))


def test_fake_runs_as_a_script() -> None:
    """It prints its URL and serves other processes."""
    root = Path(__file__).parents[3]
    command = [sys.executable, "-m", "tests.helpers.servers.fake_openai", "--port", "0"]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        body = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}
        try:
            request = urllib.request.Request(f"{url}/chat/completions", json.dumps(body).encode())
            with urllib.request.urlopen(request, timeout=10) as response:
                assert json.load(response) == completion(body)
        finally:
            process.terminate()


def test_fake_rejects_an_unknown_fault() -> None:
    """A typing error in a test must not become a fault that never occurs."""
    with pytest.raises(ValueError, match="unknown fault 'cuts', expected one of"):
        Fault("cuts")


def test_fake_rejects_unknown_trouble() -> None:
    """The same holds for the fake Batch API."""
    with pytest.raises(ValueError, match="unknown trouble creat cut, expected"):
        Trouble("creat", "cut")
