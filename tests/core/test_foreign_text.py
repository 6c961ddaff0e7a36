"""The door for text from outside: escapes, and secrets in every form."""

import base64
import html
import json
from urllib.parse import quote as quote_url

import pytest

from personagen.builder.core.foreign_text import (
    MAX_TREE_DEPTH,
    environment_secrets,
    holds_secret,
    printable,
    quote,
    redact,
    redact_json,
)

KEY = "qx-Fe7hR/tok+SECRET&0123456789"
KEYS = (KEY,)
FORMS = (
    KEY, quote_url(KEY, safe=""), quote_url(KEY).replace("%2B", "%2b"), json.dumps(KEY),
    html.escape(KEY), *(base64.b64encode(b"u" * n + KEY.encode()).decode() for n in range(4)),
    KEY.encode().hex(), KEY.encode().hex().upper(), KEY.upper(), KEY.lower().replace("secret", "SECRET").upper(),
    json.dumps(json.dumps(KEY)), quote_url(base64.b64encode(KEY.encode()).decode(), safe=""),
    base64.urlsafe_b64encode(KEY.encode()).decode(), f"Bearer {KEY}", f"https://h/?key={KEY}",
)  # fmt: skip
HIDDEN = (
    "".join(f"\\u{ord(char):04x}" for char in KEY), "".join(f"\\\\u{ord(char):04X}" for char in KEY),
    "\u200b".join(KEY), "\u00ad".join(KEY), "\u202e" + "\u2060".join(KEY), f"{KEY[:7]}**{KEY[7:]}**",
    "".join(chr(ord(char) + 0xFEE0) for char in KEY), "".join(f"&#{ord(char)};" for char in KEY),
    "".join(f"%{ord(char):02x}" for char in KEY), quote_url(quote_url(KEY, safe=""), safe=""),
    "".join(f"\\x{ord(char):02x}" for char in KEY), "".join(f"\\u{{{ord(char):x}}}" for char in KEY),
    "".join(f"\\U{ord(char):08x}" for char in KEY), "".join(f"&#x{ord(char):x};" for char in KEY),
)  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_a_secret_is_cut_out_in_every_form(form: str) -> None:
    text = f"before {form} after"
    for shown in (
        redact(text, KEYS),
        quote(text, KEYS, limit=200),
        redact_json({text: [text]}, KEYS)[redact(text, KEYS)][0],
    ):
        assert "SECRET" not in shown and "***" in shown and "before" in shown
        assert not holds_secret(shown, KEYS)


@pytest.mark.parametrize("form", [*FORMS[:1], *HIDDEN])
def test_a_text_that_hides_a_secret_is_known(form: str) -> None:
    assert holds_secret(f"We saw {form} there.", KEYS)
    assert redact_json([f"We saw {form} there."], KEYS) != [f"We saw {form} there."]
    assert not holds_secret("We saw the clerk there.", KEYS)


@pytest.mark.parametrize("form", HIDDEN)
def test_a_message_that_hides_a_secret_does_not_show_it(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    for shown in (quote(f"We saw {form} there.", KEYS).strip("'"), printable(f"We saw {form} there.")):
        assert shown == "***" or ("***" in shown and "SECRET" not in shown and KEY[:8] not in shown)


def test_escapes_of_no_character_stay() -> None:
    assert not holds_secret(r"\U99999999 \x{110000} \u{ffffff} %GG &#x110000;", KEYS)


@pytest.mark.parametrize(
    "shown",
    [
        f"{KEY[:8]}...{KEY[-4:]}",
        f"{KEY[:12]}...",
        KEY[:20],
        KEY[:-1],
        KEY[-20:],
        f"{KEY[:18]}…",
        f"...{KEY[-18:]}",
        KEY.replace("&", "&amp;")[:26],
        f"{KEY[:3]}*****",
        f"****{KEY[-4:]}",
        f"{KEY[:5]}…",
    ],
)
def test_a_key_that_a_server_cuts_is_cut_out_whole(shown: str) -> None:
    cut = redact(f"Incorrect API key provided: {shown}. See the page.", KEYS)
    assert KEY[:3] not in cut and KEY[-3:] not in cut and "See the page" in cut


@pytest.mark.parametrize("word", ["none", "EMPTY", "ollama", "password", "secretly"])
def test_keys_that_may_be_words_reject_no_text(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"Her {word} was on the table."
    assert not holds_secret(text, (word,)) and redact(text, (word,)) == "Her *** was on the table."
    monkeypatch.setenv("OPENAI_API_KEY", word)
    assert word not in environment_secrets() and printable(text) == text


@pytest.mark.parametrize(
    ("name", "is_secret"),
    [("OPENAI_API_KEY", True), ("HF_TOKEN", True), ("my_secret", True), ("DB_PASSWORD", True),
     ("AZURE_API_KEY_2", True),
     ("KEYBOARD", False), ("HOME_DIR", False), ("TOKENIZERS_PARALLELISM", False), ("PATH_X", False)],
)  # fmt: skip
def test_secrets_of_the_environment(name: str, is_secret: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, KEY)
    assert (KEY in environment_secrets()) == is_secret
    assert (KEY in printable(f"got {KEY}")) != is_secret


@pytest.mark.parametrize(
    "char", ["\x1b", "\x00", "\x9b", "\u202e", "\u2066", "\u200b", "\ufeff", "\U000e0041", "\ud800", "\n"]
)
def test_characters_that_a_terminal_interprets_are_escaped(char: str) -> None:
    for shown in (printable(f"a{char}b"), quote(f"a{char}b")):
        assert char not in shown and shown.isprintable() and shown.isascii()


def test_a_cut_never_leaves_a_part_of_a_secret() -> None:
    for length in range(120):
        shown = quote("x" * length + KEY, KEYS, limit=80)
        assert KEY[:4] not in shown


def test_a_deep_value_is_cut() -> None:
    value: object = KEY
    for _ in range(10_000):
        value = [value]
    assert json.dumps(redact_json(value, KEYS)) == "[" * MAX_TREE_DEPTH + "null" + "]" * MAX_TREE_DEPTH
