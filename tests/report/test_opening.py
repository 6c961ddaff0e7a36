"""`personagen report --open` opens the page in the browser of the user."""

import sys
from pathlib import Path

from tests.helpers.command import python
from tests.report.test_match_page import saved

REPORT = "import sys; from personagen.builder.cli.main import main; sys.argv = ['personagen', *{}]; main()"


def test_the_page_is_opened_in_the_browser_that_the_user_named(tmp_path: Path) -> None:
    saved(tmp_path / "a match")
    browser, opened = tmp_path / "bin" / "stand-in", tmp_path / "opened.txt"
    browser.parent.mkdir()
    script = f"import pathlib, sys\npathlib.Path({str(opened)!r}).write_text(sys.argv[1])\n"
    browser.write_text(f"#!{sys.executable}\n{script}")
    browser.chmod(0o755)
    code = REPORT.format(["report", "a match", "--open"])
    done = python(code, tmp_path, PATH=str(browser.parent), BROWSER="stand-in")
    assert done.code == 0 and done.out == "a match/report.html\n", done.err
    assert opened.read_text() == (tmp_path / "a match" / "report.html").as_uri()


def test_a_page_that_no_browser_opens_is_written_and_one_line_says_so(tmp_path: Path) -> None:
    saved(tmp_path / "match")
    done = python(REPORT.format(["report", "match", "--open"]), tmp_path, PATH=str(tmp_path), BROWSER="", DISPLAY="")
    assert done.code == 1 and done.out == "match/report.html\n" and (tmp_path / "match" / "report.html").is_file()
    assert done.err.splitlines()[-1] == (
        "personagen: cannot open match/report.html: no browser could be started; open the file, or set BROWSER"
    )
