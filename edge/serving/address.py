"""The address at which a line serves, and as whom; what is said of one at which it cannot."""

from __future__ import annotations

import errno
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

from edge.errors import ConfigurationError

DEAD_MS = 20_000  # a reader that takes nothing for so long is hung up on, by the kernel
_UNREAD_BYTES = 256 * 1024
_BACKLOG = 128  # who waits there while nobody is accepted


@dataclass(frozen=True)
class Certificate:
    """A certificate with those that vouch for it, and its key; PEM files."""

    chain: Path
    key: Path


@dataclass(frozen=True)
class Address:
    """Where, and as whom, something is served."""

    section: str  # of the line file
    host: str
    port: int
    certificate: Certificate | None
    dead_ms: int = DEAD_MS


def bound(address: Address) -> socket.socket:
    """Its listener, at which nobody is answered yet; ConfigurationError where none can be."""
    if address.certificate is not None:
        tls_context(address.section, address.certificate)
    host, port = address.host, address.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise _refused(address, error) from error
    # Every connection has both from here: what a reader does not take neither piles up in the
    # kernel nor is waited for.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _UNREAD_BYTES)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, address.dead_ms)
    return listener


def tls_context(section: str, certificate: Certificate) -> ssl.SSLContext:
    """For the server of a section of the line file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # An empty password, because OpenSSL would ask the terminal for that of a key that has one.
        context.load_cert_chain(certificate.chain, certificate.key, password="")
    except OSError as error:  # SSLError among them
        raise ConfigurationError(
            f"{section}.certificate: {error}: give certificate and key that belong together, as "
            "PEM files that can be read, the key without a password"
        ) from error
    return context


def _refused(address: Address, error: OSError) -> ConfigurationError:
    remedy = "choose another address or port"
    if error.errno == errno.EADDRINUSE:
        reason = "in use"
        remedy = f"if this line runs now, stop it first; else {remedy}"
    else:
        # Python adds the address, which is said already.
        reason = (error.strerror or str(error)).partition(" (while")[0]
    where = f"{address.section}: {address.host} port {address.port}"
    return ConfigurationError(f"{where}: {reason}: {remedy}")
