"""The stages that call a model: attempts and their seeds, the choice among candidates, and the prose of layers."""

import asyncio
import json
from collections.abc import Sequence

import pytest

from personagen.builder.core.errors import BackendError, RequestError
from personagen.builder.core.records import Reject
from personagen.builder.llm.backends.openai_chat import connect_openai
from personagen.builder.llm.requests import Ask, Candidate, Message, Reply, Request, Sampling
from personagen.builder.planning.personas.drawing import draw_persona, make_design
from personagen.builder.planning.personas.tables import persona_tables
from personagen.builder.planning.plan import request_seed
from personagen.builder.planning.taxonomy import Emotion
from personagen.builder.writing.attempts import AcceptedReply, Attempts
from personagen.builder.writing.checks import TextRules, Verdict
from personagen.builder.writing.elaboration import PROSE_SCHEMA, ProseRequirements, elaborate
from personagen.builder.writing.expression import TextChecks, express
from tests.helpers.servers.fake_openai import REFUSAL, FakeOpenAI, Fault, contents

PROSE = "She grew up above the bakery in a narrow street, and still counts her change twice."
RULES = TextRules(min_words=3, max_words=30, language=None, emotion_words=None, reject_leaks=False)
REQUEST = Request((Message("user", "Write a post."),), Sampling(max_tokens=50), seed=0)
JOY = Emotion("joy", "being glad", bank="joy")
WHO = draw_persona(persona_tables(), make_design(persona_tables(), 0, 1), 0)


def attempts_of(rejects: list[Reject], *, stage: str = "expression", first: int = 0, limit: int = 3) -> Attempts:
    """Return the attempts at row "row-1" under seed 5, which add their rejects to a list."""
    return Attempts("row-1", "row-1", stage, 5, first, limit, rejects.append)


def seeds(stage: str, numbers: Sequence[int]) -> list[int]:
    """Return the seeds that the attempts at row "row-1" must have."""
    return [request_seed(5, "row-1", stage, number) for number in numbers]


def fixed_reply(content: str, *, finish: str = "stop") -> Fault:
    """Return a fault that answers every request with this content."""
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": finish}
    return Fault("status", status=200, body={"choices": [choice], "usage": {}})


def answering(*candidates: Candidate) -> Ask:
    """Return an `Ask` that answers with these candidates, like a backend that reports probabilities."""

    async def ask(_: Request) -> Reply:
        return Reply(candidates, 1, 1)

    return ask


def express_by(server: FakeOpenAI, attempts: Attempts) -> AcceptedReply | None:
    """Write a text with the model of the server."""

    async def run() -> AcceptedReply | None:
        backend = connect_openai(model="m", base_url=server.url, api_key=None, concurrency=1)
        try:
            return await express(REQUEST, JOY, ask=backend.complete, attempts=attempts, checks=TextChecks(RULES))
        finally:
            await backend.close()

    return asyncio.run(run())


def elaborate_by(server: FakeOpenAI, attempts: Attempts) -> str | None:
    """Write the portrait of a persona with the model of the server."""

    async def run() -> str | None:
        backend = connect_openai(model="m", base_url=server.url, api_key=None, concurrency=1)
        try:
            return await elaborate(
                "demographic", backend.complete, attempts, ProseRequirements("en"), demographic=WHO.demographic
            )
        finally:
            await backend.close()

    return asyncio.run(run())


def prose_and_rejects(content: str, *, finish: str = "stop") -> tuple[str | None, list[Reject]]:
    """Return the prose and the rejects of a reply to a request for prose."""
    rejects: list[Reject] = []
    attempts = attempts_of(rejects, stage="demographic", limit=1)
    ask = answering(Candidate(content, finish))
    return asyncio.run(
        elaborate("demographic", ask, attempts, ProseRequirements("en"), demographic=WHO.demographic)
    ), rejects


def test_every_attempt_has_a_seed_of_its_own() -> None:
    """Seeds follow from the seed of the recipe, the row, the stage and the number, so that a run can be repeated."""
    rejects: list[Reject] = []
    with FakeOpenAI(faults=[Fault("refusal")]) as server:
        assert express_by(server, attempts_of(rejects, limit=4)) is None
    sent = [body["seed"] for body in server.requests]
    assert sent == seeds("expression", range(4))
    assert len(set(sent)) == 4
    assert [(reject.attempt, reject.reason, reject.text) for reject in rejects] == [
        (number, "refusal", REFUSAL) for number in range(4)
    ]
    assert {(reject.id, reject.stage, reject.detail) for reject in rejects} == {("row-1", "expression", None)}


def test_seeds_differ_by_recipe_row_and_stage() -> None:
    """All are within the range that backends accept."""
    many = [
        request_seed(seed, row, stage, number)
        for seed in (0, 2**63 - 1)
        for row in ("joy-000000", "joy-000001")
        for stage in ("demographic", "expression")
        for number in range(50)
    ]
    assert len(set(many)) == len(many)
    assert all(0 <= seed < 2**31 for seed in many)


def test_an_accepted_reply_has_the_seed_and_number_of_its_attempt() -> None:
    rejects: list[Reject] = []
    with FakeOpenAI(faults=[Fault("refusal", times=2)]) as server:
        draft = express_by(server, attempts_of(rejects))
    body = server.requests[-1]
    assert draft == AcceptedReply(Verdict(contents(body)[0], None, leaked=False), body["seed"], 2)
    assert len(rejects) == 2


def test_attempts_begin_at_the_given_number() -> None:
    """A retry of a duplicate continues after the seeds that were used."""
    rejects: list[Reject] = []
    with FakeOpenAI(faults=[Fault("refusal")]) as server:
        assert express_by(server, attempts_of(rejects, first=2, limit=4)) is None
        assert express_by(server, attempts_of(rejects, first=4, limit=4)) is None
    assert [body["seed"] for body in server.requests] == seeds("expression", (2, 3))
    assert [reject.attempt for reject in rejects] == [2, 3]


def test_a_refused_request_costs_an_attempt() -> None:
    """A refusal is kept with the message of the server, and the next attempt follows."""
    rejects: list[Reject] = []
    fault = Fault("status", times=1, status=413, body={"error": {"message": "the prompt is too odd"}})
    with FakeOpenAI(faults=[fault]) as server:
        draft = express_by(server, attempts_of(rejects))
    assert draft is not None and draft.attempt == 1
    ((reason, text, detail),) = [(reject.reason, reject.text, reject.detail) for reject in rejects]
    assert (reason, text) == ("request", None)
    assert detail is not None and "refused the request (413): 'the prompt is too odd'" in detail


def test_an_error_of_the_backend_ends_the_attempts() -> None:
    """No further attempt can succeed, and nothing is counted as rejected."""
    rejects: list[Reject] = []
    with FakeOpenAI(faults=[Fault("status", status=401)]) as server, pytest.raises(BackendError, match="OPENAI_API"):
        express_by(server, attempts_of(rejects))
    assert (len(server.requests), rejects) == (1, [])


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault("refusal"), "refusal"),
        (Fault("empty_content"), "request"),
        (Fault("empty_choices"), "request"),
        (Fault("content_filter"), "request"),
        (fixed_reply(" \n\t "), "empty"),
        (fixed_reply("?! ..."), "empty"),
        (fixed_reply("Too short."), "length"),
        (fixed_reply(" ".join(f"w{number}" for number in range(31))), "length"),
        (fixed_reply("The postman carried the ladder and the", finish="length"), "truncated"),
        (fixed_reply("Here is a text that conveys the intended emotion as requested."), "meta"),
    ],
    ids=["refusal", "no content", "no choices", "filter", "blank", "marks", "short", "long", "cut", "meta"],
)
def test_an_unusable_text_is_rejected_with_its_reason(fault: Fault, reason: str) -> None:
    rejects: list[Reject] = []
    with FakeOpenAI(faults=[fault]) as server:
        assert express_by(server, attempts_of(rejects, limit=1)) is None
    assert [reject.reason for reject in rejects] == [reason]


def test_a_cut_text_is_reduced_to_its_complete_sentences() -> None:
    rejects: list[Reject] = []
    with FakeOpenAI(faults=[fixed_reply("We counted the boxes twice. Then the bus driver", finish="length")]) as server:
        draft = express_by(server, attempts_of(rejects))
    assert draft is not None and draft.verdict.text == "We counted the boxes twice."


def test_the_most_probable_accepted_candidate_is_chosen() -> None:
    """A rejected candidate is never chosen, however probable it is."""
    ask = answering(
        Candidate(REFUSAL, "stop", -0.1),
        Candidate("The first of the boxes was green.", "stop", -0.9),
        Candidate("The second of the boxes was green.", "stop", -0.4),
        Candidate("The third of the boxes was green.", "stop", -0.6),
    )
    rejects: list[Reject] = []
    draft = asyncio.run(express(REQUEST, JOY, ask=ask, attempts=attempts_of(rejects), checks=TextChecks(RULES)))
    assert draft is not None and draft.verdict.text == "The second of the boxes was green."
    assert rejects == []


@pytest.mark.parametrize("logprob", [None, -0.5, 0.0])
def test_the_first_of_equal_candidates_is_chosen(logprob: float | None) -> None:
    """Also if the backend reports no probabilities."""
    ask = answering(
        Candidate("", "stop", logprob),
        Candidate("The first of the boxes was green.", "stop", logprob),
        Candidate("The second of the boxes was green.", "stop", logprob),
    )
    draft = asyncio.run(express(REQUEST, JOY, ask=ask, attempts=attempts_of([]), checks=TextChecks(RULES)))
    assert draft is not None and draft.verdict.text == "The first of the boxes was green."


def test_the_rejected_candidates_of_a_request_are_one_reject() -> None:
    """The first candidate stands for all."""
    rejects: list[Reject] = []
    ask = answering(Candidate(REFUSAL, "stop", -2.0), Candidate("Too short.", "stop", -0.1))
    assert (
        asyncio.run(express(REQUEST, JOY, ask=ask, attempts=attempts_of(rejects, limit=1), checks=TextChecks(RULES)))
        is None
    )
    assert [(reject.reason, reject.text) for reject in rejects] == [("refusal", REFUSAL)]


def test_a_reply_without_candidates_is_empty() -> None:
    rejects: list[Reject] = []
    assert (
        asyncio.run(
            express(REQUEST, JOY, ask=answering(), attempts=attempts_of(rejects, limit=1), checks=TextChecks(RULES))
        )
        is None
    )
    assert [(reject.reason, reject.text) for reject in rejects] == [("empty", "")]


def continue_beginning(text: str, *, finish: str = "stop") -> tuple[str | None, list[str]]:
    """Have a small model continue a beginning; return the text and the reasons of its rejects."""
    request = Request(REQUEST.messages, REQUEST.sampling, seed=0, stop=(".",))
    rejects: list[Reject] = []
    attempts = attempts_of(rejects, limit=1)
    draft = asyncio.run(
        express(
            request,
            JOY,
            ask=answering(Candidate(text, finish)),
            attempts=attempts,
            checks=TextChecks(RULES),
            beginnings=("I opened the box and",),
        )
    )
    return draft.verdict.text if draft else None, [reject.reason for reject in rejects]


def test_a_continued_text_includes_its_beginning() -> None:
    """And the mark that stopped it."""
    assert continue_beginning(" found a lamp ") == ("I opened the box and found a lamp.", [])


@pytest.mark.parametrize(
    ("text", "finish", "reason"),
    [
        (" ", "stop", "empty"),
        (" found a lamp", "length", "truncated"),
        (" was furious about the lamp", "stop", "astray"),
    ],
    ids=["nothing", "cut", "another emotion"],
)
def test_an_unusable_continuation_is_rejected(text: str, finish: str, reason: str) -> None:
    """A beginning alone is no text, and a word that names another emotion is off the subject."""
    assert continue_beginning(text, finish=finish) == (None, [reason])


def test_a_stage_of_failed_requests_accepts_nothing() -> None:
    """Every failure is a reject."""

    async def ask(_: Request) -> Reply:
        raise RequestError("no")

    rejects: list[Reject] = []
    assert asyncio.run(express(REQUEST, JOY, ask=ask, attempts=attempts_of(rejects), checks=TextChecks(RULES))) is None
    assert [(reject.reason, reject.detail) for reject in rejects] == [("request", "no")] * 3


def test_prose_is_requested_with_its_schema() -> None:
    """And with the seed of its own stage."""
    with FakeOpenAI() as server:
        prose = elaborate_by(server, attempts_of([], stage="demographic"))
    (body,) = server.requests
    assert body["response_format"]["json_schema"]["schema"] == PROSE_SCHEMA
    assert body["seed"] == seeds("demographic", [0])[0]
    assert prose == json.loads(contents(body)[0])["prose"]


@pytest.mark.parametrize(
    "content",
    [
        json.dumps({"prose": PROSE}),
        json.dumps({"prose": f"  {PROSE}\n\n"}, indent=4),
        f"```json\n{json.dumps({'prose': PROSE})}\n```",
        f"Sure! Here it is:\n{json.dumps({'prose': PROSE})}\nLet me know.",
        json.dumps({"prose": PROSE.replace(" ", "\u200b ", 1)}),
        json.dumps({"prose": f"\x1b[31m{PROSE}\x00\x07\ud800"}),
        PROSE,
        json.dumps([PROSE]),
        json.dumps(PROSE),
        json.dumps({"text": PROSE}),
        json.dumps({"prose": PROSE, "mood": "glad"}),
        json.dumps({"prose": {"prose": PROSE}}),
        json.dumps({"prose": PROSE}) * 2,
        f'{{"prose": "{PROSE}",}}',
    ],
    ids=[
        "plain",
        "spaced",
        "fence",
        "talk",
        "invisible",
        "hostile",
        "prose",
        "list",
        "string",
        "other key",
        "extra key",
        "object",
        "twice",
        "comma",
    ],
)
def test_prose_is_extracted_from_its_wrapping(content: str) -> None:
    """Some models wrap their JSON, some their text."""
    assert prose_and_rejects(content) == (PROSE, [])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("A quiet man.", "schema"),
        ("{", "schema"),
        ("}{", "schema"),
        (" \n ", "empty"),
        ("null", "schema"),
        (json.dumps({}), "schema"),
        (json.dumps({"prose": [PROSE]}), "schema"),
        (json.dumps({"prose": None}), "schema"),
        (json.dumps({"prose": 7}), "schema"),
        (json.dumps({"prose": PROSE})[:-1], "schema"),
        ('{"prose": ' + "9" * 5000 + "}", "schema"),
        ('{"prose": ' + "[" * 100_000 + "]" * 100_000 + "}", "schema"),
        ('{"prose": ' * 100_000 + "}" * 100_000, "schema"),
        (json.dumps({"prose": ""}), "empty"),
        (json.dumps({"prose": "\x00\u202e"}), "empty"),
        (json.dumps({"prose": "A quiet man."}), "length"),
        (json.dumps({"prose": "word after other " * 70 + "."}), "garbled"),
        (json.dumps({"prose": " ".join(f"w{number}" for number in range(201)) + "."}), "length"),
        (json.dumps({"prose": REFUSAL}), "refusal"),
    ],
    ids=[
        "talk", "brace", "braces", "blank", "null", "no key", "list value", "null value", "number", "unclosed",
        "long number", "brackets", "objects", "empty", "invisible", "short", "loop", "long", "refusal",
    ],
)  # fmt: skip
def test_other_replies_than_prose_are_rejected_with_a_reason(content: str, reason: str) -> None:
    """No reply raises."""
    prose, rejects = prose_and_rejects(content)
    assert prose is None
    assert [(reject.id, reject.stage, reject.reason, reject.attempt) for reject in rejects] == [
        ("row-1", "demographic", reason, 0)
    ]


def test_a_deeply_nested_reply_is_rejected() -> None:
    rejects: list[Reject] = []
    with FakeOpenAI(faults=[fixed_reply('{"prose": ' + "[" * 100_000)]) as server:
        assert elaborate_by(server, attempts_of(rejects, stage="demographic", limit=2)) is None
    assert [reject.reason for reject in rejects] == ["schema", "schema"]


def test_cut_prose_is_rejected() -> None:
    """Half a JSON object is no object."""
    prose, rejects = prose_and_rejects(json.dumps({"prose": PROSE})[:40], finish="length")
    assert prose is None
    assert [reject.reason for reject in rejects] == ["schema"]


def test_prose_without_json_is_retried() -> None:
    """The next attempt has another seed, and its reply is accepted."""
    rejects: list[Reject] = []
    with FakeOpenAI(faults=[Fault("not_json", times=1)]) as server:
        prose = elaborate_by(server, attempts_of(rejects, stage="demographic"))
    assert [body["seed"] for body in server.requests] == seeds("demographic", (0, 1))
    assert prose == json.loads(contents(server.requests[1])[0])["prose"]
    assert [(reject.reason, reject.attempt) for reject in rejects] == [("schema", 0)]
