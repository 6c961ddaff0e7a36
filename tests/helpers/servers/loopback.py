"""A web application on loopback, in its own thread: the base of the tests' fake servers."""

import asyncio
import socket
import threading
import time

import uvicorn
from starlette.types import ASGIApp


class _Server(uvicorn.Server):
    """A server that checks ten times as often as uvicorn whether to stop: hundreds of tests wait for it."""

    async def main_loop(self) -> None:
        """Serve until `should_exit` is set."""
        await self.on_tick(0)
        while not self.should_exit:
            await asyncio.sleep(0.01)


def _listening_socket(port: int) -> socket.socket:
    """Return a socket that listens at 127.0.0.1.

    `socket.create_server` leaves its protocol at 0, and asyncio sets TCP_NODELAY for IPPROTO_TCP only: every answer
    would wait 40 ms for a delayed acknowledgement of its headers.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        listening.listen()
    except OSError:
        listening.close()
        raise
    return listening


class Loopback:
    """Serves an application from `start` to `stop`.

    Attributes:
        url: base URL for a client, "/v1" included.

    """

    def __init__(self, app: ASGIApp, port: int = 0, *, date: bool = True) -> None:
        """Bind to `port` of 127.0.0.1; 0: a free port. `date`: whether answers have a Date header."""
        self._socket = _listening_socket(port)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/v1"
        # No logging: uvicorn logs the cut connections of these servers as errors.
        config = uvicorn.Config(app, log_config=None, log_level="critical", lifespan="off", ws="none", http="h11")
        config.timeout_graceful_shutdown = 1
        config.date_header = date
        self._server = _Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)

    def start(self) -> None:
        """Start serving; return once the server accepts requests."""
        self._thread.start()
        while not self._server.started:
            time.sleep(0.005)

    def stop(self) -> None:
        """Stop serving; requests in flight have one second to finish."""
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()
