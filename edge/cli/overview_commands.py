"""`trackside overview`: one page for all lines of a box."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

_TOKEN = "TRACKSIDE_OVERVIEW_TOKEN"  # the name of what only the environment says


def overview(
    folder: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="The folder of the line files, NAME.yaml.")
    ] = Path("/etc/trackside/lines"),
    host: Annotated[
        str,
        typer.Option(
            envvar="TRACKSIDE_OVERVIEW_HOST",
            help=f"The address it is served at; beyond this box with a token alone, {_TOKEN}.",
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            envvar="TRACKSIDE_OVERVIEW_PORT", min=0, max=65535, help="Its TCP port; 0: any."
        ),
    ] = 8400,
    name: Annotated[
        list[str] | None,
        typer.Option(
            envvar="TRACKSIDE_OVERVIEW_NAMES",
            help="What it is called in a browser, beside addresses and this box's own name.",
        ),
    ] = None,
    certificate: Annotated[
        Path | None,
        typer.Option(envvar="TRACKSIDE_OVERVIEW_CERTIFICATE", help="PEM file; served by https."),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(envvar="TRACKSIDE_OVERVIEW_KEY", help="Its key, a PEM file."),
    ] = None,
) -> None:
    """Serve a page that lists all lines of this box: how each is doing, by its own live page."""
    import signal
    import threading

    from pydantic import ValidationError

    from edge.cli.logs import log_to_stderr
    from edge.errors import UsageError
    from edge.line_file import WebSettings
    from edge.overview import overview as serve

    log_to_stderr(as_json=False, verbose=False)
    asked = {
        "host": host,
        "port": port,
        "names": tuple(name or ()),
        "certificate": certificate and certificate.absolute(),
        "key": key and key.absolute(),
        "token": os.environ.get(_TOKEN),
    }
    try:
        settings = WebSettings.model_validate(asked, context={"folder": Path()})
    except ValidationError as error:
        said = "; ".join(each["msg"].removeprefix("Value error, ") for each in error.errors())
        raise UsageError(f"overview: {said.replace('`token:`', _TOKEN)}") from error
    told_to_stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told_to_stop.set())
    with serve(folder, settings):
        told_to_stop.wait()
