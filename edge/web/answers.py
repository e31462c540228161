"""What the line answers its page. The page's process asks for it and has nothing else of the line.

All but the self-check comes from one thread, one question at a time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from edge.errors import TracksideError
from edge.serving import Answer, Message
from edge.web.page_state import PageState
from edge.web.pictures import LiveFrame
from edge.web.watched_line import WatchedLine

_LONGEST_NAME = 64  # of who presses a button


class Answers:
    """By what is asked."""

    def __init__(self, line: WatchedLine, page: PageState, frames: Mapping[str, LiveFrame]) -> None:
        self._line, self._page, self._frames = line, page, frames

    @property
    def quick(self) -> dict[str, Answer]:
        return {
            "turn": self._turn,
            "state": lambda _: Message({}, _json(self._page.whole())),
            "summary": lambda _: Message({}, _json(self._page.summary())),
            "frame": self._newest_frame,
            "picture": self._picture,
            "acknowledge": self._acknowledge,
        }

    @property
    def slow(self) -> dict[str, Answer]:
        return {"self-test": self._self_check}

    def _turn(self, _: Mapping[str, Any]) -> Message:
        news = self._page.turn()
        return Message({}, _json(news) if news else b"")

    def _newest_frame(self, asked: Mapping[str, Any]) -> Message:
        """Of one camera; of the first where none is named."""
        camera = str(asked.get("camera") or next(iter(self._frames)))
        newest = self._page.newest.get(camera)
        if newest is None:
            return Message({"frame": None})
        index, jpeg = self._frames[camera].of(newest)
        return Message({"frame": index}, jpeg)

    def _picture(self, asked: Mapping[str, Any]) -> Message:
        return Message({}, self._page.picture(str(asked.get("name"))) or b"")

    def _acknowledge(self, asked: Mapping[str, Any]) -> Message:
        if (refusal := self._line.refusal()) is not None:
            return _said(403, refusal)
        try:
            self._line.acknowledge(str(asked.get("who"))[:_LONGEST_NAME])
        except TracksideError as error:
            return _said(409, str(error))
        return _said(200, "acknowledged")

    def _self_check(self, _: Mapping[str, Any]) -> Message:
        if (refusal := self._line.refusal()) is not None:
            return _said(403, refusal)
        checks = self._line.self_check()
        content = {
            "passed": all(check.passed for check in checks),
            "checks": [asdict(check) for check in checks],
        }
        return Message({"status": 200}, _json(content))


def _said(status: int, message: str) -> Message:
    return Message({"status": status}, _json({"message": message}))


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()
