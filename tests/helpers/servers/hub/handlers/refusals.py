"""Error answers of the Hub: the status, body and headers that its clients read."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse, Response


class Refusal(Exception):
    """Ends a request with an error of the Hub.

    Attributes:
        status: HTTP status.
        message: text of the body and of X-Error-Message.
        code: X-Error-Code; "": none.
        headers: further headers.
        body: further fields of the body.

    """

    def __init__(
        self, status: int, message: str, code: str = "", headers: Mapping[str, str] | None = None, **body: Any
    ) -> None:
        """Set the parts of the answer."""
        super().__init__(message)
        self.status, self.message, self.code = status, message, code
        self.headers, self.body = dict(headers or {}), body

    def response(self) -> Response:
        """Return the answer."""
        one_line = self.message.replace("\n", " ").encode("latin-1", "replace").decode("latin-1")
        headers = {"X-Error-Message": one_line} | self.headers
        if self.code:
            headers["X-Error-Code"] = self.code
        return JSONResponse({"error": self.message} | self.body, self.status, headers)


def no_repo() -> Refusal:
    """Return the refusal of a repository that does not exist or is not visible."""
    return Refusal(404, "Repository not found", "RepoNotFound")


def no_revision(revision: str) -> Refusal:
    """Return the refusal of a branch, tag or commit that does not exist."""
    return Refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound")


def no_entry(path: str, commit: str) -> Refusal:
    """Return the refusal of a file or folder that the commit does not have."""
    return Refusal(404, f"{path} does not exist", "EntryNotFound", {"X-Repo-Commit": commit})
