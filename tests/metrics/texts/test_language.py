"""Identification of languages."""

import subprocess
import sys

from py3langid.langid import MODEL_FILE, LanguageIdentifier

from personagen.metrics.texts.language import CHECKABLE_LANGUAGES, is_in_other_language


def test_languages_are_those_of_the_identifier() -> None:
    """A recipe is validated without loading it."""
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
    assert {label for label in identifier.labels if len(label) == 2} == CHECKABLE_LANGUAGES


def test_a_sentence_is_in_its_own_language_only() -> None:
    sentence = "Mein Bus ist heute schon wieder ausgefallen und keiner hat uns Bescheid gesagt."
    assert is_in_other_language(sentence, "en")
    assert not is_in_other_language(sentence, "de")


def test_a_text_too_short_to_identify_is_in_no_other_language() -> None:
    assert not is_in_other_language("ok", "de")


def test_words_and_language_are_imported_without_numpy() -> None:
    program = (
        "import sys, personagen.metrics.texts.language, personagen.metrics.texts.words\n"
        "sys.exit(any(name in sys.modules for name in ('numpy', 'py3langid')))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
