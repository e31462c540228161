"""The page that Prometheus reads, in a process of its own: it asks the line for the figures."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from edge.serving.questions import AskedLine, Fresh, LineGone
from edge.serving.token import Token, TooManyGuesses

_SAME_S = 0.1  # readers that ask within it are given one answer

Send = Callable[[dict[str, Any]], Awaitable[None]]


def figures_app(line: AskedLine, settings: Mapping[str, Any]) -> Callable[[Any, Any, Any], Any]:
    """An ASGI application."""
    figures = Fresh(lambda: line.ask("figures"), _SAME_S)
    word: str | None = settings["token"]
    token = None if word is None else Token(word, time.monotonic_ns)

    async def answer(scope: Mapping[str, Any], receive: Any, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["path"] != "/metrics":
            await _say(send, 404, b"the figures are at /metrics\n")
        elif (refused := _refused(scope, token)) is not None:
            await _say(send, *refused)
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


def _refused(scope: Mapping[str, Any], token: Token | None) -> tuple[int, bytes] | None:
    if token is None:
        return None
    said = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1")
    try:
        if token.is_borne(said, scope["client"][0] if scope["client"] else "nowhere"):
            return None
    except TooManyGuesses as guesses:
        return 429, f"{guesses}\n".encode()
    return 401, b"give the token: as a header `Authorization: Bearer TOKEN`\n"


async def _say(send: Send, status: int, text: bytes, kind: str = "text/plain") -> None:
    headers = [(b"content-type", kind.encode()), (b"content-length", str(len(text)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text})
