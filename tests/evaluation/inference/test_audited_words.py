"""Distinctive words of an audit: the more attributes are audited, the more a word has to stand out."""

import numpy as np

from personagen.builder.evaluation.audit import MeasuredTexts, _by_attribute
from personagen.builder.release.texts import Texts

PERSONAS, EACH = 60, 3


def is_found(uses: int, attributes: int) -> bool:
    """Return whether a word is distinctive that so many of the 30 personas of one value use in each text."""
    owners = np.repeat(np.arange(PERSONAS), EACH)
    table = np.zeros((len(owners), 2), dtype=np.float32)
    table[:, 0] = (owners % 2 == 0) & (owners < 2 * uses)
    table[::5, 1] = 1
    generator = np.random.default_rng(1)
    others = generator.integers(2, size=(PERSONAS, attributes - 1))
    personas = [
        {
            "gender": ("woman", "man")[owner % 2],
            **{f"other{row}": str(value) for row, value in enumerate(others[owner])},
        }
        for owner in owners.tolist()
    ]
    count = len(owners)
    texts = Texts([""] * count, ["joy"] * count, personas, [{}] * count)
    measured = MeasuredTexts({"vocabulary": table}, ["river", "the"], owners, np.zeros(count, dtype=np.intp), {}, None)
    words = _by_attribute(texts, measured, 0)[2]
    return any("river" in record.words for record in words if record.attribute == "gender")


def test_words_are_corrected_for_the_number_of_attributes() -> None:
    assert [is_found(uses, 1) for uses in (4, 7, 12)] == [False, True, True]
    assert [is_found(uses, 15) for uses in (7, 12)] == [False, True], "the strictest of 15 needs more personas"
