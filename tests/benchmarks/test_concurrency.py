"""The table of the adaptive limit in simulated worlds."""

from benchmarks.concurrency import row
from tests.helpers.simulated_worlds import World


def test_a_row_compares_the_adaptive_limit_with_the_best_fixed_one() -> None:
    """With two slots and a queue, a limit of two is enough."""
    name, limit, best_s, adaptive_s, *_, at_the_end = row("two at a time", World(100, 8, {"slots": 2})).split(" | ")
    assert (name, limit) == ("| two at a time", "2")
    assert 24 <= float(best_s) <= float(adaptive_s) <= 30
    assert at_the_end == "8 |"
