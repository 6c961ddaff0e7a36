"""How the Hub says no: the status, the body and the headers that its clients look at."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse, Response


class Refusal(Exception):
    """Ends a request with an error as the Hub words it.

    Attributes:
        status: HTTP status.
        message: what the body and X-Error-Message say.
        code: X-Error-Code, "" for none.
        headers: further headers.
        body: further fields of the body.

    """

    def __init__(
        self, status: int, message: str, code: str = "", headers: Mapping[str, str] | None = None, **body: Any
    ) -> None:
        """Keep what the answer is made of."""
        super().__init__(message)
        self.status, self.message, self.code = status, message, code
        self.headers, self.body = dict(headers or {}), body

    def response(self) -> Response:
        """Make the answer."""
        one_line = self.message.replace("\n", " ").encode("latin-1", "replace").decode("latin-1")
        headers = {"X-Error-Message": one_line} | self.headers
        if self.code:
            headers["X-Error-Code"] = self.code
        return JSONResponse({"error": self.message} | self.body, self.status, headers)


def no_repo() -> Refusal:
    """There is no such repository, or it is none of the caller's business."""
    return Refusal(404, "Repository not found", "RepoNotFound")


def no_revision(revision: str) -> Refusal:
    """There is no such branch, tag or commit."""
    return Refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound")


def no_entry(path: str, commit: str) -> Refusal:
    """There is no such file or folder in the commit."""
    return Refusal(404, f"{path} does not exist", "EntryNotFound", {"X-Repo-Commit": commit})
