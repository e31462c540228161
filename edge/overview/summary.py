"""Asks one line's live page how the line is doing. Bounded in time and size, whoever answers."""

from __future__ import annotations

import json
import ssl
import time
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any

from edge.overview.page_address import KnownLine, PageAddress

PATIENCE_S = 3.0
_MOST_BYTES = 1 << 18
_CHUNK = 1 << 14

Json = dict[str, Any]


class NoAnswer(Exception):
    """Nothing is known of the line; says why."""


class WrongToken(NoAnswer):
    """It would be guessing to ask again at once."""


def summary_of(line: KnownLine, patience_s: float = PATIENCE_S) -> Json:
    """What a line says of itself; NoAnswer where it says nothing that can be believed."""
    if line.page is None:
        raise NoAnswer(line.trouble or "its page is not known")
    try:
        status, content = _asked(line.page, time.monotonic() + patience_s, patience_s)
    except TimeoutError as error:
        raise NoAnswer(f"no answer within {patience_s:g} s") from error
    except (OSError, HTTPException) as error:  # SSLError among them
        raise NoAnswer(_said(error)) from error
    said = _parsed(content)
    match status, said:
        case 200, {"health": dict(), "latest": dict(), "reject": dict() | None}:
            _expect_name(said, line)
            summary: Json = said
            return summary
        case ((401 | 429), _):
            raise WrongToken(
                "it asks for another token than its file and environment say: start it again, or "
                "set right what they say"
            )
        case 404, _:
            raise NoAnswer("what answers there is no live page of this version")
        case _, {"message": str(message)}:
            raise NoAnswer(message)
    raise NoAnswer(f"what answers there is no live page (HTTP {status})")


def _expect_name(said: Json, line: KnownLine) -> None:
    facts = said["health"].get("facts")
    if isinstance(facts, dict) and facts.get("line") != line.name:
        raise NoAnswer(
            f"another line, {facts.get('line')}, answers at its port: give each its own `web.port`"
        )


def _asked(page: PageAddress, until_s: float, patience_s: float) -> tuple[int, bytes]:
    with closing(_connection(page, patience_s)) as connection:
        headers = {} if page.token is None else {"Authorization": f"Bearer {page.token}"}
        connection.request("GET", "/summary", headers=headers)
        answer = connection.getresponse()
        return answer.status, _whole(answer, until_s)


def _whole(answer: HTTPResponse, until_s: float) -> bytes:
    content = b""
    while piece := answer.read1(_CHUNK):
        content += piece
        if len(content) > _MOST_BYTES:
            raise HTTPException(f"more than {_MOST_BYTES} bytes come")
        if time.monotonic() > until_s:  # one that drips
            raise TimeoutError
    return content


def _connection(page: PageAddress, patience_s: float) -> HTTPConnection:
    if page.certificate is None:
        return HTTPConnection(page.host, page.port, timeout=patience_s)
    # By its own certificate, which need not be for the address by which this box has it.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(page.certificate)
    return HTTPSConnection(page.host, page.port, timeout=patience_s, context=context)


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None


def _said(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "nobody is at its port: the line does not run"
    return f"{getattr(error, 'strerror', None) or error or type(error).__name__}"
