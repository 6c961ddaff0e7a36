"""Places of segments: folders and addresses."""

import re
import subprocess
import sys
from pathlib import Path
from threading import Event, Thread
from typing import Any

import fsspec
import pytest

from personagen.builder.core.errors import FolderError
from personagen.builder.segments.sealing import ship_missing
from personagen.builder.segments.shared_folder import require_no_password
from personagen.builder.segments.store import DamagedSegmentError, open_store
from tests.helpers.parts.made_segments import join_all, name, rows_of_replies, segment
from tests.helpers.servers.hub.server import Hub


@pytest.mark.parametrize("kind", ["folder", "file", "memory", "dir"])
def test_segments_are_shipped_to_a_place_and_joined_from_it(tmp_path: Path, kind: str) -> None:
    urls = {"folder": f"{tmp_path}/store/", "file": f"file://{tmp_path}/store", "memory": f"memory://store{tmp_path}/"}
    url = urls.get(kind, f"dir::file://{tmp_path}/store")
    store, own = open_store(url), tmp_path / "own"
    assert store.sizes() == {} and store.others() == []
    for order in range(3):
        segment(own, rows_of_replies(range(10 * order, 10 * order + 10)), order=order)
    ship_missing(store, own)
    assert store.sizes() == {path.name: path.stat().st_size for path in sorted(own.iterdir())}
    assert [store.header(file).order for file in store.sizes()] == [0, 1, 2]
    assert join_all(url).merged.total == 30


def test_a_damaged_segment_at_an_address_is_named(tmp_path: Path) -> None:
    path = segment(tmp_path, rows_of_replies(range(4)))
    files, url = fsspec.filesystem("memory"), f"memory://damaged{tmp_path}"
    whole = path.read_bytes()
    for data in (b"", whole[:-1], whole[:300] + b"x" + whole[301:]):
        files.pipe_file(f"/damaged{tmp_path}/{path.name}", data)
        with pytest.raises(FolderError, match=rf"segment '{re.escape(path.name)}' in {url} was cut or altered"):
            join_all(url)
    with pytest.raises(FolderError, match=r"cannot read the segments in .*; check the address and its access"):
        open_store(url).header(name("0/4"))


def test_drafts_that_vanish_while_a_folder_is_listed_are_no_error(tmp_path: Path) -> None:
    """Other workers write and rename files all the time."""
    store, over = open_store(str(tmp_path)), Event()

    def write() -> None:
        while not over.is_set():
            draft = tmp_path / "draft.part"
            draft.write_bytes(b"PAR1")
            draft.unlink()

    writing = Thread(target=write)
    writing.start()
    for _ in range(2_000):
        assert store.sizes() == {}
    over.set()
    writing.join()


def test_an_unknown_protocol_and_a_missing_file_system_are_named() -> None:
    wanted = (
        r"cannot use 'nope://bucket/x' for segments: '.*'; check the address, install the package of its file system, "
    )
    with pytest.raises(FolderError, match=wanted + "or name a folder"):
        open_store("nope://bucket/x")
    with pytest.raises(FolderError, match=r"cannot use 'filecache::nope://b/x' for segments"):
        open_store("filecache::nope://b/x")


def test_an_empty_path_and_an_address_with_one_slash_are_refused(tmp_path: Path) -> None:
    """Of a variable that is not set, or a typing error: the segments would lie in the working folder of a machine."""
    for url in ("", "file://"):
        with pytest.raises(
            FolderError, match=rf"^no folder is named for segments: got '{url}'; name a folder or an add"
        ):
            open_store(url)
    for url in ("s3:/bucket/run", f"file:{tmp_path}"):
        name = url.partition(":")[0]
        wanted = (
            rf"is neither a folder nor an address for segments: .*; write {name}://, or \./{name}: for a folder of "
        )
        with pytest.raises(FolderError, match=wanted):
            open_store(url)
    for url in ("C:/run", "c:d", "./s3:/bucket", "run:1"):
        assert open_store(url).folder.remote is None


@pytest.mark.parametrize(
    "url",
    [
        "sftp://ann:hunter22@host/x",
        "s3://ann:hunter22@bucket",
        "sftp://ann:hunt/er22@host/x",
        "sftp://ann:hunt@er22@host/x",
        "sftp://ann:123456@host/x",
        "sftp://ann:hunter22@[::1]:22/x",
        "simplecache::sftp://ann:hunter22@host/x",
        "filecache::zip://a.zip::sftp://ann:hunter22@host/x",
    ],
)
def test_a_password_in_an_address_is_refused_and_never_printed(url: str) -> None:
    with pytest.raises(FolderError) as caught:
        open_store(url)
    message = str(caught.value)
    assert "has a password, which would end in logs" in message
    assert "hunt" not in message and "er22" not in message


@pytest.mark.parametrize(
    "url",
    [
        "hdfs://namenode:8020/user/me@corp/run",
        "sftp://ann@host:22/me@corp",
        "hdfs://[::1]:8020/user/me@corp",
        "simplecache::hdfs://namenode:8020/user/me@corp/run",
        "s3://bucket/a:b@c",
        "hdfs://namenode:8020",
    ],
)
def test_an_at_sign_in_a_path_is_no_password(url: str) -> None:
    require_no_password(url, "segments")


def test_an_address_with_a_user_or_a_colon_is_no_password(tmp_path: Path) -> None:
    assert open_store(f"file://{tmp_path}/a:b@c").folder.root == f"{tmp_path}/a:b@c"
    assert open_store(f"memory://store{tmp_path}/run:1").url.endswith("run:1")


def test_a_store_without_write_access_is_named(tmp_path: Path) -> None:
    path = segment(tmp_path / "own", rows_of_replies(range(4)))
    (tmp_path / "file").write_text("in the way")
    for url in (f"{tmp_path}/file/store", f"file://{tmp_path}/file/store"):
        wanted = (
            rf"cannot write the segments in {re.escape(url)}: not a directory; check the address and its access, and "
        )
        with pytest.raises(FolderError, match=wanted + "run the same command again"):
            open_store(url).put(path)


def test_a_network_error_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that takes an outage for damage would advise to remove the segment."""
    url = f"memory://outage{tmp_path}"
    store = open_store(url)
    path = segment(tmp_path, rows_of_replies(range(4)))
    store.put(path)

    def fail(*_: Any, **__: Any) -> Any:
        raise ConnectionResetError(104, "Connection reset by peer")

    for method in ("open", "get_file"):
        with monkeypatch.context() as patch:
            patch.setattr(store.folder.remote, method, fail)
            with pytest.raises(
                FolderError, match=r"cannot read the segments in .*: connection reset by peer; "
            ) as caught:
                join_all(url, accept_lost_replies=True)
            assert not isinstance(caught.value, DamagedSegmentError)
    assert join_all(url).merged.total == 4


HUB = """
import sys
from pathlib import Path
from personagen.builder.segments.sealing import ship_missing
from personagen.builder.segments.store import open_store
from tests.helpers.parts.made_segments import join_all
url, own = sys.argv[1:]
store = open_store(url)
print(len(store.sizes()))
ship_missing(store, Path(own))
ship_missing(store, Path(own))
print(len(store.sizes()), [store.header(file).order for file in store.sizes()])
print(join_all(url).merged.total)
"""


@pytest.mark.slow
def test_segments_are_shipped_to_the_hub(tmp_path: Path) -> None:
    own = tmp_path / "own"
    for order in range(3):
        segment(own, rows_of_replies(range(10 * order, 10 * order + 10)), order=order)
    with Hub() as hub:
        hub.publish("user/journals", tmp_path / "own" / "nothing")
        done = subprocess.run(
            [sys.executable, "-c", HUB, "hf://datasets/user/journals/segments", str(own)],
            env=hub.env(), capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "0\n3 [0, 1, 2]\n30\n"), done.stderr
