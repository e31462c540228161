"""What is said of an address at which a line cannot serve."""

from __future__ import annotations

import errno

from edge.errors import ConfigurationError


def refused(section: str, host: str, port: int, error: OSError) -> ConfigurationError:
    """In the words of the line file's section that names it."""
    remedy = "choose another address or port"
    if error.errno == errno.EADDRINUSE:
        reason = "in use"
        remedy = f"if this line runs now, stop it first; else {remedy}"
    else:
        # Python adds the address, which is said already.
        reason = (error.strerror or str(error)).partition(" (while")[0]
    return ConfigurationError(f"{section}: {host} port {port}: {reason}: {remedy}")
