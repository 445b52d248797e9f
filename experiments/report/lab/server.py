"""The lab as a server that this machine alone can reach. Nothing is written."""

from __future__ import annotations

import errno
import logging
import socket
import webbrowser
from collections.abc import Callable
from typing import TYPE_CHECKING

from experiments.config import ConfigError
from experiments.report.lab import address
from experiments.report.lab.presets import PRESETS

if TYPE_CHECKING:
    from bokeh.document import Document
    from bokeh.server.server import BaseServer

HOST = "127.0.0.1"


def page(document: Document) -> None:
    """Fill a document for one window, as its address asks; what is wrong with that is said on the page."""
    from experiments.report.lab.widgets import Lab

    context = document.session_context
    given = context.request.arguments if context and context.request else {}
    words = [(key, text.decode("utf-8", "replace")) for key, texts in given.items() for text in texts]
    words = [pair for pair in words if not pair[0].startswith("bokeh-")]
    try:
        Lab(document, address.read(words))
    except ConfigError as error:
        lesson = [(key, text) for key, text in words if key == "preset" and text in PRESETS]
        Lab(document, address.read(lesson), f"The address asks for what is not there. {error}")


def make_server(port: int) -> tuple[BaseServer, int]:
    """Return a server that listens on 127.0.0.1 alone, and its port; 0 takes any that is free.

    A page of another site cannot talk to it, for its websocket answers to this origin alone.
    Errors: ConfigError where the port is taken or not allowed.
    """
    from bokeh.application import Application
    from bokeh.application.handlers.function import FunctionHandler
    from bokeh.server.server import BaseServer
    from bokeh.server.tornado import BokehTornado
    from tornado.httpserver import HTTPServer
    from tornado.ioloop import IOLoop

    try:
        listening = socket.create_server((HOST, port), backlog=16)
    except OSError as error:
        why = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
        other = port + 1 if port < 65535 else 5100
        raise ConfigError(
            [f"port {port} {why}; try --port {other}, or --port 0 for any that is free"]
        ) from None
    listening.setblocking(False)
    port = listening.getsockname()[1]
    origins = [f"{HOST}:{port}", f"localhost:{port}"]
    served = BokehTornado({"/": Application(FunctionHandler(page))}, extra_websocket_origins=origins)
    http = HTTPServer(served)
    http.add_sockets([listening])
    return BaseServer(IOLoop.current(), served, http), port


def serve(query: str, port: int, *, browser: bool, say: Callable[[str], None]) -> None:
    """Serve the lab until Ctrl-C; open it where there is a browser, and print its address anyway."""
    server, port = make_server(port)
    link = f"http://{HOST}:{port}/?{query}"
    for name in ("tornado.access", "bokeh.server.views.ws"):  # a window that is closed is no trouble
        logging.getLogger(name).setLevel(logging.ERROR)
    server.start()
    say(f"The lab is open at {link}")
    if browser and not webbrowser.open(link):
        say("No browser was found here: open that address yourself.")
    say("Ctrl-C closes it.")
    try:
        server.io_loop.start()
    except KeyboardInterrupt:
        say("The lab is closed.")
    finally:
        server.stop()
