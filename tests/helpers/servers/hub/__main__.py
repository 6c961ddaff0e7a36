"""The Hub as a process of its own, which prints its address and serves until it is interrupted."""

import argparse
import signal
import sys
from pathlib import Path

from tests.helpers.servers.hub.server import Hub


def main() -> None:
    """Serve what is in a folder."""
    parser = argparse.ArgumentParser(prog="python -m tests.helpers.servers.hub", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where everything is kept")
    parser.add_argument("--port", type=int, default=0, help="0 for a free one")
    parser.add_argument("--user", default="user", help="who makes all commits")
    parser.add_argument("--token", action="append", metavar="TOKEN=ROLE", help="role is write or read; may be repeated")
    parser.add_argument("--multipart", type=int, metavar="BYTES", help="size of the parts of large contents")
    parser.add_argument("--xet", action="store_true", help="let clients use Xet")
    options = parser.parse_args()
    tokens = dict(each.split("=", 1) for each in options.token) if options.token else None
    hub = Hub(
        folder=options.folder,
        port=options.port,
        tokens=tokens,
        user=options.user,
        multipart=options.multipart,
        xet=options.xet,
    )
    signals = (signal.SIGINT, signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    with hub:
        sys.stdout.write(f"{hub.url}\n")
        sys.stdout.flush()
        signal.sigwait(signals)


if __name__ == "__main__":
    main()
