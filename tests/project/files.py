"""Check a rule in every file by one test: a test of its own for each of 1,000 files and 10 rules takes a minute."""

from collections.abc import Callable, Iterable
from pathlib import Path

from tests.helpers.releasing import ROOT

Check = Callable[[Path], None]


def name_of(path: Path) -> str:
    """Return the path within the project."""
    return path.relative_to(ROOT).as_posix()


def in_each(paths: Iterable[Path]) -> Callable[[Check], Callable[[], None]]:
    """Return a decorator that makes a test of the check of one file; it names every file in which the check fails."""
    files = list(paths)

    def decorate(check: Check) -> Callable[[], None]:
        def test() -> None:
            failures = [f"{name_of(path)}: {problem}" for path in files if (problem := problem_of(check, path))]
            if failures or not files:
                raise AssertionError("\n".join(failures) or "there is no file to check")

        test.__name__, test.__doc__ = check.__name__, check.__doc__
        return test

    return decorate


def problem_of(check: Check, path: Path) -> str:
    """Return what a check finds in a file; "": nothing."""
    try:
        check(path)
    except AssertionError as error:
        return str(error) or "the check fails"
    return ""
