"""A real HTTP server on 127.0.0.1 that misbehaves as it is told, request by request."""

import os
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"  # a proxy can't reach this server

Answer = Callable[["Handler", bytes], None]


@dataclass(slots=True)
class Mirror:
    """A running server: its address, what it is to do, and the Range header of every request that came."""

    content: bytes
    answers: list[Answer]
    url: str = ""
    ranges: list[str | None] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    def next_answer(self) -> Answer:
        """The next answer; the last one is given again and again."""
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Handler(BaseHTTPRequestHandler):
    """One request."""

    mirror: Mirror

    def do_GET(self) -> None:
        """Answer as the mirror is told."""
        self.mirror.ranges.append(self.headers.get("Range"))
        self.close_connection = True
        self.mirror.next_answer()(self, self.mirror.content)

    def start(self, status: int, **headers: str | int) -> None:
        """Send the head of an answer."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def mirror(content: bytes, *answers: Answer) -> Iterator[Mirror]:
    """Serve `content` by `answers`, one a request."""
    state = Mirror(content, list(answers or (serve,)))
    handler = type("BoundHandler", (Handler,), {"mirror": state})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}/file"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        state.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _start_of(request: Handler) -> int:
    found = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range") or "bytes=0-")
    assert found
    return int(found[1])


def _begin(request: Handler, content: bytes) -> bytes:
    """The head of a right answer, and the bytes that should follow."""
    start = _start_of(request)
    if request.headers.get("Range") is None:
        request.start(200, Content_Length=len(content))
        return content
    size = len(content)
    request.start(206, Content_Length=size - start, Content_Range=f"bytes {start}-{size - 1}/{size}")
    return content[start:]


def serve(request: Handler, content: bytes) -> None:
    """What a good server does: 200, 206, or 416."""
    if _start_of(request) >= len(content):
        request.start(416, Content_Range=f"bytes */{len(content)}", Content_Length=0)
    else:
        request.wfile.write(_begin(request, content))


def whole(request: Handler, content: bytes) -> None:
    """200 and everything, whatever range was asked for."""
    request.start(200, Content_Length=len(content))
    request.wfile.write(content)


def status(code: int) -> Answer:
    """An error page."""

    def answer(request: Handler, content: bytes) -> None:
        del content
        request.start(code, Content_Length=6)
        request.wfile.write(b"sorry\n")

    return answer


def drop(after: int, *, from_start: bool = False) -> Answer:
    """Promise everything, send `after` bytes, and cut the connection; `from_start` knows of no ranges."""

    def answer(request: Handler, content: bytes) -> None:
        if from_start:
            request.start(200, Content_Length=len(content))
            rest = content
        else:
            rest = _begin(request, content)
        request.wfile.write(rest[:after])

    return answer


def reset(after: int) -> Answer:
    """As `drop`, but the connection is reset."""

    def answer(request: Handler, content: bytes) -> None:
        request.wfile.write(_begin(request, content)[:after])
        request.wfile.flush()
        request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.connection.close()

    return answer


def stall(after: int) -> Answer:
    """Send `after` bytes, and then nothing, with the connection open."""

    def answer(request: Handler, content: bytes) -> None:
        request.wfile.write(_begin(request, content)[:after])
        request.wfile.flush()
        request.mirror.closing.wait()

    return answer


def silent(request: Handler, content: bytes) -> None:
    """Take the request, and never answer."""
    del content
    request.mirror.closing.wait()


def flip(at: int) -> Answer:
    """Serve well, but with one bit wrong."""

    def answer(request: Handler, content: bytes) -> None:
        spoilt = bytearray(content)
        spoilt[at] ^= 1
        serve(request, bytes(spoilt))

    return answer


def other_range(request: Handler, content: bytes) -> None:
    """206 with another range than the one that was asked for."""
    size = len(content)
    request.start(206, Content_Length=size, Content_Range=f"bytes 0-{size - 1}/{size}")
    request.wfile.write(content)


def page(request: Handler, content: bytes) -> None:
    """200 and a page for people: what hotels and dead mirrors answer."""
    del content
    text = b"<html>Please log in</html>"
    request.start(200, Content_Length=len(text), Content_Type="text/html")
    request.wfile.write(text)


def unsized(keep: int | None = None) -> Answer:
    """200 without a size; the first `keep` bytes only, where given."""

    def answer(request: Handler, content: bytes) -> None:
        request.start(200)
        request.wfile.write(content[:keep])

    return answer
