"""Files of prompt templates: folders, mappings, wordings, and what is refused, each on one line."""

import os
import re
from pathlib import Path
from typing import Any

import pytest

from personagen.builder.planning.prompts.files import MAX_TEMPLATE_BYTES, prompts_id, read_prompts, wordings_in

USER = "{% block user %}Write.{% endblock %}"


def folder_with(folder: Path, **files: str) -> str:
    """Write files, named by template and wording, and return the folder."""
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / f"{name.replace('__', '.')}.md").write_text(content, encoding="utf-8")
    return str(folder)


def test_a_folder_and_a_mapping_of_the_same_files_are_recorded_alike(tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "own", styled__plain=USER, styled__warm=USER + "\n", _layers="x")
    (tmp_path / "own" / "README.md").write_text("no template")
    (tmp_path / "own" / ".hidden").write_text("no template")
    for name, content in (("plain", USER), ("warm", USER + "\n"), ("other", "x")):
        (tmp_path / f"{name}.md").write_text(content)
    mapping = {
        "styled": [str(tmp_path / "warm.md"), str(tmp_path / "plain.md")],
        "_layers": str(tmp_path / "other.md"),
    }
    one, other = read_prompts(folder), read_prompts(mapping)
    assert prompts_id(one) == prompts_id(other) and [*prompts_id(one)] == ["_layers", "styled"]
    assert wordings_in(one) == wordings_in(other) == ("plain", "warm")
    assert [file.text for file in one] == ["x", USER, USER + "\n"]


def test_one_file_is_no_wording(tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "own", styled__plain=USER)
    assert [file.wording for file in read_prompts(folder)] == [None]
    assert wordings_in(read_prompts({"styled": [str(tmp_path / "own" / "styled.plain.md")]})) == ()
    assert read_prompts(None) == ()


def test_a_byte_order_mark_is_no_part_of_a_template(tmp_path: Path) -> None:
    path = tmp_path / "styled.md"
    path.write_bytes(b"\xef\xbb\xbf" + USER.encode())
    assert read_prompts({"styled": str(path)})[0].text == USER


def refused(sources: Any, problem: str) -> None:
    """Require that templates are refused on one line that says this."""
    with pytest.raises(ValueError, match=problem) as caught:
        read_prompts(sources)
    assert "\n" not in str(caught.value)


def test_a_folder_with_unknown_names(tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "own", stlyed=USER)
    refused(
        folder, r"stlyed\.md': no template is named 'stlyed', did you mean 'styled'\?; known: _layers, _further, demo"
    )


@pytest.mark.parametrize("name", ["styled.txt", "styled.md~", "styled"])
def test_a_folder_with_a_file_that_is_no_template(name: str, tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "own", styled=USER)
    (tmp_path / "own" / name).write_text(USER)
    refused(folder, rf"{re.escape(name)}' is no template, wanted files such as styled\.md; move it elsewhere")


def test_a_folder_with_a_folder(tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "own", styled=USER)
    (tmp_path / "own" / "list.md").mkdir()
    refused(folder, r"list\.md' is no template, wanted files")


def test_a_link_out_of_the_folder(tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "own", styled=USER)
    (tmp_path / "secret.md").write_text(USER)
    (tmp_path / "own" / "situational.md").symlink_to(tmp_path / "secret.md")
    refused(folder, r"situational.* is a link that leads out of the folder; put the file there")
    (tmp_path / "own" / "situational.md").unlink()
    (tmp_path / "own" / "situational.md").symlink_to("styled.md")
    assert len(read_prompts(folder)) == 2, "a link within the folder is a file"


def test_an_empty_folder_and_none(tmp_path: Path) -> None:
    refused(folder_with(tmp_path / "own"), r"own' has no template, wanted files such as styled\.md; `personagen")
    refused(str(tmp_path / "missing"), r"missing', which is nothing, wanted a folder of templates or files by template")
    (tmp_path / "file").write_text("x")
    refused(str(tmp_path / "file"), r"file', which is a file, wanted a folder of templates")
    refused({}, r"^prompts: got an empty mapping, wanted a folder or files by template; leave it out instead$")
    refused({"styled": []}, r"^prompts\.styled: got an empty list, wanted one file or more; leave it out instead$")


def test_an_unknown_template(tmp_path: Path) -> None:
    refused({"styledd": "x.md"}, r"^prompts: no template is named 'styledd', did you mean 'styled'\?; known: ")


def test_wordings_with_one_name(tmp_path: Path) -> None:
    paths = [Path(folder_with(tmp_path / name, plain=USER)) / "plain.md" for name in ("one", "two")]
    refused({"styled": list(map(str, paths))}, r"^prompts\.styled: two wordings are named 'plain', which is the")
    refused({"styled": [str(paths[0])] * 2}, r"two wordings are named 'plain'.*; rename one, or name it once$")
    odd = tmp_path / "a b.md"
    odd.write_text(USER)
    refused({"styled": [str(paths[0]), str(odd)]}, r"got 'a b\.md', whose name becomes that of the wording, wanted")


def test_too_many_wordings() -> None:
    refused({"styled": [f"{n}.md" for n in range(65)]}, r"^prompts\.styled: got 65 files, wanted 64 or fewer$")


def test_wordings_of_a_template_whose_replies_rows_share() -> None:
    refused({"situational": ["a.md", "b.md"]}, r"^prompts\.situational: got 2 wordings, wanted one file: rows share")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"\x89PNG\r\n\x1a\n\xff\xfe", r"styled\.md' is no text in UTF-8; save it so"),
        (b"text\0text", r"has a zero byte, so it is no text; name a template"),
        (b" \n\t", r"is empty, wanted a template; `personagen prompts export` writes one"),
        (b"", r"is empty, wanted a template"),
        (b"x" * (MAX_TEMPLATE_BYTES + 1), r"has 65,537 bytes, wanted 65,536 or fewer; shorten it"),
    ],
)
def test_a_file_that_is_no_template(content: bytes, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "styled.md"
    path.write_bytes(content)
    refused({"styled": str(path)}, problem)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    refused({"styled": str(tmp_path / "missing.md")}, r"cannot read '.*missing\.md' \(No such file.*\); check the path")
    refused({"styled": str(tmp_path)}, r"is a folder or a device, wanted a file")
    refused({"styled": "a\0b"}, r"^prompts: cannot read '.*' \(.*null.*\); check the path")
    os.mkfifo(tmp_path / "pipe.md")
    refused({"styled": str(tmp_path / "pipe.md")}, r"pipe\.md' is a folder or a device, wanted a file")
