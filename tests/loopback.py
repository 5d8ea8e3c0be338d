"""A server on this machine whose answers a test chooses."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Loopback:
    """Serves ``content`` by name; ``answers`` are calls with the request's handler, for names that answer otherwise."""

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}
        self.answers: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {}
        self.asked: list[str] = []

    def __enter__(self) -> Loopback:
        loopback = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.lstrip("/")
                loopback.asked.append(name)
                if name in loopback.answers:
                    loopback.answers[name](self)
                elif name in loopback.content:
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(loopback.content[name])))
                    self.end_headers()
                    self.wfile.write(loopback.content[name])
                else:
                    self.send_error(404, "File not found")

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
