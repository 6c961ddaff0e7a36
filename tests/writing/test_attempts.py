"""The stages that call a model: attempts and their seeds, the choice among candidates, and what passes for prose."""

import asyncio
import json
from collections.abc import Sequence

import pytest

from personagen.builder.core.errors import BackendError, RequestError
from personagen.builder.core.records import Reject
from personagen.builder.llm.backends.openai_chat import connect_openai
from personagen.builder.llm.requests import Ask, Candidate, Message, Reply, Request, Sampling
from personagen.builder.planning.attribute_tables import persona_tables
from personagen.builder.planning.personas import draw_persona, make_design
from personagen.builder.planning.plan import request_seed
from personagen.builder.planning.taxonomy import Emotion
from personagen.builder.writing.attempts import AcceptedReply, Attempts
from personagen.builder.writing.checks import TextRules, Verdict
from personagen.builder.writing.elaboration import PROSE_SCHEMA, elaborate
from personagen.builder.writing.expression import TextChecks, express
from tests.helpers.servers.fake_openai import REFUSAL, FakeOpenAI, Fault, contents

PROSE = "She grew up above the bakery in a narrow street, and still counts her change twice."
RULES = TextRules(min_words=3, max_words=30, language=None, emotion_words=None, reject_leaks=False)
REQUEST = Request((Message("user", "Write a post."),), Sampling(max_tokens=50), seed=0)
JOY = Emotion("joy", "being glad", bank="joy")
WHO = draw_persona(persona_tables(), make_design(persona_tables(), 0, 1), 0)


def tries(rejects: list[Reject], *, stage: str = "expression", first: int = 0, limit: int = 3) -> Attempts:
    """Number the attempts of row "row-1" under seed 5, and collect what is refused."""
    return Attempts("row-1", "row-1", stage, 5, first, limit, rejects.append)


def seeds(stage: str, numbers: Sequence[int]) -> list[int]:
    """List the seeds that the attempts at row "row-1" must have."""
    return [request_seed(5, "row-1", stage, number) for number in numbers]


def says(content: str, *, finish: str = "stop") -> Fault:
    """Make the server answer every request with this content."""
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": finish}
    return Fault("status", status=200, body={"choices": [choice], "usage": {}})


def drawn(*candidates: Candidate) -> Ask:
    """Answer every request with these candidates, as a backend that tells probabilities does."""

    async def ask(_: Request) -> Reply:
        return Reply(candidates, 1, 1)

    return ask


def expressed(server: FakeOpenAI, attempts: Attempts) -> AcceptedReply | None:
    """Write a text with the model of the server."""

    async def run() -> AcceptedReply | None:
        backend = connect_openai(model="m", base_url=server.url, api_key=None, concurrency=1)
        try:
            return await express(REQUEST, JOY, ask=backend.complete, attempts=attempts, checks=TextChecks(RULES))
        finally:
            await backend.close()

    return asyncio.run(run())


def elaborated(server: FakeOpenAI, attempts: Attempts) -> str | None:
    """Write the portrait of a persona with the model of the server."""

    async def run() -> str | None:
        backend = connect_openai(model="m", base_url=server.url, api_key=None, concurrency=1)
        try:
            return await elaborate("demographic", backend.complete, attempts, demographic=WHO.demographic)
        finally:
            await backend.close()

    return asyncio.run(run())


def prose_of(content: str, *, finish: str = "stop") -> tuple[str | None, list[Reject]]:
    """Tell what becomes of a reply to a request for prose."""
    rejects: list[Reject] = []
    attempts = tries(rejects, stage="demographic", limit=1)
    ask = drawn(Candidate(content, finish))
    return asyncio.run(elaborate("demographic", ask, attempts, demographic=WHO.demographic)), rejects


def test_every_attempt_has_a_seed_of_its_own() -> None:
    """The seeds follow from the recipe's seed, the row, the stage and the number, so a run can be repeated."""
    rejects: list[Reject] = []
    with FakeOpenAI(faults=[Fault("refusal")]) as server:
        assert expressed(server, tries(rejects, limit=4)) is None
    sent = [body["seed"] for body in server.requests]
    assert sent == seeds("expression", range(4))
    assert len(set(sent)) == 4
    assert [(reject.attempt, reject.reason, reject.text) for reject in rejects] == [
        (number, "refusal", REFUSAL) for number in range(4)
    ]
    assert {(reject.id, reject.stage, reject.detail) for reject in rejects} == {("row-1", "expression", None)}


def test_seeds_differ_by_recipe_row_and_stage() -> None:
    """And all fit what backends take."""
    many = [
        request_seed(seed, row, stage, number)
        for seed in (0, 2**63 - 1)
        for row in ("joy-000000", "joy-000001")
        for stage in ("demographic", "expression")
        for number in range(50)
    ]
    assert len(set(many)) == len(many)
    assert all(0 <= seed < 2**31 for seed in many)


def test_accepted_draft_tells_the_seed_and_number_of_its_attempt() -> None:
    """What provenance says is what was sent."""
    rejects: list[Reject] = []
    with FakeOpenAI(faults=[Fault("refusal", times=2)]) as server:
        draft = expressed(server, tries(rejects))
    body = server.requests[-1]
    assert draft == AcceptedReply(Verdict(contents(body)[0], None, leaked=False), body["seed"], 2)
    assert len(rejects) == 2


def test_attempts_go_on_where_they_are_told_to() -> None:
    """A row that repeats another goes on with the next number; its earlier seeds are spent."""
    rejects: list[Reject] = []
    with FakeOpenAI(faults=[Fault("refusal")]) as server:
        assert expressed(server, tries(rejects, first=2, limit=4)) is None
        assert expressed(server, tries(rejects, first=4, limit=4)) is None
    assert [body["seed"] for body in server.requests] == seeds("expression", (2, 3))
    assert [reject.attempt for reject in rejects] == [2, 3]


def test_refused_request_is_an_attempt() -> None:
    """A 400 costs the attempt, is kept with what the server said, and the next one is made."""
    rejects: list[Reject] = []
    fault = Fault("status", times=1, status=400, body={"error": {"message": "the prompt is too odd"}})
    with FakeOpenAI(faults=[fault]) as server:
        draft = expressed(server, tries(rejects))
    assert draft is not None and draft.attempt == 1
    ((reason, text, detail),) = [(reject.reason, reject.text, reject.detail) for reject in rejects]
    assert (reason, text) == ("request", None)
    assert detail is not None and "refused the request (400): 'the prompt is too odd'" in detail


def test_error_of_the_backend_ends_the_attempts() -> None:
    """No further attempt can help, so none is made and nothing is counted as refused."""
    rejects: list[Reject] = []
    with FakeOpenAI(faults=[Fault("status", status=401)]) as server, pytest.raises(BackendError, match="OPENAI_API"):
        expressed(server, tries(rejects))
    assert (len(server.requests), rejects) == (1, [])


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault("refusal"), "refusal"),
        (Fault("empty_content"), "request"),
        (Fault("empty_choices"), "request"),
        (Fault("content_filter"), "request"),
        (says(" \n\t "), "empty"),
        (says("?! ..."), "empty"),
        (says("Too short."), "length"),
        (says(" ".join(f"w{number}" for number in range(31))), "length"),
        (says("The postman carried the ladder and the", finish="length"), "truncated"),
        (says("Here is a text that conveys the intended emotion as requested."), "meta"),
    ],
    ids=["refusal", "no content", "no choices", "filter", "blank", "marks", "short", "long", "cut", "meta"],
)
def test_unusable_text_is_refused_by_name(fault: Fault, reason: str) -> None:
    """Every refusal says why."""
    rejects: list[Reject] = []
    with FakeOpenAI(faults=[fault]) as server:
        assert expressed(server, tries(rejects, limit=1)) is None
    assert [reject.reason for reject in rejects] == [reason]


def test_text_that_was_cut_is_kept_up_to_its_last_sentence() -> None:
    """What was paid for is used where it can be."""
    rejects: list[Reject] = []
    with FakeOpenAI(faults=[says("We counted the boxes twice. Then the bus driver", finish="length")]) as server:
        draft = expressed(server, tries(rejects))
    assert draft is not None and draft.verdict.text == "We counted the boxes twice."


def test_most_probable_accepted_candidate_is_kept() -> None:
    """A refused candidate does not win, however probable it is."""
    ask = drawn(
        Candidate(REFUSAL, "stop", -0.1),
        Candidate("The first of the boxes was green.", "stop", -0.9),
        Candidate("The second of the boxes was green.", "stop", -0.4),
        Candidate("The third of the boxes was green.", "stop", -0.6),
    )
    rejects: list[Reject] = []
    draft = asyncio.run(express(REQUEST, JOY, ask=ask, attempts=tries(rejects), checks=TextChecks(RULES)))
    assert draft is not None and draft.verdict.text == "The second of the boxes was green."
    assert rejects == []


@pytest.mark.parametrize("logprob", [None, -0.5, 0.0])
def test_first_of_equal_candidates_is_kept(logprob: float | None) -> None:
    """Also where the backend gives no probability."""
    ask = drawn(
        Candidate("", "stop", logprob),
        Candidate("The first of the boxes was green.", "stop", logprob),
        Candidate("The second of the boxes was green.", "stop", logprob),
    )
    draft = asyncio.run(express(REQUEST, JOY, ask=ask, attempts=tries([]), checks=TextChecks(RULES)))
    assert draft is not None and draft.verdict.text == "The first of the boxes was green."


def test_refused_candidates_are_one_reject() -> None:
    """One request is one attempt; the first candidate stands for all."""
    rejects: list[Reject] = []
    ask = drawn(Candidate(REFUSAL, "stop", -2.0), Candidate("Too short.", "stop", -0.1))
    assert (
        asyncio.run(express(REQUEST, JOY, ask=ask, attempts=tries(rejects, limit=1), checks=TextChecks(RULES))) is None
    )
    assert [(reject.reason, reject.text) for reject in rejects] == [("refusal", REFUSAL)]


def test_reply_without_candidates_is_empty() -> None:
    """Nothing is a reason too."""
    rejects: list[Reject] = []
    assert (
        asyncio.run(express(REQUEST, JOY, ask=drawn(), attempts=tries(rejects, limit=1), checks=TextChecks(RULES)))
        is None
    )
    assert [(reject.reason, reject.text) for reject in rejects] == [("empty", "")]


def continued(text: str, *, finish: str = "stop") -> tuple[str | None, list[str]]:
    """Have a small model go on with a beginning; tell the text, and why it was refused."""
    request = Request(REQUEST.messages, REQUEST.sampling, seed=0, stop=(".",))
    rejects: list[Reject] = []
    attempts = tries(rejects, limit=1)
    draft = asyncio.run(
        express(
            request,
            JOY,
            ask=drawn(Candidate(text, finish)),
            attempts=attempts,
            checks=TextChecks(RULES),
            beginnings=("I opened the box and",),
        )
    )
    return draft.verdict.text if draft else None, [reject.reason for reject in rejects]


def test_continued_text_begins_with_its_beginning() -> None:
    """A small model is given the first words; they are part of the text, as is the mark that stopped it."""
    assert continued(" found a lamp ") == ("I opened the box and found a lamp.", [])


@pytest.mark.parametrize(
    ("text", "finish", "reason"),
    [
        (" ", "stop", "empty"),
        (" found a lamp", "length", "truncated"),
        (" was furious about the lamp", "stop", "astray"),
    ],
    ids=["nothing", "cut", "another emotion"],
)
def test_continuation_that_is_none_is_refused(text: str, finish: str, reason: str) -> None:
    """The beginning alone is no text, and what names another emotion than the row's has strayed."""
    assert continued(text, finish=finish) == (None, [reason])


def test_error_of_a_stage_leaves_no_draft() -> None:
    """When every request fails, each is told."""

    async def ask(_: Request) -> Reply:
        raise RequestError("no")

    rejects: list[Reject] = []
    assert asyncio.run(express(REQUEST, JOY, ask=ask, attempts=tries(rejects), checks=TextChecks(RULES))) is None
    assert [(reject.reason, reject.detail) for reject in rejects] == [("request", "no")] * 3


def test_prose_is_asked_for_under_its_schema() -> None:
    """And with the seed of its own stage."""
    with FakeOpenAI() as server:
        prose = elaborated(server, tries([], stage="demographic"))
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
    ],
    ids=["plain", "spaced", "fence", "talk", "invisible", "hostile"],
)
def test_prose_is_taken_out_of_what_surrounds_it(content: str) -> None:
    """Some models wrap their JSON, some their text."""
    assert prose_of(content) == (PROSE, [])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (PROSE, "schema"),
        ("{", "schema"),
        ("}{", "schema"),
        (" \n ", "empty"),
        ("null", "schema"),
        (json.dumps([PROSE]), "schema"),
        (json.dumps(PROSE), "schema"),
        (json.dumps({}), "schema"),
        (json.dumps({"text": PROSE}), "schema"),
        (json.dumps({"prose": PROSE, "mood": "glad"}), "schema"),
        (json.dumps({"prose": [PROSE]}), "schema"),
        (json.dumps({"prose": None}), "schema"),
        (json.dumps({"prose": 7}), "schema"),
        (json.dumps({"prose": {"prose": PROSE}}), "schema"),
        (json.dumps({"prose": PROSE}) * 2, "schema"),
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
        "prose", "brace", "braces", "blank", "null", "list", "string", "no key", "other key", "extra key", "list value",
        "null value", "number", "object", "twice", "unclosed", "long number", "brackets", "objects", "empty",
        "invisible", "short", "loop", "long", "refusal",
    ],
)  # fmt: skip
def test_what_is_no_prose_is_refused_by_name(content: str, reason: str) -> None:
    """Whatever the model sends, it is refused and never raises."""
    prose, rejects = prose_of(content)
    assert prose is None
    assert [(reject.id, reject.stage, reject.reason, reject.attempt) for reject in rejects] == [
        ("row-1", "demographic", reason, 0)
    ]


def test_deep_nesting_from_a_server_is_refused() -> None:
    """The reply itself is read without harm as well."""
    rejects: list[Reject] = []
    with FakeOpenAI(faults=[says('{"prose": ' + "[" * 100_000)]) as server:
        assert elaborated(server, tries(rejects, stage="demographic", limit=2)) is None
    assert [reject.reason for reject in rejects] == ["schema", "schema"]


def test_prose_that_was_cut_is_refused() -> None:
    """Half a JSON object is none."""
    prose, rejects = prose_of(json.dumps({"prose": PROSE})[:40], finish="length")
    assert prose is None
    assert [reject.reason for reject in rejects] == ["schema"]


def test_prose_in_place_of_json_is_asked_for_again() -> None:
    """The next attempt has another seed, and its reply is taken."""
    rejects: list[Reject] = []
    with FakeOpenAI(faults=[Fault("not_json", times=1)]) as server:
        prose = elaborated(server, tries(rejects, stage="demographic"))
    assert [body["seed"] for body in server.requests] == seeds("demographic", (0, 1))
    assert prose == json.loads(contents(server.requests[1])[0])["prose"]
    assert [(reject.reason, reject.attempt) for reject in rejects] == [("schema", 0)]
