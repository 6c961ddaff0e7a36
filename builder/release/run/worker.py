"""The folder of a worker that fills a part, on its own disk, and what it takes over from earlier workers.

work/
lock, run.json, journal.sqlite, inputs/, batches/   as in the folder of a run
worker                                              id of the worker
segments/                                           the segments that it has sealed
"""

import json
import os
import re
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from platform import node

from personagen.builder.core.errors import FolderError
from personagen.builder.core.files import explain, make_folder, move, network_disk_of, numbered, write_text
from personagen.builder.core.foreign_text import quote
from personagen.builder.core.prices import Amount, Price
from personagen.builder.core.progress import Progress, duration
from personagen.builder.llm.storage.opening import JournalFile
from personagen.builder.llm.storage.stored_replies import StoredReply
from personagen.builder.planning.parts import Part
from personagen.builder.planning.recipe import Recipe
from personagen.builder.release.run.locking import locked
from personagen.builder.release.run.run_folder import RunFolder
from personagen.builder.release.run.run_state import STATE, check_run, run_recipe
from personagen.builder.segments.joining import Joined, JoinRules, foreign_origin, join
from personagen.builder.segments.sealing import Worker, mend_store, unsealed
from personagen.builder.segments.segment import Origin, SegmentName, parse_name
from personagen.builder.segments.store import DamagedSegmentError, SegmentStore, local_store

WORKER = "worker"
"""File with the id of a worker."""

SEGMENTS = "segments"
"""Folder of the segments that a worker has sealed."""

OTHER_ADVICE = (
    "choose another folder",
    "if the run is of this recipe",
    "finish it with that version",
    "put back a copy of it with its -wal if there is one, or start over with --fresh",
)
"""Beginnings of the advice for the folder of a release, by options that the command of a worker does not have."""

ACTIVE_S = 300.0
"""Age in seconds of its last segment up to which another worker of a part counts as being at work."""


def default_work(recipe: Recipe, part: Part) -> Path:
    """Return the folder of a worker: the same for the same recipe, part and user, so that its command continues."""
    user = str(os.getuid()) if hasattr(os, "getuid") else "user"
    name = f"{recipe.fingerprint()}.{part.number}of{part.of}"
    return Path(tempfile.gettempdir()) / f"personagen-{user}" / name


@contextmanager
def open_work(work: Path, recipe: Recipe, part: Part, *, accept_lost_replies: bool) -> Iterator[RunFolder]:
    """Lock the folder of a worker until the end of the block.

    Raises:
        FolderError: it is on a network disk, in use, in a folder of another user, or of another recipe.

    """
    kind = network_disk_of(work)
    if kind is not None:
        raise FolderError(
            f"{work} is on a network disk ({kind}), where a journal can lose replies; name one on a local disk "
            "with --work: segments may be on any"
        )
    shared = default_work(recipe, part).parent
    if work.parent == shared:
        _make_private(shared)
    in_use = f"another process of this machine is filling part {part} in {work}; wait for it, or fill another part"
    with ExitStack() as stack:
        try:
            guard = stack.enter_context(locked(work, [work / STATE, work / WORKER], in_use=in_use))
            check_run(work, run_recipe(recipe))
        except FolderError as error:
            raise FolderError(_for_a_worker(str(error))) from error
        yield RunFolder(work, work, guard.require_in_place, accept_lost_replies)


def _make_private(folder: Path) -> None:
    """Make the folder of a user's workers, which no other user may read.

    Others can make it too, or a link: its name is known, and its place is for everybody.
    """
    try:
        make_folder(folder, 0o700)
        if hasattr(os, "getuid"):
            if {folder.lstat().st_uid, folder.stat().st_uid} != {os.getuid()}:
                raise FolderError(f"{folder} belongs to another user; name a folder of your own with --work")
            folder.chmod(0o700)
    except OSError as error:
        raise FolderError(_for_a_worker(f"cannot make {folder}: {explain(error)}")) from error


def _for_a_worker(message: str) -> str:
    """Return the error of a run folder with the advice for that of a worker, which has other options."""
    for advice in OTHER_ADVICE:
        problem, found, _ = message.partition(f"; {advice}")
        if found:
            return f"{problem}; name another folder with --work"
    return message


def worker_of(run: RunFolder, part: Part, origin: Origin, recipe: Recipe) -> Worker:
    """Return the worker of a folder, with a new id if the folder has none.

    Raises:
        FolderError: its id, or the folder of its segments, cannot be written.

    """
    path = run.root / WORKER
    text = path.read_text(encoding="ascii", errors="replace").strip() if path.is_file() else ""
    if not re.fullmatch("[0-9a-f]{12}", text):
        text = secrets.token_hex(6)
        write_text(path, f"{text}\n")
    prices = {choice.model: price for choice, price in zip(recipe.backends, recipe.model_prices(), strict=True)}
    folder = run.root / SEGMENTS
    try:
        make_folder(folder)
    except OSError as error:
        raise FolderError(_for_a_worker(f"cannot make {folder}: {explain(error)}")) from error
    return Worker(text, folder, part, origin, node(), lambda row: _cost(row, prices))


def _cost(row: StoredReply, prices: Mapping[str | None, Price | None]) -> float | None:
    """Return the cost of a reply; None: its model has no price."""
    several = len(prices) > 1
    price = prices.get(json.loads(row.reply).get("model")) if several else next(iter(prices.values()))
    return None if price is None else price.of(Amount(row.prompt_tokens, row.completion_tokens))


def take_over(
    store: SegmentStore, run: RunFolder, worker: Worker, progress: Progress, *, wants_events: bool
) -> Iterator[StoredReply]:
    """Put the replies of earlier workers of the part into the journal, and ship again what the store has lost.

    Returns:
        The replies that are in no segment yet, read on demand.

    Raises:
        FolderError: the worker's own segments are of another run; the store cannot be read or written; see `join`.

    """
    _check_own(worker, progress.warn)
    mend_store(store, worker.folder)
    _warn_of_others(store, worker, progress)
    return join_earlier(store, run, worker, progress, wants_events=wants_events)


def join_earlier(
    store: SegmentStore, run: RunFolder, worker: Worker, progress: Progress, *, wants_events: bool
) -> Iterator[StoredReply]:
    """Put the replies of earlier workers of the part into the journal; return those that are in no segment yet."""

    def is_wanted(name: SegmentName) -> bool:
        return name.part.meets(worker.part) or (wants_events and name.part.number == 0)

    joined = _join(store, run, worker, is_wanted, progress.warn)
    if joined.merged.new:
        progress.step(f"continuing part {worker.part} with {joined.merged.total:,} replies of earlier workers")
    return unsealed(run.journal, _segment_files(store, worker.folder, joined.files))


def join_events(store: SegmentStore, run: RunFolder, worker: Worker, warn: Callable[[str], None]) -> None:
    """Put the replies of part 0, which invents the events of all parts, into the journal; see `join` for the errors."""
    _join(store, run, worker, lambda name: name.part.number == 0, warn)


def _join(
    store: SegmentStore,
    run: RunFolder,
    worker: Worker,
    is_wanted: Callable[[SegmentName], bool],
    warn: Callable[[str], None],
) -> Joined:
    rules = JoinRules(worker.origin, accept_lost_replies=run.accept_lost_replies, only=is_wanted)
    try:
        return join(store, JournalFile(run.journal, run.accept_lost_replies, warn), rules)
    except FolderError as error:
        raise FolderError(_for_a_worker(str(error))) from error


def _check_own(worker: Worker, warn: Callable[[str], None]) -> None:
    """Set aside the damaged ones of a worker's own segments; their replies are in its journal, and sealed anew.

    Raises:
        FolderError: one is of another run, and would be shipped among those of this one.

    """
    own = local_store(worker.folder)
    for file in own.sizes():
        path = worker.folder / file
        try:
            with own.local(file):
                foreign = foreign_origin(own.header(file).origin, worker.origin)
        except DamagedSegmentError as error:
            move(path, numbered(path.with_name(f"{file}.damaged")))
            warn(f"{error}; it is set aside, and its replies are sealed anew")
            continue
        if foreign is not None:
            raise FolderError(f"{path} {foreign.problem}; name another folder of the worker with --work")


def _segment_files(store: SegmentStore, folder: Path, joined: Sequence[str]) -> Iterator[Path]:
    """Yield the segments of a worker, and those of the store that are joined and not its own, as files."""
    own = {path.name: path for path in sorted(folder.iterdir()) if parse_name(path.name) is not None}
    yield from own.values()
    for file in joined:
        if file not in own:
            with store.local(file) as path:
                yield path


def _warn_of_others(store: SegmentStore, worker: Worker, progress: Progress) -> None:
    """Warn of other workers that fill the same part now: what both request is paid for twice."""
    newest: dict[str, str] = {}
    for file in store.sizes():
        name = parse_name(file)
        if name is not None and name.part == worker.part and name.worker != worker.id:
            newest[name.worker] = file
    for file in newest.values():
        with suppress(FolderError):  # `join` reports what is wrong with it
            work = store.header(file).work
            age_s = max(0.0, time.time() - work.sealed)
            if work.state in ("begun", "working") and age_s < ACTIVE_S:
                progress.warn(
                    f"part {worker.part} is also filled by a worker on {quote(work.host)}, whose last segment is "
                    f"{duration(age_s)} old; replies that both request are paid for twice"
                )
