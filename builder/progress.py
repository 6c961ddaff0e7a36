"""The progress bar: on stderr, so that stdout stays data."""

import sys
from types import TracebackType

from tqdm import tqdm


class Bar:
    """A context manager that is called with the rows accepted and the replies refused so far."""

    def __init__(self, total: int) -> None:
        """Show a bar of `total` rows."""
        self._bar = tqdm(total=total, unit="text", file=sys.stderr, dynamic_ncols=True, mininterval=0.5)

    def __enter__(self) -> "Bar":
        """Start."""
        return self

    def __call__(self, accepted: int, refused: int) -> None:
        """Show where the run is."""
        self._bar.set_postfix(refused=refused, refresh=False)
        self._bar.update(accepted - self._bar.n)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Leave the bar as it stands."""
        self._bar.close()
