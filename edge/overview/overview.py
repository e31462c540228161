"""The overview of a box's lines, served until it is left."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from edge.line_file import WebSettings
from edge.overview.watch import Watch
from edge.serving import Message, Served, serving
from edge.web.access import PACKAGES, Access

log = logging.getLogger("trackside")


@contextmanager
def overview(folder: Path, settings: WebSettings) -> Iterator[int]:
    """Of the lines whose files lie in this folder; gives the port.

    NotInstalled where its packages are not there, ConfigurationError for an address that cannot be
    served at.
    """
    with Watch(folder) as watch, serving(_served(watch, settings)) as port:
        log.info("overview of %s at %s://%s:%d/", folder, settings.scheme, settings.host, port)
        yield port


def _served(watch: Watch, settings: WebSettings) -> Served:
    guarded = settings.token is not None

    def lines(_: object) -> Message:
        return Message({}, json.dumps({**watch.told(), "guarded": guarded}).encode())

    return Served(
        address=settings.address("overview"),
        needs=PACKAGES,
        app="edge.overview.pages:overview_app",
        settings={"access": asdict(Access.of(settings))},
        answers={"lines": lines},
    )
