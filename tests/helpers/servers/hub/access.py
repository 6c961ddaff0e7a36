"""Tokens, permissions, and the refusals of the Hub to callers without permission."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.helpers.servers.hub.handlers.refusals import Refusal, no_repo
from tests.helpers.servers.hub.storage.store import Repo


class Access:
    """Tokens of one user; without tokens, every caller has write permission."""

    def __init__(self, tokens: Mapping[str, str] | None, user: str) -> None:
        """Set the role ("write" or "read") of each token; None: no tokens."""
        self._tokens = tokens
        self.user = user

    def role(self, request: Request) -> str | None:
        """Return the role of the caller, None without a token; an unknown token is refused."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if self._tokens is None:
            return "write"
        if kind.lower() != "bearer":
            return None
        if token not in self._tokens:
            raise Refusal(401, "Invalid credentials in Authorization header")
        return self._tokens[token]

    def require_write(self, request: Request) -> None:
        """Raise Refusal unless the caller may write."""
        role = self.role(request)
        if role is None:
            raise Refusal(401, "Invalid username or password.")
        if role != "write":
            raise Refusal(403, "Forbidden: you must use a write token to upload to a repository.")

    def visible(self, request: Request, repo: Repo | None) -> Repo:
        """Return a repository that the caller may see; raise Refusal otherwise."""
        role = self.role(request)
        if repo is None or (repo.private and role is None):
            raise no_repo()
        return repo

    def whoami(self, request: Request) -> Response:
        """Answer with the name and the token of the caller."""
        role = self.role(request)
        if role is None:
            raise Refusal(401, "Invalid username or password.")
        token = {"type": "access_token", "accessToken": {"displayName": role, "role": role}}
        user = {"type": "user", "id": "0" * 24, "name": self.user, "fullname": self.user, "isPro": False, "orgs": []}
        return JSONResponse(user | {"email": f"{self.user}@example.org", "auth": token})
