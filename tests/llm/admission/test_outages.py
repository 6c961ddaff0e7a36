"""Detection of outages."""

from math import inf

from personagen.builder.llm.admission.outages import OUTAGE_LATENCIES, OUTAGE_PROBES, OutageDetector


def test_before_the_first_reply_there_is_no_outage() -> None:
    outages = OutageDetector()
    assert not outages.record_failure(1e6)
    assert not outages.is_outage and outages.paused_until == -inf


def test_a_failure_after_a_silence_longer_than_replies_take_is_an_outage() -> None:
    outages = OutageDetector()
    outages.record_reply(0.0, 2.0)
    assert not outages.record_failure(2.0 + 2.0 * OUTAGE_LATENCIES)
    assert outages.record_failure(2.1 + 2.0 * OUTAGE_LATENCIES)


def test_pauses_of_an_outage_grow_with_its_length_and_a_reply_ends_it() -> None:
    outages = OutageDetector()
    outages.record_reply(9.0, 10.0)
    for now in (20.0, 70.0):
        assert outages.record_failure(now)
        assert outages.paused_until == now + OUTAGE_PROBES * (now - 10.0)
    outages.record_reply(70.0, 71.0)
    assert not outages.is_outage and outages.paused_until == -inf
    assert not outages.record_failure(72.0)


def test_the_longest_latency_fades_with_shorter_ones() -> None:
    outages = OutageDetector()
    outages.record_reply(0.0, 100.0)
    for number in range(500):
        outages.record_reply(100.0 + number, 101.0 + number)
    assert outages.record_failure(620.0)
