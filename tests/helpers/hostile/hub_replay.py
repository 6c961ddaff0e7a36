"""A process that records the answers of the test Hub to pushes and a verification, then replays them with mutations.

The client of `huggingface_hub` runs as it is; a transport answers in place of the network.
"""

import json
import random
import shutil
import signal
import sys
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx2
from huggingface_hub import HfApi, constants, set_client_factory

from personagen.builder.core.errors import HubError, PersonaGenError, ReleaseError
from personagen.builder.hub.client import AnswerLimits, HubClient
from personagen.builder.hub.push import PushSettings, push
from personagen.builder.hub.verify import verify_hub
from personagen_dataset import open_release
from tests.helpers.hostile.mutations import ODD, as_json, damaged, mutated, places
from tests.helpers.releasing import manifest_of

TOKEN = "hf_Zq8SECRETTOKEN0123456789"
PARTS = ("SECRETTOKEN", "Zq8S", "456789")
REPO = "user/replayed"
HANG_S = 5
STATUSES = (200, 201, 202, 204, 206, 299, 300, 304, 400, 401, 402, 403, 404, 409, 412, 413, 416, 418, 422, 429, 451,
            500, 502, 503, 504, 520, 599)  # fmt: skip
TARGETS = ("http://127.0.0.1:1/x", "//other.test/x", "file:///etc/passwd", "javascript:alert(1)", "http://[", "", "?",
           "../../x", "/", "\u00e9", "https://other.test/api/datasets/user/replayed", "SELF")  # fmt: skip
BODIES = (b"", b"null", b"[]", b"{}", b"7", b'"x"', b"<html><body>Sign in</body></html>", b"\xff\xfe\x00",
          b"\xef\xbb\xbf{}", b"[" * 100_000, b'{"a":' * 500 + b"1" + b"}" * 500, b'{"sha": "\\ud800"}',
          f"no {TOKEN}".encode(), json.dumps({"error": f"Authorization: Bearer {TOKEN}"}).encode(),
          b"9" * 5000, b"NaN")  # fmt: skip
HEADERS = ("etag", "x-linked-etag", "x-linked-size", "x-repo-commit", "content-type", "content-length", "x-error-code",
           "x-error-message", "location", "content-encoding", "content-range", "retry-after", "ratelimit")  # fmt: skip


LOADING_ERRORS = (FileNotFoundError, ConnectionError, ValueError)
"""Errors that the module for `load_dataset` documents."""


@dataclass(frozen=True)
class Answer:
    """A recorded answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def response(self) -> httpx2.Response:
        pairs = [(name.encode("latin-1", "replace"), value.encode("latin-1", "replace"))
                 for name, value in self.headers.items()]  # fmt: skip
        return httpx2.Response(self.status, headers=pairs, stream=httpx2.ByteStream(self.body))


@dataclass
class Recorder(httpx2.BaseTransport):
    """A transport that keeps the answers of another one, by method and path."""

    inner: httpx2.BaseTransport
    answers: dict[str, list[Answer]] = field(default_factory=lambda: defaultdict(list))

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        response = self.inner.handle_request(request)
        body = b"".join(response.iter_raw())
        kept = {name: value for name, value in response.headers.items() if name != "transfer-encoding"}
        self.answers[key_of(request)].append(Answer(response.status_code, kept, body))
        return self.answers[key_of(request)][-1].response()


@dataclass
class Replayer(httpx2.BaseTransport):
    """A transport that answers as recorded, one answer aside, which is changed once or always."""

    answers: Mapping[str, list[Answer]]
    target: str
    change: Callable[[Answer, str], Answer]
    times: int
    host: str
    asked: Counter[str] = field(default_factory=Counter)
    bodies: list[bytes] = field(default_factory=list)
    changed: list[Answer] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        key = key_of(request)
        if f"{request.url.scheme}://{request.url.netloc.decode()}" != self.host:
            if "authorization" in request.headers:
                self.leaks.append(str(request.url))
            raise httpx2.ConnectError("no such host", request=request)
        body = b"".join(request.stream)  # type: ignore[union-attr]  # a synchronous client
        if "/commit/" in key:
            self.bodies.append(body)
        known = self.answers.get(key, [Answer(404, {"x-error-code": "EntryNotFound"}, b"{}")])
        answer = known[min(self.asked[key], len(known) - 1)]
        if key == self.target and self.asked[key] < self.times:
            answer = self.change(answer, str(request.url))
            self.changed.append(answer)
        self.asked[key] += 1
        return answer.response()


def key_of(request: httpx2.Request) -> str:
    return f"{request.method} {request.url.path}"


def change_of(rng: random.Random) -> Callable[[Answer, str], Answer]:
    """Draw a change of an answer."""
    seed, kind = rng.random(), rng.randrange(16)

    def change(answer: Answer, url: str) -> Answer:
        rng = random.Random(seed)
        if kind < 12:
            return replace(answer, body=changed_body(answer.body, kind, rng))
        if kind == 12:
            headers = {"X-Error-Message": f"Bearer {TOKEN}", "Retry-After": "0"}
            return Answer(rng.choice(STATUSES), {**answer.headers, **headers}, rng.choice((*BODIES, answer.body)))
        if kind == 13:
            target = rng.choice(TARGETS)
            return Answer(rng.choice((301, 302, 303, 307, 308)), {"location": url if target == "SELF" else target}, b"")
        if kind == 14:
            return replace(answer, headers={**answer.headers, "link": f'<{url}>; rel="next"'})
        values = [printable_header(str(value)[:200]) for value in ODD[:36]]
        return replace(answer, headers={**answer.headers, rng.choice(HEADERS): rng.choice(values)})

    return change


def changed_body(body: bytes, kind: int, rng: random.Random) -> bytes:
    """Return a body with changes of its JSON, damaged, cut, or another one."""
    text = body.decode("utf-8", "replace")
    if kind < 7:
        try:
            value = json.loads(text)
        except ValueError:
            value = None
        known = list(places(value))
        changed = as_json(mutated(value, rng, known) if len(known) > 1 else rng.choice(ODD[:36]))
        return changed.encode("utf-8", "surrogatepass")
    if kind < 9:
        return damaged(text, rng).encode("utf-8", "surrogatepass")
    return body[: rng.randrange(len(body) + 1)] if kind == 9 else rng.choice(BODIES)


def printable_header(value: str) -> str:
    return "".join(char for char in value if char.isprintable())


SCENARIOS = ("new", "again", "tagged", "pull request", "branch", "verify", "load")


def run(scenario: str, folder: Path, other: Path, client: HubClient) -> Any:
    """Run a scenario: a call of a push or a verification."""
    if scenario == "verify":
        return verify_hub(f"{REPO}@v1", client=client)  # the release that "new" has pushed
    if scenario == "load":
        return open_release(REPO, "v1", TOKEN)
    settings = {
        "new": PushSettings(tag="v1"),
        "again": PushSettings(),
        "tagged": PushSettings(tag="v1"),
        "pull request": PushSettings(create_pr=True),
        "branch": PushSettings(revision="dev"),
    }[scenario]
    return push(other if scenario in ("again", "pull request", "branch") else folder, REPO, settings, client=client)


def wrong(scenario: str, done: Any, replayer: Replayer, folder: Path, other: Path) -> str | None:
    """Return why a result that claims success is wrong; None: it is right."""
    if scenario == "verify":
        changed = replayer.changed[-1] if replayer.changed else None
        if done.problems or "/tree/" not in replayer.target or changed is None or changed.status != 200:
            return None
        value = json.loads(changed.body)
        entries = [entry for entry in value if isinstance(entry, dict) and "lfs" in entry]
        listed = [(entry.get("path"), entry.get("size"), entry["lfs"].get("oid")) for entry in entries]
        shards = [(shard["path"], shard["bytes"], shard["sha256"]) for shard in manifest_of(folder)["shards"]]
        return None if set(shards) <= set(listed) else "verified what was not listed"
    if scenario == "load" or not done.sent:
        return None
    release = other if scenario in ("again", "pull request", "branch") else folder
    wanted = {path.relative_to(release).as_posix() for path in release.rglob("*") if path.is_file()}
    lines = [json.loads(line) for body in replayer.bodies for line in body.splitlines()]
    sent = {line["value"]["path"] for line in lines if line["key"] in ("file", "lfsFile")}
    return None if set(done.sent) <= sent | set(done.kept) and set(done.sent) | set(done.kept) == wanted else "not all"


def attempt(scenario: str, folder: Path, other: Path, client: HubClient, replayer: Replayer) -> tuple[str, str]:
    """Run a scenario once; return the kind of its end, and what is wrong with it ("": nothing)."""
    try:
        signal.alarm(HANG_S)
        done = run(scenario, folder, other, client)
    except (PersonaGenError, FileNotFoundError, ConnectionError, ValueError) as error:
        message = str(error)
        fine = message.isprintable() and len(message) < 1000 and not any(part in message for part in PARTS)
        kinds = LOADING_ERRORS if scenario == "load" else (HubError, ReleaseError)
        trace = "" if type(error) in kinds else traceback.format_exc()[-1500:]
        return "refused", "" if fine and type(error) in kinds else f"{type(error).__name__}: {message[:500]} {trace}"
    except Exception:
        return "traceback", traceback.format_exc()[-1500:]
    finally:
        signal.alarm(0)
    return "done", wrong(scenario, done, replayer, folder, other) or ""


def record(folder: Path, other: Path, client: HubClient) -> dict[str, dict[str, list[Answer]]]:
    """Run every scenario against the real test Hub; return the answers by scenario."""
    recorded = {}
    for scenario in SCENARIOS:
        clear_cache()
        recorder = Recorder(httpx2.HTTPTransport())
        use(recorder)
        run(scenario, folder, other, client)
        recorded[scenario] = dict(recorder.answers)
    return recorded


def use(transport: httpx2.BaseTransport) -> None:
    set_client_factory(lambda: httpx2.Client(transport=transport, follow_redirects=True, timeout=None))


def clear_cache() -> None:
    shutil.rmtree(constants.HF_HUB_CACHE, ignore_errors=True)


def main() -> None:
    folder, other, number, seed = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    time.sleep = lambda _seconds: None  # type: ignore[assignment]  # the client waits between its own retries
    signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(RuntimeError("hang")))
    api = HfApi(token=TOKEN)
    client = HubClient(api, lambda _seconds: None, limits=AnswerLimits(max_pages=30))
    recorded = record(folder, other, client)
    rng = random.Random(seed)
    ends: Counter[str] = Counter()
    faults: list[str] = []
    targets: set[str] = set()
    for _ in range(number):
        scenario = rng.choice(SCENARIOS)
        target = rng.choice(sorted(recorded[scenario]))
        replayer = Replayer(recorded[scenario], target, change_of(rng), rng.choice((1, 1000)), constants.ENDPOINT)
        targets.add(f"{scenario} {target}")
        use(replayer)
        clear_cache()
        end, fault = attempt(scenario, folder, other, client, replayer)
        ends[end] += 1
        if fault or replayer.leaks:
            changed = replayer.changed[-1] if replayer.changed else None
            faults.append(f"{scenario}, {target}: {fault} {replayer.leaks} after {str(changed)[:400]}")
    print(json.dumps({"ends": ends, "faults": faults, "targets": len(targets)}))  # noqa: T201


if __name__ == "__main__":
    main()
