"""Exact quotas by fractions."""

from collections.abc import Mapping


def split_quota(count: int, fractions: Mapping[str, float], turn: int = 0) -> dict[str, int]:
    """Divide a count by fractions that sum to 1, with the largest-remainder method.

    Args:
        count: number to divide.
        fractions: name to fraction.
        turn: odd turns break ties from the last name on, even turns from the first, so that over many counts no name
            is preferred.

    """
    exact = {name: count * fraction for name, fraction in fractions.items()}
    quota = {name: int(value) for name, value in exact.items()}
    rest = count - sum(quota.values())
    names = list(fractions)[::-1] if turn % 2 else list(fractions)
    # Rounded: ties must not be decided by the last bits of a product, as 0.6 * 6 and 0.1 * 6 would be.
    for name in sorted(names, key=lambda name: round(quota[name] - exact[name], 9))[:rest]:
        quota[name] += 1
    return quota
