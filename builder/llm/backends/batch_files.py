"""Files of the batches, from which a later process continues after a crash without paying twice.

<token>.jsonl          requests of a batch, one per line; written before anything is uploaded
<token>.json           id of the batch at the server, once it is known
<token>.output.jsonl   results; written when the batch is over

Every file is written to a temporary name, flushed to the disk and renamed. A token begins with a running number, so
names sort by age; its random end makes it unique among the batches of an account.
"""

import json
import re
import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from personagen.builder.core.errors import FolderError
from personagen.builder.core.files import make_folder, write_bytes
from personagen.builder.llm.chat_protocol.request_body import LIMIT_NAMES, levels_of

REQUESTS, RECORD, RESULTS = ".jsonl", ".json", ".output.jsonl"

LINE_START = b'{"custom_id": "'
"""Beginning of every request line, so that keys can be read without parsing the rest."""

KEY_LENGTH = 64
"""Hex digits of a request key."""

TOKEN_PATTERN = r"\d{6,}-[0-9a-f]{16}"  # noqa: S105


@dataclass(frozen=True, slots=True)
class LineResult:
    """Result of one request.

    Attributes:
        status: HTTP status.
        text: body of the answer.
        levels: optional parts of the request, with the level at which each was sent; see `levels_of`.
        sent: body that was sent, if the status refuses it; else None.
        limit: limit on completion tokens that was sent; None: none was.

    """

    status: int
    text: str
    levels: Mapping[str, int] = field(default_factory=dict)
    sent: dict[str, Any] | None = None
    limit: int | None = None


class BatchFolder:
    """Batches of one run, by request key; replies stay on disk."""

    def __init__(self, root: Path, *, chat_path: str = "/v1/chat/completions") -> None:
        """Use a folder that may not exist yet, whose files `load` reads; `chat_path`: path that request lines name."""
        self._root = root
        self._chat_path = chat_path
        self._loaded = False
        self._sizes: dict[str, int] = {}
        self._tokens: dict[bytes, str] = {}  # by digest, not hex: half the memory, for millions of keys

    def load(self) -> None:
        """Create the folder if needed, and index the keys of its batches, at the first call only.

        For a key in several batches, the latest one counts.

        Raises:
            FolderError: the folder cannot be created or read.

        """
        if self._loaded:
            return
        with self._folder_errors("read"):
            make_folder(self._root)
            for part in self._root.glob("*.part"):
                part.unlink()
            paths = sorted(self._root.glob(f"*{REQUESTS}"))
        for path in paths:
            token = path.name.removesuffix(REQUESTS)
            if re.fullmatch(TOKEN_PATTERN, token):
                with self._folder_errors("read", path.name), path.open("rb") as lines:
                    self._index(token, [_digest(_key(line)) for line in lines])
        self._loaded = True

    def find(self, key: str) -> str | None:
        """Return the token of the latest batch with a key; None: no batch has it."""
        token = self._tokens.get(_digest(key))
        return token if token in self._sizes else None

    def size(self, token: str) -> int:
        """Return the number of requests in a batch."""
        return self._sizes[token]

    def input(self, token: str) -> Path:
        """Return the path of the requests of a batch."""
        return self._root / f"{token}{REQUESTS}"

    def write(self, requests: Iterable[tuple[str, dict[str, Any]]], *, max_requests: int, max_bytes: int) -> list[str]:
        """Write requests to as many files as needed, and return their tokens in order.

        Args:
            requests: key and body of each request.
            max_requests: upper bound on the requests per file.
            max_bytes: upper bound on the bytes per file; a single request may exceed it.

        Raises:
            FolderError: the disk is full or the folder cannot be written.

        """
        tokens: list[str] = []
        lines: list[bytes] = []
        size = 0
        for key, body in requests:
            line = _request_line(key, body, self._chat_path)
            if lines and (len(lines) >= max_requests or size + len(line) > max_bytes):
                tokens.append(self._write_one(lines))
                lines, size = [], 0
            lines.append(line)
            size += len(line)
        if lines:
            tokens.append(self._write_one(lines))
        return tokens

    def _write_one(self, lines: list[bytes]) -> str:
        number = 1 + max((int(token.split("-")[0]) for token in self._sizes), default=0)
        token = f"{number:06d}-{secrets.token_hex(8)}"
        self._write_durably(self.input(token), lines)
        self._index(token, [_digest(_key(line)) for line in lines])
        return token

    def _index(self, token: str, digests: list[bytes]) -> None:
        self._sizes[token] = len(digests)
        self._tokens.update(dict.fromkeys(digests, token))

    def batch_of(self, token: str) -> str | None:
        """Return the id of a batch at the server; None: unknown, though the batch may exist."""
        with self._folder_errors("read"):
            try:
                batch_id = json.loads((self._root / f"{token}{RECORD}").read_text(encoding="utf-8"))["batch"]
            except (FileNotFoundError, ValueError, KeyError, TypeError):
                return None  # a damaged record counts as missing: the server can be searched
            return batch_id if isinstance(batch_id, str) else None

    def note(self, token: str, batch_id: str) -> None:
        """Record the id of a batch."""
        self._write_durably(self._root / f"{token}{RECORD}", [json.dumps({"batch": batch_id}).encode() + b"\n"])

    def forget(self, token: str) -> None:
        """Delete a batch that the server did not take; its requests are in no batch afterwards."""
        with self._folder_errors("write"):
            del self._sizes[token]
            # The requests first: a record without them is ignored.
            self.input(token).unlink(missing_ok=True)
            (self._root / f"{token}{RECORD}").unlink(missing_ok=True)

    def has_results(self, token: str) -> bool:
        """Return whether the results of a batch are on disk."""
        return (self._root / f"{token}{RESULTS}").exists()

    def keep_results(self, token: str, content: bytes) -> None:
        """Write the results of a batch.

        Raises:
            FolderError: the disk is full or the folder cannot be written.

        """
        self._write_durably(self._root / f"{token}{RESULTS}", [content])

    def results(self, token: str, keys: Collection[str]) -> dict[str, LineResult]:
        """Read the results of some keys; requests that were not carried out are missing.

        Raises:
            FolderError: the files cannot be read.

        """
        wanted, results = set(keys), dict[str, LineResult]()
        with self._folder_errors("read"), (self._root / f"{token}{RESULTS}").open("rb") as lines:
            for text in lines:
                key, line = _parse_result(text)
                if line is not None and key in wanted and (key not in results or line.status == 200):
                    results[key] = line
        with self._folder_errors("read"), self.input(token).open("rb") as lines:
            for text in lines:
                if (key := _key(text)) in results:
                    body = json.loads(text)["body"]
                    sent = None if results[key].status == 200 else body
                    limit = next((body[name] for name in LIMIT_NAMES if name in body), None)
                    results[key] = replace(results[key], levels=levels_of(body), sent=sent, limit=limit)
        return results

    def _write_durably(self, path: Path, chunks: Iterable[bytes]) -> None:
        """Write a file that is complete or absent, also after a power cut."""
        with self._folder_errors("write"):
            write_bytes(path, chunks)

    @contextmanager
    def _folder_errors(self, verb: str, file: str = "a file") -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise FolderError(
                f"cannot {verb} the batches in {self._root}: {reason}; free some space or check the folder, and run "
                "the command again"
            ) from error
        except ValueError as error:
            raise FolderError(
                f"cannot {verb} the batches in {self._root}: {file} is damaged ({error}); put back a copy "
                "of it, or remove it and its batch is paid for again, without the others"
            ) from error


def is_results(content: bytes) -> bool:
    """Return whether a downloaded file has results, by its first line; an empty file has."""
    first = content.lstrip().split(b"\n", 1)[0]
    return not first or _parse_result(first)[0] is not None


def _request_line(key: str, body: dict[str, Any], chat_path: str) -> bytes:
    line = {"custom_id": key, "method": "POST", "url": chat_path, "body": body}
    return json.dumps(line).encode("ascii") + b"\n"


def _key(line: bytes) -> str:
    return line[len(LINE_START) : len(LINE_START) + KEY_LENGTH].decode("ascii")


def _digest(key: str) -> bytes:
    return bytes.fromhex(key)


def _parse_result(text: bytes) -> tuple[str | None, LineResult | None]:
    """Parse a line of results into its key and its result; None for a part that is missing or damaged."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None, None
    key = data.get("custom_id") if isinstance(data, dict) else None
    if not isinstance(key, str):
        return None, None
    # A request that was not carried out (e.g. in an expired batch) has an error in place of the response.
    response = data.get("response")
    if not isinstance(response, dict) or not isinstance(status := response.get("status_code"), int):
        return key, None
    body = response.get("body")
    return key, LineResult(status, body if isinstance(body, str) else json.dumps(body))
