"""Rows as chats: the persona in the system turn, a request in the user turn, the text as the answer.

The request is made for the export from the columns of the row. It is not the prompt of the run, which also had a
length, a style and examples.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from personagen.builder.core.records import DEPTHS
from personagen.builder.export.rejected import RejectedTexts
from personagen.builder.export.rows import ExportedSplit, json_text
from personagen.builder.planning.situations.bank import setting_options
from personagen.builder.planning.situations.channels import form_of_channel
from personagen.builder.planning.styles.library import channel_of
from personagen.builder.release.tables.columns import Columns, TableForm, columns_of
from personagen.builder.release.tables.missing import with_missing
from personagen.builder.writing.prompts import PACKAGE

Turn = dict[str, str]
"""A turn of a chat: role and content."""

SETTING = {"place": "places", "time": "times", "companions": "companions", "channel": "channels"}
"""Column of the situational layer: kind of setting whose wording it has in prompts."""

PLAIN_FORM = "a short personal text"
"""Form of a text without a situation, as in the prompts of a run."""


def messages(part: ExportedSplit) -> Iterator[str]:
    """Yield one JSON line per row: `messages`, `id`, `emotion`."""
    facts = _facts_of(part)
    for row in part.rows():
        turns = [*_prompt(row, facts), _turn("assistant", row["text"])]
        yield json_text({"messages": turns, "id": row["id"], "emotion": row["emotion"]}) + "\n"


def preference(part: ExportedSplit, rejected: RejectedTexts) -> Iterator[str]:
    """Yield one JSON line per rejected reply: `prompt`, `chosen`, `rejected`, `id`, `emotion`, `reason`."""
    facts = _facts_of(part)
    for row in part.rows():
        prompt: list[Turn] | None = None
        for reply in rejected.of(row["id"], row["text"]):
            prompt = prompt or _prompt(row, facts)
            pair = {
                "prompt": prompt,
                "chosen": [_turn("assistant", row["text"])],
                "rejected": [_turn("assistant", reply.text)],
                "id": row["id"],
                "emotion": row["emotion"],
                "reason": reply.reason,
            }
            yield json_text(pair) + "\n"


def _turn(role: str, content: str) -> Turn:
    return {"role": role, "content": content}


@dataclass(frozen=True, slots=True)
class _ReleaseFacts:
    """Facts on a release that its chats need.

    Attributes:
        definitions: definition of every emotion by name.
        columns: all columns that a row can have.
        forms: wording of the channels of its recipe, by name; empty: it names none.

    """

    definitions: Mapping[str, str]
    columns: Columns
    forms: Mapping[str, str]


def _facts_of(part: ExportedSplit) -> _ReleaseFacts:
    channels = part.manifest["recipe"].get("channels") or {}
    forms = {name: form_of_channel(channel["text"], channel.get("to")) for name, channel in channels.items()}
    return _ReleaseFacts(part.emotions, columns_of("all", TableForm(list(part.emotions), DEPTHS[-1])), forms)


def _prompt(row: Mapping[str, Any], facts: _ReleaseFacts) -> list[Turn]:
    """Return the turns before the text; without a persona there is no system turn."""
    known = with_missing(row, facts.columns)
    situational = known.get("situational")
    scene = None if situational is None else _scene(situational, facts.forms)
    style = known.get("style")
    form = channel_of(style)[1] if style and not facts.forms else scene["channel"] if scene else PLAIN_FORM
    turns = PACKAGE.render(
        "messages",
        demographic=known.get("demographic"),
        sociocultural=known.get("sociocultural"),
        scene=scene,
        form=form,
        emotion=row["emotion"],
        definition=facts.definitions[row["emotion"]],
        intensity=known.get("intensity"),
    )
    return [_turn(turn.role, turn.content) for turn in turns if turn.content]


def _scene(situational: Mapping[str, Any], forms: Mapping[str, str]) -> dict[str, Any]:
    """Return a situation with the wording of its setting; a workplace, which depends on the job, is "at work".

    Args:
        situational: the situational layer of a row.
        forms: wording of the channels of the recipe, by name.

    """
    scene: dict[str, Any] = {"situational": situational}
    for name, kind in SETTING.items():
        value = situational[name]
        option = setting_options(kind).get(value or "")
        wording = value if option is None else option.phrase
        scene[name] = wording or ("at work" if name == "place" and value else value)
    return scene | ({"channel": forms[situational["channel"]]} if situational["channel"] in forms else {})
