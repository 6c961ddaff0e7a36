"""What a power cut would leave of a folder, recorded while code of this process writes to it.

    with Disk(folder, cuts=tmp_path) as disk:
        generate(recipe, folder / "out")
    assert disk.unflushed == []
    for cut in disk.cuts: ...  # the folder after a cut, to go on from

A file system keeps what was flushed. Of the rest, it may keep anything, and two extremes are recorded: `flushed` has
the names and the bytes as they were last flushed; `renamed` has all names as they are, and files that were not flushed
have no bytes, as ext4 leaves them. SQLite flushes its files by itself: their bytes count as flushed, and so do
the names of all but the database.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.helpers.power.calls import watched

DATABASE = ".sqlite"

Inode = int


@dataclass(frozen=True, slots=True)
class Cut:
    """A folder after a power cut.

    Attributes:
        number: number of the call before which the power was cut, from 0.
        folder: what is left on the disk.
        live: what was in the folder when the power was cut; files that were not flushed are empty.

    """

    number: int
    folder: Path
    live: Path


class Disk:
    """Recorder of a folder; a context manager.

    Attributes:
        root: the folder.
        unflushed: files and folders that were renamed or created, and not flushed when they should have been.
        cuts: folders after a power cut, the same content once.

    """

    def __init__(self, root: Path, cuts: Path | None = None) -> None:
        """Record changes in `root`; `cuts`: folder for the results of power cuts, None: none is recorded."""
        self.unflushed: list[str] = []
        self.cuts: list[Cut] = []
        self.root = root
        self._folder = cuts
        self._bytes: dict[Inode, bytes] = {}
        self._names: dict[Inode, dict[str, tuple[Inode, bool]]] = {}
        self._changed: dict[Inode, Path] = {}
        self._known: set[bytes] = set()
        self._calls = 0
        self._open = ExitStack()

    def __enter__(self) -> Self:
        """Take what is in the folder for flushed, and start to record."""
        self._learn_tree(self.root)
        self._open.enter_context(watched(self.root, self._before, self._after))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, and look for folders whose names were never flushed."""
        if kind is None:
            self._cut()
        self._open.close()
        changed = [path for path in self._changed.values() if path.exists()]
        self.unflushed += [f"names in {path.relative_to(self.root)}" for path in changed]

    def _learn_tree(self, folder: Path) -> None:
        self._learn(folder)
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                self._learn_tree(path)
            elif path.is_file():
                self._learn(path)

    def _learn(self, path: Path) -> None:
        """Record the bytes of a file or the names in a folder as flushed; it stays open: no other gets its number."""
        descriptor = os.open(path, os.O_PATH)
        self._open.callback(os.close, descriptor)
        inode = path.stat().st_ino
        if path.is_dir():
            self._names[inode] = {entry.name: (entry.inode(), entry.is_dir()) for entry in os.scandir(path)}
            self._changed.pop(inode, None)
        else:
            self._bytes[inode] = path.read_bytes()

    def _before(self, name: str, paths: list[Path]) -> None:
        self._cut()
        if name in ("rename", "replace"):
            self.unflushed += [str(path.relative_to(self.root)) for path in self._unflushed(paths[0])]

    def _after(self, name: str, paths: list[Path]) -> None:
        for path in paths:
            if name == "fsync":
                self._learn(path)
            else:
                self._changed[path.parent.stat().st_ino] = path.parent

    def _unflushed(self, path: Path) -> Iterator[Path]:
        if path.is_dir():
            names = {entry.name: (entry.inode(), entry.is_dir()) for entry in os.scandir(path)}
            if self._names.get(path.stat().st_ino, {}) != names:
                yield path
            for entry in path.iterdir():
                yield from self._unflushed(entry)
        elif DATABASE not in path.name and self._bytes.get(path.stat().st_ino) != path.read_bytes():
            yield path

    def _cut(self) -> None:
        """Save both extremes, unless the folder would be left like that by an earlier cut."""
        number, self._calls = self._calls, self._calls + 1
        if self._folder is None:
            return
        live = {path.stat().st_ino: path for path in self.root.rglob("*") if path.is_file()}
        renamed = self._renamed()
        flushed = dict(self._flushed(self.root.stat().st_ino, Path(), live))
        for name, tree in (("flushed", flushed), ("renamed", renamed)):
            digest = hashlib.sha256(repr(sorted(tree.items())).encode()).digest()
            if digest not in self._known:
                self._known.add(digest)
                folder = self._folder / f"{number:03}-{name}"
                _save(tree, folder)
                _save(renamed, self._folder / f"{number:03}-live")
                self.cuts.append(Cut(number, folder, self._folder / f"{number:03}-live"))

    def _renamed(self) -> dict[Path, bytes | None]:
        tree: dict[Path, bytes | None] = {}
        for path in self.root.rglob("*"):
            name = path.relative_to(self.root)
            if path.is_dir():
                tree[name] = None
            elif not path.name.endswith("-shm"):
                is_database = DATABASE in path.name
                tree[name] = path.read_bytes() if is_database else self._bytes.get(path.stat().st_ino, b"")
        return tree

    def _flushed(self, folder: Inode, name: Path, live: dict[Inode, Path]) -> Iterator[tuple[Path, bytes | None]]:
        for entry, (inode, is_folder) in self._names.get(folder, {}).items():
            path = live.get(inode)
            if is_folder:
                yield name / entry, None
                yield from self._flushed(inode, name / entry, live)
            elif DATABASE not in entry:
                yield name / entry, self._bytes.get(inode, b"")
            elif path is not None and path.name.endswith(DATABASE):
                yield name / entry, path.read_bytes()
                for suffix in ("-wal", "-journal"):
                    beside = path.with_name(path.name + suffix)
                    if beside.exists():
                        yield name / (entry + suffix), beside.read_bytes()


def _save(tree: dict[Path, bytes | None], folder: Path) -> None:
    """Write files, and folders whose content is None; a folder comes before what is in it."""
    folder.mkdir(exist_ok=True)
    for name, content in sorted(tree.items()):
        if content is None:
            (folder / name).mkdir(exist_ok=True)
        else:
            (folder / name).write_bytes(content)
