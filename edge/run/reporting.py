"""What a running line tells others: its health, and the figures made of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from importlib import import_module
from importlib.metadata import version
from typing import Any

from edge.assembly import Line
from edge.clock import clock_ns
from edge.fleet import FleetFolder, FleetStatus
from edge.health import (
    Cause,
    Facts,
    Health,
    Keeping,
    Messages,
    Outputs,
    Rejects,
    deadline_of,
)
from edge.inspect import Baseline, Inspection, read_baseline
from edge.line_file import LineSettings, Lookout, MqttNameSettings
from edge.places import NOWHERE, LivePlaces, Named, hear_name
from edge.store import EventStore
from edge.swap import Swapper
from edge.telemetry import Message, Outbox, Spool, fleet_message

_VERSION = version("trackside")  # asked once: it is read from the disk

log = logging.getLogger("trackside")


@contextmanager
def reporting(
    line: Line,
    store: EventStore | None = None,
    swapper: Swapper | None = None,
    places: LivePlaces | None = None,
) -> Iterator[Callable[[Inspection], None]]:
    """Give out what is to be told each inspection, once its orders have been given."""
    post: _Post | None = None
    named = _nowhere if places is None else places.named

    def messages() -> Messages | None:
        return None if post is None else post.state()

    health = health_of(line, store, swapper, messages, places)
    with ExitStack() as stack:
        if line.config.mqtt is not None:
            post = _open_post(line, health, named, stack)
            # Last, because it asks for health at once; so it is closed first, and its last words
            # still reach the broker.
            stack.enter_context(post.outbox)
            _hear_names(line.config, places, stack)
        if line.config.metrics is not None:
            _serve_metrics(line, health, stack)
        show = None if line.config.web is None else _show_page(line, health, named, stack)

        def report(inspection: Inspection) -> None:
            health.see(inspection, clock_ns())
            if post is not None:
                post.outbox.tell(inspection)
            if show is not None:
                show(inspection)

        yield report


def health_of(
    line: Line,
    store: EventStore | None,
    swapper: Swapper | None,
    messages: Callable[[], Messages | None],
    places: LivePlaces | None = None,
) -> Health:
    """An account of the line's health, with nothing in it yet."""

    def rejects() -> Rejects:
        report = line.report()
        return Rejects(
            ordered=report.ordered,
            fired=report.fired,
            missed=report.missed,
            pending=report.pending,
        )

    def outputs() -> Outputs:
        desk, causes = line.bridge.desk, []
        for change in desk.standing:
            assert change.standing is not None
            mode, latched = change.standing.mode.value, change.standing.latched
            causes.append(Cause(change.cause, change.reason, mode, latched))
        return Outputs(desk.mode.value, tuple(causes))

    def keeping() -> Keeping:
        ledger = line.bridge.ledger
        said = {
            "store": None if store is None else store.trouble,
            "ledger": None if ledger is None else ledger.trouble,
            "places": None if places is None else places.trouble,
        }
        return Keeping(
            troubles={name: trouble for name, trouble in said.items() if trouble is not None},
            pictures_dropped=0 if store is None else store.pictures_dropped,
            events_lost=0 if store is None else store.events_lost,
        )

    return Health(
        deadline_of(line.config),
        rejects,
        {each.name: _baseline(line, each) for each in line.config.lookouts},
        facts=lambda: _facts(line),
        outputs=outputs,
        keeping=keeping,
        swap=lambda: None if swapper is None else swapper.status(),
        fleet=_fleet(line.config),
        sources=line.camera_counts,
        messages=messages,
    )


def _fleet(config: LineSettings) -> Callable[[], FleetStatus | None]:
    settings = config.fleet
    if settings is None:
        return lambda: None
    folder, box = FleetFolder(settings.folder), settings.box
    return lambda: folder.shown(box)


def _baseline(line: Line, lookout: Lookout) -> Baseline | None:
    path = lookout.camera.baseline
    if path is None:
        return None
    baseline = read_baseline(path)
    if baseline.bundle != line.bundle.digest:
        # This is no reason to refuse: a line must start again after its bundle was changed.
        log.warning(
            "%s was recorded with another bundle: drift is not reported, nor what is unfamiliar, "
            "until `trackside commission` has been run again with this one",
            path,
        )
    return baseline


def _facts(line: Line) -> Facts:
    return Facts(
        line=line.config.name,
        bundle=line.bundle.manifest.name,
        bundle_digest=line.bundle.digest,
        engine=line.engine.name,
        version=_VERSION,
    )


_NamedAt = Callable[[int], Named]  # what people call a place


def _nowhere(_position_um: int) -> Named:
    return NOWHERE


def _show_page(
    line: Line, health: Health, named: _NamedAt, stack: ExitStack
) -> Callable[[Inspection], None]:
    live = import_module("edge.web.live")  # needs the extra `web`
    show: Callable[[Inspection], None] = stack.enter_context(live.live_page(line, health, named))
    return show


@dataclass(frozen=True)
class _Post:
    """The way of messages to the broker."""

    outbox: Outbox
    courier: Any  # of the adapter, which is imported only when it is asked for

    def state(self) -> Messages:
        return Messages(
            connected=self.courier.connected,
            spooled=self.outbox.spooled,
            given_up=self.outbox.given_up,
        )


def _open_post(line: Line, health: Health, named: _NamedAt, stack: ExitStack) -> _Post:
    settings = line.config.mqtt
    assert settings is not None
    mqtt = import_module("edge.telemetry.mqtt")  # needs the extra `mqtt`
    spool = stack.enter_context(Spool(settings.spool, limit=settings.max_spooled))
    outbox = Outbox(
        spool,
        line=line.config.name,
        topic=settings.topic,
        health=health.at,
        health_every_s=settings.health_every_s,
        clock_ns=clock_ns,
        utc_now=lambda: datetime.now(timezone.utc),
        limit=settings.max_spooled,
        named=named,
    )
    courier = stack.enter_context(
        mqtt.MqttCourier(settings, spool, outbox.added, clock_ns, lambda: _standing(line, health))
    )
    return _Post(outbox, courier)


def _standing(line: Line, health: Health) -> Message | None:
    """What the broker is to keep of the line, besides whether it is there."""
    assert line.config.mqtt is not None
    message = fleet_message(health.at(clock_ns()))
    if message is None:
        return None
    return Message(f"{line.config.mqtt.topic}/fleet", message.model_dump_json().encode())


def _hear_names(config: LineSettings, places: LivePlaces | None, stack: ExitStack) -> None:
    """Have the broker tell the coil's name, where the line file says that it does."""
    if places is None or config.places is None or config.mqtt is None:
        return
    name = config.places.name
    if isinstance(name, MqttNameSettings):
        topic = import_module("edge.telemetry.mqtt_topic")
        stack.enter_context(topic.MqttTopic(config.mqtt, name.topic, partial(hear_name, places)))


def _serve_metrics(line: Line, health: Health, stack: ExitStack) -> None:
    assert line.config.metrics is not None
    metrics = import_module("edge.telemetry.metrics")  # needs the extra `metrics`

    def collect() -> Iterable[Any]:
        yield from metrics.line_metrics(health.at(clock_ns()))

    port = stack.enter_context(metrics.serve_metrics(line.config.metrics, collect))
    log.info("metrics at http://%s:%d/metrics", line.config.metrics.host, port)
