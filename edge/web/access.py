"""Who may look, and who may press a button: token, session, origin, and the box's own names.

No I/O and no framework: headers and times in, answers out.
"""

from __future__ import annotations

import hmac
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from ipaddress import IPv6Address, ip_address

from edge.web.guesses import Guesses
from edge.web.sessions import Sessions

# Nothing from elsewhere, nothing inline, in nobody's frame.
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

_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::[0-9]{1,5})?", re.IGNORECASE)

log = logging.getLogger("trackside")


@dataclass(frozen=True)
class Access:
    """What the line file says of who may look."""

    port: int
    token: str | None
    names: tuple[str, ...]  # which the page goes by, beside addresses
    session_s: float
    encrypted: bool


class TooManyGuesses(Exception):
    """Wait for so many seconds."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"too many wrong tokens from here: wait {wait_s:.0f} s")
        self.wait_s = wait_s


class Door:
    """Lets in whoever has the token; everybody on this box, where there is none."""

    def __init__(self, access: Access, clock_ns: Callable[[], int]) -> None:
        self._token, self._clock_ns = access.token, clock_ns
        self._names = {name.lower() for name in access.names}
        self._sessions = Sessions(round(access.session_s * 1e9))
        self._guesses = Guesses()
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
        scheme, _, word = authorization.partition(" ")
        return scheme.lower() == "bearer" and self.is_token(word.strip(), whose)

    def is_token(self, word: str, whose: str) -> bool:
        """Raises TooManyGuesses where `whose` address has to wait before it may say another."""
        if self._token is None:
            return False
        now_ns, whose = self._clock_ns(), _neighbourhood(whose)
        if (wait_ns := self._guesses.wait_ns(whose, now_ns)) > 0:
            raise TooManyGuesses(wait_ns / 1e9)
        if not hmac.compare_digest(word.encode(), self._token.encode()):
            self._guesses.wrong(whose, now_ns)
            log.warning("a wrong token from %s", whose)
            return False
        self._guesses.right(whose)
        return True

    def begin(self) -> str:
        """The `Set-Cookie` of a browser that gave the token."""
        name = self._sessions.begin(self._clock_ns())
        return f"{self._cookie}={name}; Max-Age={self._session_s}; {self._kept}"

    def end(self, cookies: str) -> str:
        """The `Set-Cookie` of a browser that leaves; what it had opens nothing any more."""
        if (session := self.session(cookies)) is not None:
            self._sessions.end(session)
        return f"{self._cookie}=; Max-Age=0; {self._kept}"


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


def _neighbourhood(address: str) -> str:
    """What one machine can have many of is taken for one."""
    try:
        known = ip_address(address)
    except ValueError:
        return address
    if isinstance(known, IPv6Address) and known.ipv4_mapped is None:
        return f"{IPv6Address(int(known) >> 64 << 64)}/64"
    return address
