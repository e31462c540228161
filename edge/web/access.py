"""Who may look, and who may press a button: token, cookie, origin, and whose name the box goes by.

No I/O and no framework: headers in, answers out.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from edge.line_file import WebSettings

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

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_DAY_S = 86_400


class Door:
    """Lets in whoever has the token; everybody on this box, where there is none."""

    def __init__(self, settings: WebSettings) -> None:
        token = settings.token
        self._token = None if token is None else token.get_secret_value()
        self._names = _LOOPBACK | {settings.host}
        # Two lines on one box would overwrite each other's cookie: a host's ports share them.
        self._cookie = f"trackside_{settings.port}"

    def knows(self, host: str) -> bool:
        """Whether it goes by the name of a `Host` header. A page of elsewhere whose own name was
        made to lead to this box would pass for one of ours, were there no token to keep it out.
        """
        if self._token is not None:
            return True
        try:
            return urlsplit(f"//{host}").hostname in self._names
        except ValueError:  # half a bracket
            return False

    def lets_in(self, authorization: str, cookies: str) -> bool:
        """By the headers of a request."""
        if self._token is None:
            return True
        scheme, _, word = authorization.partition(" ")
        if scheme.lower() == "bearer" and self.is_token(word.strip()):
            return True
        try:
            morsel = SimpleCookie(cookies).get(self._cookie)
        except CookieError:
            return False
        return morsel is not None and _same(morsel.value, self._pass)

    def is_token(self, word: str) -> bool:
        return self._token is not None and _same(word, self._token)

    @property
    def cookie(self) -> str:
        """The `Set-Cookie` of a browser that gave the token; it outlasts a restart of the line."""
        kept = f"Path=/; Max-Age={_DAY_S * 30}; HttpOnly; SameSite=Strict"
        return f"{self._cookie}={self._pass}; {kept}"

    @property
    def farewell(self) -> str:
        """The `Set-Cookie` of a browser that leaves."""
        return f"{self._cookie}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict"

    @property
    def _pass(self) -> str:
        """What a browser is known by: of the token, and not the token."""
        assert self._token is not None
        return hmac.new(self._token.encode(), b"trackside live page", sha256).hexdigest()


def is_of_this_page(host: str, origin: str) -> bool:
    """Whether what a browser sends was asked for by this page and by no other one."""
    _, _, whose = origin.partition("://")
    return bool(host) and whose == host


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
