"""Who may do what: tokens, and what the Hub tells those who may not."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.helpers.servers.hub.answers import Refusal, no_repo
from tests.helpers.servers.hub.store import Repo


class Access:
    """The tokens of one user; without any, everybody may do anything."""

    def __init__(self, tokens: Mapping[str, str] | None, user: str) -> None:
        """Take the role of each token: "write" or "read"."""
        self._tokens = tokens
        self.user = user

    def role(self, request: Request) -> str | None:
        """Tell what the caller is: "write", "read", or None for a stranger; a wrong token is refused."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if self._tokens is None:
            return "write"
        if kind.lower() != "bearer":
            return None
        if token not in self._tokens:
            raise Refusal(401, "Invalid credentials in Authorization header")
        return self._tokens[token]

    def need_write(self, request: Request) -> None:
        """Refuse who may not write."""
        role = self.role(request)
        if role is None:
            raise Refusal(401, "Invalid username or password.")
        if role != "write":
            raise Refusal(403, "Forbidden: you must use a write token to upload to a repository.")

    def see(self, request: Request, repo: Repo | None) -> Repo:
        """Give a repository to who may know of it."""
        role = self.role(request)
        if repo is None or (repo.private and role is None):
            raise no_repo()
        return repo

    def whoami(self, request: Request) -> Response:
        """Describe the caller."""
        role = self.role(request)
        if role is None:
            raise Refusal(401, "Invalid username or password.")
        token = {"type": "access_token", "accessToken": {"displayName": role, "role": role}}
        told = {"type": "user", "id": "0" * 24, "name": self.user, "fullname": self.user, "isPro": False, "orgs": []}
        return JSONResponse(told | {"email": f"{self.user}@example.org", "auth": token})
