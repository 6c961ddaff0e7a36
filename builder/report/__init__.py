"""Report on a release, a comparison or a match as one self-contained HTML page.

`write_report` reads the folder into a `ReleaseReport`, a `ComparisonReport` or a `MatchReport`. Their `sections()` hold
tables, lines and charts; `page` renders them. Chart functions take plain values only.

May import evaluation, release, planning, core and metrics; imported by api and cli.
"""

from personagen.builder.report.page import write_report

__all__ = ["write_report"]
