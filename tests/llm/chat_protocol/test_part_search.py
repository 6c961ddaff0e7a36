"""The search for refused parts by group testing."""

from hypothesis import given
from hypothesis import strategies as st

from personagen.builder.llm.chat_protocol.part_search import MAX_REFUSALS, start_search

PARTS = ("temperature", "seed", "system role", "n", "logprobs", "stop", "top_p", "stream")


def search(parts: tuple[str, ...], refused: set[str]) -> tuple[set[str], int]:
    """Search with a server that refuses some parts; return the parts that are left out, and the refused requests."""
    state, refusals = start_search(parts), 1
    while not state.is_over:
        sent = set(parts) - set(state.left_out_in_test)
        assert sent - (set(parts) - set(state.suspects)), "a test sends at least one suspect"
        if sent & refused:
            refusals += 1
            state = state.record_refused()
        else:
            state = state.record_accepted()
    return set(state.refused), refusals


@given(st.sets(st.sampled_from(PARTS), min_size=1), st.data())
def test_every_refused_part_is_left_out(parts: set[str], data: st.DataObject) -> None:
    """Each costs at most three refused requests, the one that began the search included."""
    refused = data.draw(st.sets(st.sampled_from(sorted(parts)), min_size=1))
    left_out, refusals = search(tuple(sorted(parts)), refused)
    assert refused <= left_out
    assert refusals <= MAX_REFUSALS * len(left_out)


@given(st.sampled_from(PARTS[:6]))
def test_a_single_refused_part_of_six_is_found_alone_or_with_its_neighbour(part: str) -> None:
    left_out, refusals = search(PARTS[:6], {part})
    assert part in left_out and len(left_out) <= 2
    assert refusals <= MAX_REFUSALS


def test_a_single_part_needs_no_test() -> None:
    assert search(("seed",), {"seed"}) == ({"seed"}, 1)


def test_the_last_part_of_a_guilty_group_needs_no_test() -> None:
    """All others were accepted, so it is the one."""
    state = start_search(("temperature", "seed")).record_accepted()
    assert (state.is_over, state.refused) == (True, ("seed",))
