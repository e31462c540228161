"""Who may look, and who may press a button: token, session, origin, and the box's own names.

No I/O and no framework: headers and times in, answers out.
"""

from __future__ import annotations

import re
import secrets
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from edge.serving.token import Token

if TYPE_CHECKING:  # a server's process does without the line file
    from edge.line_file import WebSettings

PACKAGES = ("starlette", "uvicorn")  # of the extra `web`

# The page takes nothing from other sites, runs no inline script, and may be in nobody's frame.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

_MOST_SESSIONS = 64  # browsers; beyond this the oldest gives way
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::[0-9]{1,5})?", re.IGNORECASE)


@dataclass(frozen=True)
class Access:
    """What the line file says of who may look."""

    port: int
    token: str | None = field(repr=False)
    names: tuple[str, ...]  # the host names that the page answers to, beside any IP address
    session_s: float
    encrypted: bool

    @classmethod
    def of(cls, web: WebSettings) -> Access:
        own = socket.gethostname()
        return cls(
            port=web.port,
            token=web.word,
            names=("localhost", own, f"{own}.local", web.host, *web.names),
            session_s=web.session_hours * 3600,
            encrypted=web.certificate is not None,
        )

    @classmethod
    def told(cls, fields: Mapping[str, Any]) -> Access:
        """As the server's process is told it: JSON knows no tuples."""
        return cls(**{**fields, "names": tuple(fields["names"])})


class Door:
    """Lets in whoever has the token; everybody on this box, where there is none."""

    def __init__(self, access: Access, clock_ns: Callable[[], int]) -> None:
        self._token = None if access.token is None else Token(access.token, clock_ns)
        self._clock_ns = clock_ns
        self._names = {name.lower() for name in access.names}
        self._sessions = Sessions(round(access.session_s * 1e9))
        # Two lines on one box would overwrite each other's cookie: a host's ports share them.
        self._cookie = f"trackside_{access.port}"
        self._kept = f"Path=/; HttpOnly; SameSite=Strict{'; Secure' if access.encrypted else ''}"
        self._session_s = round(access.session_s)

    def knows(self, host: str) -> bool:
        """Whether it goes by the name of a `Host` header: a page of elsewhere, whose own name was
        made to lead to this box, would pass for one of ours. Nobody can do so with an address.
        """
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = (found[1] or found[2]).lower()
        return name in self._names or _is_address(name)

    def session(self, cookies: str) -> str | None:
        """The name of the session that these cookies tell, where it is still open."""
        try:
            morsel = SimpleCookie(cookies).get(self._cookie)
        except CookieError:
            return None
        if morsel is None or not self.is_open(morsel.value):
            return None
        return morsel.value

    def is_open(self, session: str) -> bool:
        return self._sessions.is_open(session, self._clock_ns())

    def lets_in(self, authorization: str, cookies: str, whose: str) -> bool:
        """By the headers of a request; raises TooManyGuesses."""
        if self._token is None or self.session(cookies) is not None:
            return True
        return self._token.is_borne(authorization, whose)

    def is_token(self, word: str, whose: str) -> bool:
        """What somebody logs in with; raises TooManyGuesses."""
        return self._token is not None and self._token.is_given(word, whose)

    def begin(self) -> str:
        """The `Set-Cookie` of a browser that gave the token."""
        name = self._sessions.begin(self._clock_ns())
        return f"{self._cookie}={name}; Max-Age={self._session_s}; {self._kept}"

    def end(self, cookies: str) -> str:
        """The `Set-Cookie` of a browser that leaves; what it had opens nothing any more."""
        if (session := self.session(cookies)) is not None:
            self._sessions.end(session)
        return f"{self._cookie}=; Max-Age=0; {self._kept}"


class Sessions:
    """Browsers that gave the token, until they leave or their time is up.

    Each has a name that nobody guesses and that says nothing; they end with the process.
    """

    def __init__(self, age_ns: int) -> None:
        self._age_ns = age_ns
        self._end_ns: dict[str, int] = {}

    def begin(self, now_ns: int) -> str:
        """Its name."""
        self._end_ns = {name: end for name, end in self._end_ns.items() if now_ns < end}
        while len(self._end_ns) >= _MOST_SESSIONS:
            del self._end_ns[next(iter(self._end_ns))]
        name = secrets.token_urlsafe(32)
        self._end_ns[name] = now_ns + self._age_ns
        return name

    def is_open(self, name: str, now_ns: int) -> bool:
        return now_ns < self._end_ns.get(name, now_ns)

    def end(self, name: str) -> None:
        self._end_ns.pop(name, None)


def is_of_this_page(host: str, origin: str) -> bool:
    """Whether what a browser sends was asked for by this page and by no other one."""
    _, _, whose = origin.partition("://")
    return bool(host) and whose == host


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
