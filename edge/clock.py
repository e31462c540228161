"""The one clock of the box: monotonic nanoseconds."""

from __future__ import annotations

import time

clock_ns = time.monotonic_ns
