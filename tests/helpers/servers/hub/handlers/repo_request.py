"""A request about a repository, with everything that its handler needs."""

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from tests.helpers.servers.hub.handlers.refusals import Refusal, no_revision
from tests.helpers.servers.hub.storage.store import PREFIXES, Commit, Repo, Store


@dataclass(frozen=True)
class RepoRequest:
    """A request about a repository.

    Attributes:
        http: the request itself.
        store: all repositories.
        repo: the repository.
        parts: decoded parts of the path after the repository: "tree", "refs/pr/1", ...
        url: address of the Hub.
        user: the caller.

    """

    http: Request
    store: Store
    repo: Repo
    parts: list[str]
    url: str
    user: str

    @property
    def address(self) -> str:
        """Address of the repository."""
        return f"{self.url}/{PREFIXES[self.repo.type]}{self.repo.id}"

    @property
    def key(self) -> str:
        """Name of the repository that is unique over all types."""
        return f"{self.repo.type}/{self.repo.id}"

    def part(self, index: int) -> str:
        """Return a part of the path; "main" if it is left out."""
        return self.parts[index] if len(self.parts) > index else "main"

    def commit(self) -> Commit:
        """Return the commit of the second part of the path."""
        commit = self.repo.find(self.part(1))
        if commit is None:
            raise no_revision(self.part(1))
        return commit

    def flag(self, name: str) -> bool:
        """Return a boolean of the query."""
        return self.http.query_params.get(name, "").lower() in ("true", "1")

    async def json(self) -> dict[str, Any]:
        """Return the body, {} if it is empty."""
        if not await self.http.body():
            return {}
        try:
            value = await self.http.json()
        except ValueError:
            raise Refusal(400, "The body is no JSON") from None
        return value if isinstance(value, dict) else {}
