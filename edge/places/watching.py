"""Has a line's places told while it runs: by inputs, a file, a PLC, a receiver, and by commands.

Two threads at most: `places` looks at all that is asked often, `gps` listens to gpsd. Whatever
becomes of them, the line goes on.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Protocol

from edge.bridge import Bridge, bridge_errors_as_ours, open_register
from edge.clock import clock_ns
from edge.errors import StoreError, TracksideError
from edge.line_file import (
    FileNameSettings,
    GpsSettings,
    KeyNameSettings,
    LineSettings,
    ModbusNameSettings,
    PlacesSettings,
)
from edge.places.gpsd import Fix, fixes
from edge.places.journal import Journal, Run, read_book
from edge.places.live_places import LivePlaces
from edge.places.mark import Kind
from edge.places.track_table import TrackTable, read_track
from edge.places.watched import CoilSensor, NameKey, NameSource, Posts, name_in_file, numbered

_LOOK_S = 0.005  # at inputs, as the bridge does
_SLOW_EVERY = 100  # looks: at a file or a register
_ASK_EVERY = 20  # looks: at what commands ask, and the disk

log = logging.getLogger("trackside")


class _Watched(Protocol):
    def look(self, now_ns: int) -> None: ...


@contextmanager
def watching_places(
    config: LineSettings, run: str, bridge: Bridge, utc_now: Callable[[], datetime]
) -> Iterator[LivePlaces | None]:
    """The line's places, if it has any, and all that tells them; none, and it is said, where the
    disk refuses their journal: the line inspects and rejects all the same.
    """
    settings, path = config.places, config.journal
    if settings is None or path is None:
        yield None
        return
    utc = utc_now().isoformat(timespec="milliseconds")
    begun = Run(run, utc, config.name, settings.along, settings.falls)
    track = None if settings.gps is None else read_track(settings.gps.track)
    with ExitStack() as stack:
        try:
            journal = stack.enter_context(closing(Journal(path)))
        except StoreError as error:
            log.error(
                "places: %s; the line runs, and they have no names until its next start", error
            )
            yield None
            return
        places = LivePlaces(settings, begun, bridge.where, utc_now)
        places.look()
        places.write(journal)
        ended = Event()
        stack.callback(places.write, journal)
        often, seldom = _watched(settings, places, bridge, path, stack)
        watch = partial(_watch, often, seldom, places, journal, ended)
        _started(stack, Thread(target=watch, name="places", daemon=True))
        if settings.gps is not None and track is not None:
            follow = partial(_follow, settings.gps, track, places, ended)
            _started(stack, Thread(target=follow, name="gps", daemon=True))
        stack.callback(ended.set)
        yield places


def _started(stack: ExitStack, thread: Thread) -> None:
    thread.start()
    stack.callback(thread.join)


def _watched(
    settings: PlacesSettings, places: LivePlaces, bridge: Bridge, journal: Path, stack: ExitStack
) -> tuple[list[_Watched], list[_Watched]]:
    """What is looked at with each turn, and what only now and then."""
    often, seldom = list[_Watched](), list[_Watched]()

    def active(name: str) -> Callable[[], bool]:
        return partial(bridge.inputs.is_active, name)

    if settings.posts is not None:
        often.append(Posts(settings.posts, places, active(settings.posts.input)))
    match settings.name:
        case KeyNameSettings(input=key) as name:
            often.append(NameKey(name, places, active(key), read_book(journal)))
        case FileNameSettings(path=path):
            seldom.append(NameSource(places, partial(name_in_file, path), f"file {path.name}"))
        case ModbusNameSettings(prefix=prefix) as plc:
            read = stack.enter_context(open_register(plc))
            seldom.append(NameSource(places, partial(numbered, read, prefix), "PLC"))
    if settings.coil is not None:
        often.append(CoilSensor(settings.coil, places, active(settings.coil.input)))
    return often, seldom


def _watch(
    often: list[_Watched],
    seldom: list[_Watched],
    places: LivePlaces,
    journal: Journal,
    ended: Event,
) -> None:
    looks, said = 0, dict[_Watched, str]()
    while True:
        try:
            with bridge_errors_as_ours():
                places.look()
        except TracksideError:  # the line is about to end for it
            return
        for each in [*(seldom if looks % _SLOW_EVERY == 0 else ()), *often]:
            _look(each, said)
        if looks % _ASK_EVERY == 0:
            places.write(journal)
            try:
                places.answer(journal)
            except sqlite3.Error as error:  # a disk that is full: `write` says so
                log.debug("places: no command is answered: %s", error)
        looks += 1
        if ended.wait(_LOOK_S):
            return


def _look(watched: _Watched, said: dict[_Watched, str]) -> None:
    """One that fails says so once, and is looked at again."""
    try:
        with bridge_errors_as_ours():
            watched.look(clock_ns())
    except TracksideError as error:
        if said.get(watched) != str(error):
            log.warning("places: %s", error)
        said[watched] = str(error)


def _follow(settings: GpsSettings, track: TrackTable, places: LivePlaces, ended: Event) -> None:
    """An anchor each `every_m` of rail, of fixes that are sure enough."""
    last_um: int | None = None
    for fix in fixes(settings.host, settings.port, clock_ns, ended):
        position_um = places.position_um_at(fix.heard_ns)
        far_enough = round(settings.every_m * 1e6)
        if last_um is not None and abs(position_um - last_um) < far_enough:
            continue
        if _anchored(fix, settings, track, places):
            last_um = position_um


def _anchored(fix: Fix, settings: GpsSettings, track: TrackTable, places: LivePlaces) -> bool:
    if fix.error_m is None or fix.error_m > settings.max_error_m:
        return False
    on_track = track.nearest(fix.latitude, fix.longitude)
    if on_track.beside_m > settings.max_beside_m:
        return False
    try:
        places.mark(
            Kind.ANCHOR,
            "gps",
            at_ns=fix.heard_ns - round(settings.delay_ms * 1e6),
            offset_mm=settings.offset_mm,
            chainage_um=round(on_track.chainage_m * 1e6),
        )
    except TracksideError:  # it was said, and is kept
        return False
    return True
