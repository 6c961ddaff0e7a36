"""What is seen in the charts of personas and of rejected replies, in one sentence each; "": nothing can be stated."""

from collections.abc import Mapping

Fractions = Mapping[str, Mapping[str, float]]
"""Fractions by attribute and value."""


def values_sentence(observed: Fractions, expected: Fractions) -> str:
    """Return the largest difference between the personas and the attribute tables."""
    differences = {
        (attribute, value): observed[attribute].get(value, 0.0) - fraction
        for attribute, values in expected.items()
        if attribute in observed
        for value, fraction in values.items()
    }
    if not differences:
        return ""
    attribute, value = max(differences, key=lambda key: abs(differences[key]))
    here, there = observed[attribute].get(value, 0.0), expected[attribute][value]
    return (
        f"The largest difference from the attribute tables is that of {attribute} {value}: {here:.0%} of the personas, "
        f"expected {there:.0%}."
    )


def pairs_sentence(coverage: Mapping[tuple[str, str], tuple[int, int]]) -> str:
    """Return the fraction of all pairs that occur, and the two attributes with the least coverage."""
    possible = sum(total for _, total in coverage.values())
    if not possible:
        return ""
    occurring = sum(count for count, _ in coverage.values())
    (first, second), (count, total) = min(coverage.items(), key=lambda item: item[1][0] / max(item[1][1], 1))
    return (
        f"{occurring / possible:.0%} of all pairs of values occur; the fewest are those of {first} and {second} "
        f"({count:,} of {total:,})."
    )


def rejects_sentence(counts: Mapping[str, Mapping[str, int]]) -> str:
    """Return the number of rejected replies and their most frequent reason."""
    by_reason: dict[str, int] = {}
    for reasons in counts.values():
        for reason, count in reasons.items():
            by_reason[reason] = by_reason.get(reason, 0) + count
    total = sum(by_reason.values())
    if not total:
        return ""
    reason = max(by_reason, key=lambda name: (by_reason[name], name))
    replies = "1 reply was" if total == 1 else f"{total:,} replies were"
    return f"{replies} rejected, most often for {reason} ({by_reason[reason]:,})."
