"""Writing: from a planned row to an accepted row.

`rows` takes a row through its stages: persona layers and situation (`elaboration`), then the text (`expression`). Each
stage requests replies until one is accepted (`attempts`, `checks`, `label_check`). `pipeline` finalizes the rows in the
order of the plan (`finalization`), so that duplicates do not depend on timing.

May import `personagen.builder.core`, `planning` and `llm`, and `personagen.metrics`.
"""

from personagen.builder.writing.label_check import LabelCheck, load_label_check
from personagen.builder.writing.pipeline import FinalizedRow, write_rows
from personagen.builder.writing.rows import RowWriter

__all__ = ["FinalizedRow", "LabelCheck", "RowWriter", "load_label_check", "write_rows"]
