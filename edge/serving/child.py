"""A server's process: what runs beside the line, with nothing of the line in it but a link to it.

It ends when the line does. Its standard input is the link; the line's first word is what to serve.
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import socket
import sys
from importlib import import_module
from pathlib import Path

from edge.box import give_way
from edge.serving.address import Certificate, tls_context
from edge.serving.questions import LineGone, LinkHandler, Questions
from edge.serving.server import MOST_GUESTS, Server

_DESCRIPTORS = 4 * MOST_GUESTS
_LINK_FD = 0

log = logging.getLogger("trackside")


def main() -> None:
    """Serve until the line ends."""
    give_way()
    resource.setrlimit(resource.RLIMIT_NOFILE, (_DESCRIPTORS, _DESCRIPTORS))
    asyncio.run(_serve(socket.socket(fileno=os.dup(_LINK_FD))))


async def _serve(end: socket.socket) -> None:
    questions = Questions(end)
    handler = LinkHandler(questions)
    logging.basicConfig(level=logging.INFO, handlers=[handler], format="%(message)s")
    listening = asyncio.create_task(questions.listen())
    try:
        told = (await questions.told()).facts
        module, _, name = told["app"].partition(":")
        app = getattr(import_module(module), name)(questions, told["settings"])
        tls = None
        if told["certificate"] is not None:
            chain, key = map(Path, told["certificate"])
            tls = tls_context(told["section"], Certificate(chain, key))
        server = Server(app, tls)
        serving = asyncio.create_task(server.serve([socket.socket(fileno=told["listener"])]))
        ended = asyncio.create_task(questions.closing.wait())
        await asyncio.wait([serving, ended], return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await serving
    except LineGone:
        pass
    except Exception:
        log.exception("the server ends")
        await asyncio.sleep(0.1)  # until the line has been told
        sys.exit(1)
    finally:
        listening.cancel()
