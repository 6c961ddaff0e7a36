"""A request that is about a repository, with what it takes to answer it."""

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from tests.helpers.servers.hub.answers import Refusal, no_revision
from tests.helpers.servers.hub.store import PREFIXES, Commit, Repo, Store


@dataclass(frozen=True)
class Asked:
    """What was asked.

    Attributes:
        request: the request.
        store: all repositories.
        repo: the one that is asked about.
        parts: parts of the path after the repository, decoded: "tree", "refs/pr/1", ...
        url: address of the Hub.
        user: who asks.

    """

    request: Request
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
        """Name the repository among those of all types."""
        return f"{self.repo.type}/{self.repo.id}"

    def part(self, index: int) -> str:
        """Give a part of the path; the main branch where it was left out."""
        return self.parts[index] if len(self.parts) > index else "main"

    def commit(self) -> Commit:
        """Find the commit that the second part names."""
        found = self.repo.find(self.part(1))
        if found is None:
            raise no_revision(self.part(1))
        return found

    def flag(self, name: str) -> bool:
        """Read a yes or no of the query."""
        return self.request.query_params.get(name, "").lower() in ("true", "1")

    async def json(self) -> dict[str, Any]:
        """Read the body, which may be missing."""
        if not await self.request.body():
            return {}
        try:
            value = await self.request.json()
        except ValueError:
            raise Refusal(400, "The body is no JSON") from None
        return value if isinstance(value, dict) else {}
