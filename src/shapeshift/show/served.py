"""A page on this machine alone: a small server that knows a few addresses behind a secret word."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, final
from urllib.parse import parse_qs, unquote, urlsplit

from shapeshift.errors import ShapeshiftError
from shapeshift.show.terminal import log

HERE = "127.0.0.1"
HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_LONGEST = 2000  # letters of an address

Answer = tuple[str, bytes]  # kind of content, and content
Ask = Callable[
    [str, Mapping[str, str]], Answer | None
]  # path behind the secret, query -> answer, None for none


def server_of(ask: Ask, port: int = 0) -> tuple[ThreadingHTTPServer, str]:
    """A server on this machine's own address, and the address of its page.

    Only who knows the secret in the address is answered, only when the request names this server as its
    host, and never on behalf of another page.

    Parameters
    ----------
    ask : callable
    port : int
        0 takes a free one.

    Raises
    ------
    ShapeshiftError
        If the port is taken.
    """
    secret = secrets.token_urlsafe(24)
    try:
        server = ThreadingHTTPServer((HERE, port), _handler(ask, secret))
    except (OSError, OverflowError) as error:
        raise ShapeshiftError(
            f"got port {port}, which cannot be had ({error}), needed a free one: leave --port out"
        ) from error
    server.daemon_threads = True
    return server, f"http://{HERE}:{server.server_address[1]}/{secret}/"


def serve(ask: Ask, port: int = 0, *, browser: bool = True) -> None:
    """Serve a page until ctrl-C, its address on stdout; ``browser``: open it.

    Raises
    ------
    ShapeshiftError
        If the port is taken.
    """
    import webbrowser

    import typer

    server, address = server_of(ask, port)
    typer.echo(address)
    log("this page is served until ctrl-C; its address is the key to it")
    if browser:
        webbrowser.open(address)
    with server:
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            log("ended")


def _handler(ask: Ask, secret: str) -> type[BaseHTTPRequestHandler]:
    @final
    class Handler(BaseHTTPRequestHandler):
        """One request."""

        protocol_version = "HTTP/1.1"
        timeout = 60

        def handle(self) -> None:
            """Requests of one connection, until the browser ends it, be it in the middle of an answer."""
            with suppress(ConnectionError):
                super().handle()

        def do_GET(self) -> None:
            status, (kind, content) = self.answer()
            self.send_response(status)
            for name, value in {**HEADERS, "Content-Type": kind, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def answer(self) -> tuple[int, Answer]:
            """What is sent: nothing about anything to those who may not ask."""
            port = self.server.server_port  # type: ignore[attr-defined]
            if refusal := _refusal(self.headers, port):
                return 403, _words(refusal)
            given = urlsplit(self.path[:_LONGEST])
            _, word, *path = unquote(given.path).split("/", 2) if given.path.count("/") > 1 else ("", "")
            if not secrets.compare_digest(word.encode(), secret.encode()):
                return 404, _words("there is nothing here")
            query = {name: values[-1] for name, values in parse_qs(given.query).items()}
            try:
                found = ask(path[0] if path else "", query)
            except (ShapeshiftError, ValueError, OSError) as error:
                return 400, _words(str(error))
            return (404, _words("there is nothing here")) if found is None else (200, found)

        def log_message(self, *_: Any) -> None:
            """Addresses hold the secret: they are not written down."""

    return Handler


def _refusal(headers: Any, port: int) -> str:
    """Why a request is not answered, "" if it is: another name of this machine, or another page that asks."""
    names = {f"{name}:{port}" for name in (HERE, "localhost")}
    if headers.get("Host", "") not in names:
        return "this page is known under another name"
    origin = headers.get("Origin")
    if origin is not None and origin not in {f"http://{name}" for name in names}:
        return "another page has asked"
    if headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
        return "another page has asked"
    return ""


def _words(text: str) -> Answer:
    return "text/plain; charset=utf-8", text.encode("utf-8", "replace")
