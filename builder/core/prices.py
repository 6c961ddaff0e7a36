"""Token counts and their price."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Amount:
    """Tokens of prompts and of completions.

    Attributes:
        prompt: tokens that the model read.
        completion: tokens that the model wrote.

    """

    prompt: int
    completion: int

    @property
    def tokens(self) -> int:
        """Sum of both kinds."""
        return self.prompt + self.completion

    def __add__(self, other: "Amount") -> "Amount":
        """Add each kind separately."""
        return Amount(self.prompt + other.prompt, self.completion + other.completion)

    def __sub__(self, other: "Amount") -> "Amount":
        """Subtract each kind separately."""
        return Amount(self.prompt - other.prompt, self.completion - other.completion)


NOTHING = Amount(0, 0)
"""Zero tokens."""


@dataclass(frozen=True, slots=True)
class Price:
    """Price per million tokens, in US dollars or any other single currency.

    Attributes:
        prompt: price per million prompt tokens.
        completion: price per million completion tokens.

    """

    prompt: float
    completion: float

    def of(self, amount: Amount) -> float:
        """Compute the cost of an amount of tokens."""
        return (self.prompt * amount.prompt + self.completion * amount.completion) / 1e6
