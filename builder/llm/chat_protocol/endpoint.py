"""A server and its model, as messages name them."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server and its model, as messages name them.

    Attributes:
        address: base URL, without user and password.
        model: model name.
        secret: API key, removed from quoted answers; None: no key.

    """

    address: str
    model: str
    secret: str | None = field(repr=False)

    def quote(self, text: str, *, limit: int = 80) -> str:
        """Quote foreign text on one line, at most `limit` characters, control characters escaped, without the key."""
        if self.secret:
            # Before the cut, which could leave a part of the key.
            text = text.replace(self.secret, "***")
        return repr(text[:limit] + ("..." if len(text) > limit else ""))
