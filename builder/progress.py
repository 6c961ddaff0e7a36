"""The progress bar: on stderr, so that stdout stays data."""

import sys
from types import TracebackType
from typing import Any

from tqdm import tqdm


class Bar:
    """A context manager that is called with the rows accepted and the replies refused so far."""

    def __init__(self, total: int) -> None:
        """Show a bar of `total` rows, from the first call on: a run that fails before shows none."""
        self._total = total
        self._bar: tqdm[Any] | None = None

    def __enter__(self) -> "Bar":
        """Start."""
        return self

    def __call__(self, accepted: int, refused: int) -> None:
        """Show where the run is."""
        bar = self._bar or tqdm(total=self._total, unit="text", file=sys.stderr, dynamic_ncols=True, mininterval=0.5)
        bar.set_postfix(refused=refused, refresh=False)
        bar.update(accepted - bar.n)
        self._bar = bar

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.close()
