"""What batches leave on disk, so that whoever comes after a crash finds them again and pays for nothing twice.

<token>.jsonl          the requests of a batch, one a line: written whole before anything is uploaded
<token>.json           the batch's id at the server, once it is known
<token>.output.jsonl   what came back; there when the batch is over

Every file is written to a temporary name, flushed to the disk and renamed. A token begins with a running number, so the
names are in order of age; its random end makes it one of a kind among the batches of an account.
"""

import json
import os
import re
import secrets
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from personagen.builder.core.errors import FolderError

INPUT, RECORD, RESULTS = ".jsonl", ".json", ".output.jsonl"
START = b'{"custom_id": "'
"""How every line of an input begins: keys can be read without parsing the rest."""

KEY_LENGTH = 64
NAME = r"\d{6,}-[0-9a-f]{16}"


@dataclass(frozen=True, slots=True)
class Line:
    """What came back for one request.

    Attributes:
        status: HTTP status.
        text: body of the answer.
        sent: the body that was sent, where the status is a refusal of it; else None.

    """

    status: int
    text: str
    sent: dict[str, Any] | None = None


class BatchFolder:
    """The batches of one run. It knows which key is in which file; the replies themselves stay on disk."""

    def __init__(self, root: Path) -> None:
        """Take a folder that may not be there yet; nothing is read before `load`."""
        self._root = root
        self._sizes: dict[str, int] = {}
        self._places: dict[bytes, str] = {}  # digests, not hex: half the memory, for millions of keys

    def load(self) -> None:
        """Make the folder where needed, and read which keys are in which batch; of several the latest counts.

        Raises:
            FolderError: it cannot be made or read.

        """
        with self._told("read"):
            self._root.mkdir(parents=True, exist_ok=True)
            for part in self._root.glob("*.part"):
                part.unlink()
            for path in sorted(self._root.glob(f"*{INPUT}")):
                token = path.name.removesuffix(INPUT)
                if re.fullmatch(NAME, token):
                    with path.open("rb") as lines:
                        self._know(token, [_digest(_key(line)) for line in lines])

    def find(self, key: str) -> str | None:
        """Tell the token of the latest batch that holds a key; None where no batch does."""
        token = self._places.get(_digest(key))
        return token if token in self._sizes else None

    def size(self, token: str) -> int:
        """Tell how many requests a batch holds."""
        return self._sizes[token]

    def input(self, token: str) -> Path:
        """Tell where the requests of a batch are."""
        return self._root / f"{token}{INPUT}"

    def write(self, requests: Iterable[tuple[str, dict[str, Any]]], *, lines: int, size: int) -> list[str]:
        """Write requests to as many inputs as it takes, and tell their tokens.

        Args:
            requests: key and body of each.
            lines: requests of one input at most.
            size: bytes of one input at most; a single request may exceed it.

        Raises:
            FolderError: the disk is full or the folder cannot be written.

        """
        tokens: list[str] = []
        part: list[bytes] = []
        filled = 0
        for key, body in requests:
            line = _input_line(key, body)
            if part and (len(part) >= lines or filled + len(line) > size):
                tokens.append(self._write_one(part))
                part, filled = [], 0
            part.append(line)
            filled += len(line)
        if part:
            tokens.append(self._write_one(part))
        return tokens

    def _write_one(self, lines: list[bytes]) -> str:
        number = 1 + max((int(token.split("-")[0]) for token in self._sizes), default=0)
        token = f"{number:06d}-{secrets.token_hex(8)}"
        self._keep(self.input(token), lines)
        self._know(token, [_digest(_key(line)) for line in lines])
        return token

    def _know(self, token: str, digests: list[bytes]) -> None:
        self._sizes[token] = len(digests)
        self._places.update(dict.fromkeys(digests, token))

    def batch_of(self, token: str) -> str | None:
        """Tell the id of a batch at the server; None where it is not known, though the batch may exist."""
        with self._told("read"):
            try:
                found = json.loads((self._root / f"{token}{RECORD}").read_text(encoding="utf-8"))["batch"]
            except (FileNotFoundError, ValueError, KeyError, TypeError):
                return None  # a damaged record is none: the server can be asked
            return found if isinstance(found, str) else None

    def note(self, token: str, batch: str) -> None:
        """Record the id of a batch."""
        self._keep(self._root / f"{token}{RECORD}", [json.dumps({"batch": batch}).encode() + b"\n"])

    def forget(self, token: str) -> None:
        """Drop a batch that the server did not take; its requests are in no batch then."""
        with self._told("write"):
            del self._sizes[token]
            # The input first: a record without one is nothing.
            self.input(token).unlink(missing_ok=True)
            (self._root / f"{token}{RECORD}").unlink(missing_ok=True)

    def has_results(self, token: str) -> bool:
        """Tell whether what came back is here."""
        return (self._root / f"{token}{RESULTS}").exists()

    def keep_results(self, token: str, content: bytes) -> None:
        """Keep what came back.

        Raises:
            FolderError: the disk is full or the folder cannot be written.

        """
        self._keep(self._root / f"{token}{RESULTS}", [content])

    def results(self, token: str, keys: Collection[str]) -> dict[str, Line]:
        """Find what came back for some keys; those that were not carried out are missing.

        Raises:
            FolderError: the files cannot be read.

        """
        wanted, found = set(keys), dict[str, Line]()
        with self._told("read"), (self._root / f"{token}{RESULTS}").open("rb") as lines:
            for text in lines:
                key, line = _output_line(text)
                if line is not None and key in wanted and (key not in found or line.status == 200):
                    found[key] = line
        refused = {key for key, line in found.items() if line.status in (400, 422)}
        if refused:
            with self._told("read"), self.input(token).open("rb") as lines:
                for text in lines:
                    if (key := _key(text)) in refused:
                        found[key] = replace(found[key], sent=json.loads(text)["body"])
        return found

    def _keep(self, path: Path, chunks: Iterable[bytes]) -> None:
        """Write a file such that it is whole or not there, also after a power cut."""
        part = path.with_name(path.name + ".part")
        with self._told("write"):
            with part.open("wb") as file:
                file.writelines(chunks)
                file.flush()
                os.fsync(file.fileno())
            part.rename(path)
            folder = os.open(self._root, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise FolderError(
                f"cannot {what} the batches in {self._root}: {reason}; free some space or check the folder, and run "
                "the command again"
            ) from error
        except ValueError as error:
            raise FolderError(
                f"cannot {what} the batches in {self._root}: a file is damaged ({error}); set the run aside "
                "with --fresh"
            ) from error


def is_results(content: bytes) -> bool:
    """Tell whether a file that came back is one of results, by its first line; an empty one is."""
    first = content.lstrip().split(b"\n", 1)[0]
    return not first or _output_line(first)[0] is not None


def _input_line(key: str, body: dict[str, Any]) -> bytes:
    line = {"custom_id": key, "method": "POST", "url": "/v1/chat/completions", "body": body}
    return json.dumps(line).encode("ascii") + b"\n"


def _key(line: bytes) -> str:
    return line[len(START) : len(START) + KEY_LENGTH].decode("ascii")


def _digest(key: str) -> bytes:
    return bytes.fromhex(key)


def _output_line(text: bytes) -> tuple[str | None, Line | None]:
    """Read a line of results: whose it is, and what it says; None for what it does not tell."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None, None
    key = data.get("custom_id") if isinstance(data, dict) else None
    if not isinstance(key, str):
        return None, None
    # Where the request was not carried out (the batch expired, say) there is an error in place of the response.
    response = data.get("response")
    if not isinstance(response, dict) or not isinstance(status := response.get("status_code"), int):
        return key, None
    body = response.get("body")
    return key, Line(status, body if isinstance(body, str) else json.dumps(body))
