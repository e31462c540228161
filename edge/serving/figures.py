"""The page that Prometheus reads, in a process of its own: it asks the line for the figures."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from edge.serving.questions import Fresh, Line, LineGone

_SAME_S = 0.1  # for which two readers are told the same

Send = Callable[[dict[str, Any]], Awaitable[None]]


def figures_app(line: Line, settings: Mapping[str, Any]) -> Callable[[Any, Any, Any], Any]:
    """An ASGI application."""
    figures = Fresh(lambda: line.ask("figures"), _SAME_S)
    token: str | None = settings["token"]

    async def answer(scope: Mapping[str, Any], receive: Any, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["path"] != "/metrics":
            await _say(send, 404, b"the figures are at /metrics\n")
        elif token is not None and not _gives(scope, token):
            await _say(send, 401, b"give the token: as a header `Authorization: Bearer TOKEN`\n")
        else:
            await _tell(send, figures, settings["type"])

    return answer


async def _tell(send: Send, figures: Fresh, kind: str) -> None:
    try:
        answer = await figures()
    except LineGone:
        await _say(send, 503, b"the line ends\n")
    else:
        failed = answer.facts.get("error")
        if failed is None:
            await _say(send, 200, answer.content, kind)
        else:
            await _say(send, 500, f"{failed}\n".encode())


def _gives(scope: Mapping[str, Any], token: str) -> bool:
    said = dict(scope["headers"]).get(b"authorization", b"")
    scheme, _, word = said.partition(b" ")
    return scheme.lower() == b"bearer" and hmac.compare_digest(word.strip(), token.encode())


async def _say(send: Send, status: int, text: bytes, kind: str = "text/plain") -> None:
    headers = [(b"content-type", kind.encode()), (b"content-length", str(len(text)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text})
