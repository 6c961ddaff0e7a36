"""The benchmark of error rates: its table, and counts that leave out what is not defined."""

import pytest

from benchmarks.inference.__main__ import main
from benchmarks.inference.rates import ErrorCounts, below, holds


def test_the_table_has_a_row_per_figure_and_setting(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--sets", "4", "--only", "counterfactuals", "ratings"])
    head, line, *rows = capsys.readouterr().out.splitlines()
    assert head == "| figure | data | promise | found | data sets |" and line.count("---") == 5
    assert len(rows) == 5 * 4 + 7 * 3 and all(row.count("|") == 6 for row in rows)
    assert rows[0] == "| counterfactuals: p of an effect < 0.05 | 6 pairs, 2 pairs per persona | <= 5 % | none | 0 |"


def test_what_is_not_defined_is_not_counted() -> None:
    counts = ErrorCounts()
    for happened in (True, False, None):
        counts.add("f", happened)
    (rate,) = counts.rates("s", {"f": "5 %"})
    assert rate.line() == "| f | s | 5 % | 50.0% | 2 |"
    assert (holds(None, 1, 0), holds(0, 1, 0.5), holds(0, 1, 2)) == (None, True, False)
    assert (below(None), below(0.04), below(0.06)) == (None, True, False)
