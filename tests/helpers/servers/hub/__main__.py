"""Run the fake Hub as a process: print its address and serve until a signal."""

import argparse
import signal
import sys
from pathlib import Path

from tests.helpers.servers.hub.server import Hub


def main() -> None:
    """Serve the repositories of a folder."""
    parser = argparse.ArgumentParser(prog="python -m tests.helpers.servers.hub", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="folder of all data")
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--user", default="user", help="author of all commits")
    parser.add_argument("--token", action="append", metavar="TOKEN=ROLE", help="role is write or read; may be repeated")
    parser.add_argument("--multipart", type=int, metavar="BYTES", help="part size of multipart uploads")
    parser.add_argument("--xet", action="store_true", help="let clients use Xet")
    options = parser.parse_args()
    tokens = dict(pair.split("=", 1) for pair in options.token) if options.token else None
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
