"""Learn the dialect of a server from its refusals."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from personagen.builder.llm.chat_protocol.request_body import FORMATS, Dialect
from personagen.builder.llm.chat_protocol.statuses import error_message, parse_error


def adapt_dialect(dialect: Dialect, body: Mapping[str, Any], answer: str) -> Dialect | None:
    """Return the dialect after a 400 or 422; None: the answer names no parameter that could be left out.

    Each change leaves fewer parameters to refuse, so resending after it ends.

    Args:
        dialect: the dialect so far. Calls in flight together get the same refusal, and only the first one may switch
            to the next format.
        body: the refused body.
        answer: body of the refusal.

    """
    error = parse_error(answer)
    text = f"{error.get('param')} {error_message(answer)}".lower()
    response_format = body.get("response_format")
    if response_format and re.search(r"response_format|json_schema|json_object", text):
        if response_format["type"] == dialect.format:
            return replace(dialect, format=FORMATS[FORMATS.index(dialect.format) + 1])
        return dialect
    if "max_tokens" in body and "max_completion_tokens" in text:
        return replace(dialect, limit_name="max_completion_tokens")
    if "logprobs" in body and "logprobs" in text:
        return replace(dialect, takes_logprobs=False)
    if "n" in body and (error.get("param") == "n" or re.search(r"['\"`]n['\"`]", text)):
        return replace(dialect, takes_n=False)
    return None
