"""The matrix as Markdown: a summary per group, and one line per behaviour."""

from collections.abc import Mapping, Sequence

from benchmarks.endpoints.runs import OURS, PEERS, Cell
from tests.helpers.servers.behaviours.records import Behaviour

TITLES = {
    "openai": "PersonaGen, calls",
    "batch": "PersonaGen, batches",
    "judge": "PersonaGen, judge",
    "data_designer": "Data Designer",
    "curator": "curator",
    "distilabel": "distilabel",
}

MESSAGE_CHARACTERS = 110

READING = """\
A cell is the usable rows of those wanted, then the calls, then in brackets those that were wasted: refused, failed, or
paid for without a usable text. `!` and a number: rows in the result that hold a thought, half a text, a refusal or an
error. Under "stop" nothing can be written, and the right result is no row, few calls and a message that says why. A
text is usable if the server wrote it as one. An empty cell was not run: a peer has no recipe for it, a batch no such
transport."""


def summary(behaviours: Sequence[Behaviour], cells: Sequence[Cell], systems: Sequence[str]) -> list[str]:
    """Format the totals of each system, and each behaviour under which a peer writes more usable rows."""
    stops = {row.name for row in behaviours if row.stop}
    lines = [
        "| system | behaviours | all rows, where all can be written | runs with unusable rows | as a careful client |"
    ]
    lines.append("| --- | ---: | ---: | ---: | ---: |")
    for system in systems:
        own = [cell for cell in cells if cell.system == system]
        possible = [cell for cell in own if cell.behaviour not in stops]
        whole = sum(cell.usable == cell.wanted and not cell.dirty for cell in possible)
        dirty = sum(cell.dirty > 0 for cell in own)
        careful = f"{sum(bool(cell.careful) for cell in own)} of {len(own)}" if system in OURS else ""
        lines.append(f"| {TITLES[system]} | {len(own)} | {whole} of {len(possible)} | {dirty} | {careful} |")
    return [*lines, "", *ahead(cells), "", READING, ""]


def ahead(cells: Sequence[Cell]) -> list[str]:
    """Name the behaviours under which a peer has a greater fraction of usable rows than PersonaGen by calls."""
    ours = {cell.behaviour: cell for cell in cells if cell.system == "openai"}
    better = [
        f"{cell.behaviour} ({TITLES[cell.system]})"
        for cell in cells
        if cell.system in PEERS and cell.behaviour in ours and _fraction(cell) > _fraction(ours[cell.behaviour])
    ]
    if not any(cell.system in PEERS for cell in cells) or not ours:
        return []
    return [f"Behaviours under which a peer has more usable rows than PersonaGen: {', '.join(better) or 'none'}."]


def _fraction(cell: Cell) -> float:
    return cell.usable / cell.wanted


def matrix(behaviours: Sequence[Behaviour], cells: Sequence[Cell], systems: Sequence[str]) -> list[str]:
    """Format one table per group."""
    by_place = {(cell.behaviour, cell.system): cell for cell in cells}
    lines: list[str] = []
    for group in dict.fromkeys(row.group for row in behaviours):
        lines += ["", f"## {group[0].upper()}{group[1:]}", ""]
        lines.append(
            "| behaviour | right | " + " | ".join(TITLES[system] for system in systems) + " | message of PersonaGen |"
        )
        lines.append("| --- | --- |" + " --- |" * (len(systems) + 1))
        lines += [_line(row, by_place, systems) for row in behaviours if row.group == group]
    return lines


def _line(behaviour: Behaviour, cells: Mapping[tuple[str, str], Cell], systems: Sequence[str]) -> str:
    shown = [_format(cells.get((behaviour.name, system))) for system in systems]
    ours = cells.get((behaviour.name, "openai"))
    message = (
        "" if ours is None else ours.message[:MESSAGE_CHARACTERS] + "..." * (len(ours.message) > MESSAGE_CHARACTERS)
    )
    parts = [behaviour.name, "stop" if behaviour.stop else "all rows", *shown, message]
    return "| " + " | ".join(part.replace("|", "\\|").replace("\n", " ") for part in parts) + " |"


def _format(cell: Cell | None) -> str:
    if cell is None:
        return ""
    dirty = f" !{cell.dirty}" if cell.dirty else ""
    ended = ", no end" if cell.message.startswith("no end") else ""
    return f"{cell.usable}/{cell.wanted}{dirty}, {cell.calls} ({cell.wasted}){ended}"
