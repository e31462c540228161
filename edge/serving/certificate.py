"""How a server shows who it is, so that what is said to it stays between the two."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from edge.errors import ConfigurationError


@dataclass(frozen=True)
class Certificate:
    """A certificate with those that vouch for it, and its key; PEM files."""

    chain: Path
    key: Path


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
