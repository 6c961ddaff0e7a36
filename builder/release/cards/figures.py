"""Rows of the card's table of figures: value, interval and null apart, with direction and meaning of the measure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from personagen.builder.release.verdicts.differences import measures

TRAINED_ON_TEXTS = ("higher", "macro-F1 on real texts of a classifier trained on these")
"""Direction and meaning of the figures per corpus, whose names are those of the corpora."""

NULLS = ("real: ", "as many real texts: ", "three plain sentences per label: ")
"""Beginnings of the parts of a value that are figures of other texts."""


def figure_rows(manifest: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """Yield measure, value, interval, null, better and meaning of each score of a manifest."""
    for score in manifest.get("scores") or ():
        better, meaning = _direction_of(str(score["metric"]))
        value, interval, nulls, notes = _parts(str(score["value"]))
        yield {
            "measure": str(score["metric"]),
            "value": "; ".join([value, *notes]),
            "interval": interval,
            "null": "; ".join(nulls),
            "better": better,
            "meaning": meaning,
        }


def shared_command(manifest: Mapping[str, Any]) -> str:
    """Return the command that measured all scores; "": they have none, or more than one."""
    commands = {str(score["command"]) for score in manifest.get("scores") or ()}
    return commands.pop() if len(commands) == 1 else ""


def _parts(text: str) -> tuple[str, str, list[str], list[str]]:
    """Split the value of a score, such as "0.3 (95 %: 0.2 to 0.4; real: 0.5; outside the null)"."""
    match = re.fullmatch(r"([^()]{1,40}) \((.*)\)(.*)", text)
    if match is None:
        return text, "", [], []
    interval, nulls, notes = "", [], [rest] if (rest := match[3].removeprefix(";").strip()) else []
    for part in match[2].split("; "):
        if part.startswith("95 %: "):
            interval = part.removeprefix("95 %: ")
        elif part.startswith(NULLS):
            nulls.append(part)
        else:
            notes.append(part)
    return match[1], interval, nulls, notes


def _direction_of(name: str) -> tuple[str, str]:
    """Return direction and meaning of a measure, "metric: measure"; empty: unknown."""
    metric, _, measure = name.partition(": ")
    if measure.startswith("macro-F1 on "):
        return TRAINED_ON_TEXTS
    better, meaning = measures(metric).get(measure, ("", ""))
    return better, meaning
