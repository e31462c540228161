"""Fixes of a receiver, as gpsd tells them: a stream of JSON, a line each, over TCP."""

from __future__ import annotations

import json
import logging
import math
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Event
from typing import Any

_WATCH = b'?WATCH={"enable":true,"json":true}\n'
_CONNECT_S, _SILENT_S = 5.0, 10.0  # gpsd says something with each fix, or each look for one
_RETRY_S = (0.5, 30.0)
_LONGEST = 65_536  # bytes of a line
_A_FIX = 2  # of gpsd's modes, at least: 2D

log = logging.getLogger("trackside")


@dataclass(frozen=True, slots=True)
class Fix:
    """Where the receiver is, and how sure it is of that."""

    latitude: float
    longitude: float
    error_m: float | None  # None where it does not say
    heard_ns: int


def fixes(host: str, port: int, clock_ns: Callable[[], int], ended: Event) -> Iterator[Fix]:
    """Without end: gpsd that is gone is asked again."""
    wait_s, said = _RETRY_S[0], ""
    while not ended.is_set():
        try:
            for fix in _fixes(host, port, clock_ns, ended):
                if said:
                    log.info("gps: %s port %d: fixes again", host, port)
                wait_s, said = _RETRY_S[0], ""
                yield fix
            why = "gpsd hung up"
        except (OSError, ValueError) as error:
            why = str(error)
        if ended.is_set():
            return
        if why != said:
            log.warning("gps: %s port %d: %s; no place is taken from it", host, port, why)
        said = why
        ended.wait(wait_s)
        wait_s = min(2 * wait_s, _RETRY_S[1])


def fix_of(said: Any, heard_ns: int) -> Fix | None:
    """Of one of gpsd's reports; None if it tells no place."""
    if not isinstance(said, dict) or said.get("class") != "TPV":
        return None
    numbers = [_number(said.get(key)) for key in ("mode", "lat", "lon", "eph")]
    mode, latitude, longitude, error_m = numbers
    if mode is None or mode < _A_FIX or latitude is None or longitude is None:
        return None
    if error_m is None:  # an old gpsd says it by its two axes
        axes = [_number(said.get(key)) for key in ("epx", "epy")]
        known = [axis for axis in axes if axis is not None]
        error_m = math.hypot(*known) if len(known) == 2 else None
    return Fix(latitude, longitude, error_m, heard_ns)


def _fixes(host: str, port: int, clock_ns: Callable[[], int], ended: Event) -> Iterator[Fix]:
    with socket.create_connection((host, port), timeout=_CONNECT_S) as gpsd:
        gpsd.sendall(_WATCH)
        gpsd.settimeout(0.2)  # so that the end of the line is noticed
        come, heard_s = b"", time.monotonic()
        while not ended.is_set():
            try:
                piece = gpsd.recv(_LONGEST)
            except TimeoutError:
                if time.monotonic() - heard_s > _SILENT_S:
                    raise ValueError("gpsd is silent") from None
                continue
            heard_ns, heard_s = clock_ns(), time.monotonic()
            if not piece:
                return
            *lines, come = (come + piece).split(b"\n")
            if len(come) > _LONGEST:
                raise ValueError("what answers there is no gpsd")
            for line in filter(None, map(bytes.strip, lines)):
                fix = fix_of(json.loads(line), heard_ns)
                if fix is not None:
                    yield fix


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) else None
