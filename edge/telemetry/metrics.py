"""A line's health, as the figures that Prometheus reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from itertools import accumulate

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from edge.box import BoxState
from edge.fleet import FleetStatus
from edge.health import BOUNDS_NS, Counted, Keeping, LineHealth, Messages
from edge.line_file import MetricsSettings
from edge.serving import Message, Served, serving

PACKAGES = ("uvicorn",)  # of the extra `metrics`, beside prometheus_client
_BOUNDS = [*(repr(ns / 1e9) for ns in BOUNDS_NS), "+Inf"]


def line_metrics(health: LineHealth) -> Iterator[Metric]:
    """A line's health at one moment."""
    yield InfoMetricFamily("trackside_line", "What runs on this line.", value=asdict(health.facts))
    yield from _frames(health)
    yield from _times(health)
    yield from _drift_and_rejects(health)
    yield from _keeping(health.keeping)
    yield from _sources(health)
    if health.swap is not None:
        swaps = CounterMetricFamily(
            "trackside_swaps",
            "Bundles that were asked for, by what came of it.",
            labels=["outcome"],
        )
        swaps.add_metric(["taken_over"], health.swap.taken_over)
        swaps.add_metric(["refused"], health.swap.refused)
        yield swaps
    if health.fleet is not None:
        yield from _fleet(health.fleet)
    yield from _box(health.box)
    if health.messages is not None:
        yield from _messages(health.messages)


def _frames(health: LineHealth) -> Iterator[Metric]:
    frames = CounterMetricFamily(
        "trackside_frames", "Frames that were judged, by verdict.", labels=["camera", "state"]
    )
    for name, camera in health.cameras.items():
        for state, count in camera.frames.items():
            frames.add_metric([name, state.value], count)
    yield frames
    for family, what, is_reported in (
        ("defects", "Defects that counted, by class.", False),
        ("reported", "What was seen and is never rejected, by class.", True),
    ):
        found = CounterMetricFamily(f"trackside_{family}", what, labels=["camera", "class"])
        for name, camera in health.cameras.items():
            for kind, count in camera.found.items():
                if kind.is_reported is is_reported:
                    found.add_metric([name, kind.name], count)
        yield found
    lost = CounterMetricFamily(
        "trackside_frames_lost",
        "Frames of which the camera gave no image; they are UNKNOWN.",
        labels=["camera"],
    )
    missed = CounterMetricFamily(
        "trackside_deadlines_missed",
        "Frames judged too late for their first row to be rejected at the line's full speed.",
        labels=["camera"],
    )
    for name, camera in health.cameras.items():
        lost.add_metric([name], camera.lost_frames)
        missed.add_metric([name], camera.deadlines_missed)
    yield from (lost, missed)


def _times(health: LineHealth) -> Iterator[Metric]:
    stages = HistogramMetricFamily(
        "trackside_stage_seconds", "Time a frame spent in each stage.", labels=["camera", "stage"]
    )
    latency = HistogramMetricFamily(
        "trackside_latency_seconds",
        "Time from the light on the sensor to the verdict.",
        labels=["camera"],
    )
    age = GaugeMetricFamily(
        "trackside_last_frame_age_seconds",
        "Time since the latest frame was done with.",
        labels=["camera"],
    )
    for name, camera in health.cameras.items():
        for stage, times in camera.stages.items():
            stages.add_metric([name, stage], _buckets(times), times.total_ns / 1e9)
        latency.add_metric([name], _buckets(camera.latency), camera.latency.total_ns / 1e9)
        if camera.last_frame_age_s is not None:
            age.add_metric([name], camera.last_frame_age_s)
    yield from (stages, latency, age)


def _sources(health: LineHealth) -> Iterator[Metric]:
    """Of cameras that run freely."""
    up = GaugeMetricFamily(
        "trackside_camera_up", "1 while the camera gives pictures.", labels=["camera"]
    )
    families = [
        (count, CounterMetricFamily(f"trackside_camera_{name}", what, labels=["camera"]))
        for count, name, what in (
            ("grabbed", "pictures", "Pictures that the camera gave."),
            ("dropped", "frames_dropped", "Frames that the network was too slow for."),
            ("held", "frames_held", "Frames for which the camera had to wait."),
            ("reopened", "reopened", "Times that the camera was opened anew."),
            ("abandoned", "abandoned", "Times that the camera's driver did not come back."),
        )
    ]
    for name, camera in health.cameras.items():
        if camera.source is not None:
            up.add_metric([name], camera.source.fault is None)
            for count, family in families:
                family.add_metric([name], getattr(camera.source, count))
    if up.samples:
        yield from (up, *(family for _, family in families))


def _keeping(keeping: Keeping) -> Iterator[Metric]:
    trouble = GaugeMetricFamily(
        "trackside_keeping_trouble", "1 while the disk refuses what is to be kept.", labels=["of"]
    )
    for name in ("store", "ledger"):
        trouble.add_metric([name], name in keeping.troubles)
    yield trouble
    yield CounterMetricFamily(
        "trackside_store_pictures_dropped",
        "Events that were kept without their pictures.",
        value=keeping.pictures_dropped,
    )
    yield CounterMetricFamily(
        "trackside_store_events_lost",
        "Events that could not even be kept without.",
        value=keeping.events_lost,
    )


def _drift_and_rejects(health: LineHealth) -> Iterator[Metric]:
    drift = GaugeMetricFamily(
        "trackside_drift",
        "Population stability index of the latest frames against the commissioning; 0 is no drift, "
        "0.25 a strong one.",
        labels=["camera", "of"],
    )
    for name, camera in health.cameras.items():
        for figure, index in camera.drift.items():
            drift.add_metric([name, figure], index)
    yield drift
    rejects = health.rejects
    for name, what, count in (
        ("ordered", "Rejects ordered of the actuators.", rejects.ordered),
        ("fired", "Rejects that were fired.", rejects.fired),
        ("missed", "Rejects whose rail went by.", rejects.missed),
    ):
        yield CounterMetricFamily(f"trackside_rejects_{name}", what, value=count)
    yield GaugeMetricFamily(
        "trackside_rejects_pending", "Rejects still on their way.", value=rejects.pending
    )
    mode = GaugeMetricFamily("trackside_reject_mode", "What the outputs are at.", labels=["mode"])
    mode.add_metric([health.outputs.mode], 1)
    yield mode


def _box(box: BoxState) -> Iterator[Metric]:
    """What the box does not show is left out."""
    yield GaugeMetricFamily(
        "trackside_resident_memory_bytes", "Memory this process occupies.", value=box.memory_bytes
    )
    yield GaugeMetricFamily(
        "trackside_open_files", "Files and sockets this process holds open.", value=box.open_files
    )
    temperatures = GaugeMetricFamily(
        "trackside_temperature_celsius", "Temperature of a thermal zone.", labels=["zone"]
    )
    for zone, degrees in box.temperatures_c.items():
        temperatures.add_metric([zone], degrees)
    yield temperatures
    if box.throttled is not None:
        yield GaugeMetricFamily(
            "trackside_throttled",
            "1 while heat or a weak supply holds the processor back.",
            value=box.throttled,
        )
    if box.throttle_events is not None:
        yield CounterMetricFamily(
            "trackside_throttle_events",
            "How often heat held the processor back since the box was started.",
            value=box.throttle_events,
        )


def _messages(messages: Messages) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "trackside_mqtt_connected", "1 while the broker takes messages.", value=messages.connected
    )
    yield GaugeMetricFamily(
        "trackside_mqtt_spooled", "Messages that wait for the broker.", value=messages.spooled
    )
    yield CounterMetricFamily(
        "trackside_mqtt_given_up",
        "Messages that the spool had no room for.",
        value=messages.given_up,
    )


def _fleet(fleet: FleetStatus) -> Iterator[Metric]:
    release = GaugeMetricFamily(
        "trackside_fleet_release",
        "Number of the release that this box runs, and of the one that it wants; 0 is none.",
        labels=["box", "which"],
    )
    release.add_metric([fleet.box, "runs"], fleet.runs or 0)
    release.add_metric([fleet.box, "wants"], fleet.wants or 0)
    yield release
    refused = GaugeMetricFamily(
        "trackside_fleet_refused",
        "1 of a release that this box refused.",
        labels=["release", "why"],
    )
    for each in fleet.refused:
        refused.add_metric([str(each.release), each.why], 1)
    yield refused
    trouble = GaugeMetricFamily(
        "trackside_fleet_trouble", "1 while the depot cannot be read or believed.", labels=["why"]
    )
    trouble.add_metric([fleet.trouble or ""], fleet.trouble is not None)
    yield trouble
    if fleet.contact_at is not None:
        yield GaugeMetricFamily(
            "trackside_fleet_contact_timestamp_seconds",
            "When the depot was last read anew, in seconds since 1970.",
            value=datetime.fromisoformat(fleet.contact_at).timestamp(),
        )


def _buckets(times: Counted) -> list[tuple[str, float]]:
    return list(zip(_BOUNDS, accumulate(times.counts), strict=True))


class _Page(Collector):
    def __init__(self, collect: Callable[[], Iterable[Metric]]) -> None:
        self._collect = collect

    def collect(self) -> Iterable[Metric]:
        return self._collect()


@contextmanager
def serve_metrics(
    settings: MetricsSettings, collect: Callable[[], Iterable[Metric]]
) -> Iterator[int]:
    """Serve `/metrics` until left; gives the port."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Page(collect))
    served = Served(
        address=settings.address("metrics"),
        needs=PACKAGES,
        app="edge.serving.figures:figures_app",
        settings={"token": settings.word, "type": CONTENT_TYPE_LATEST},
        answers={"figures": lambda _: Message({}, generate_latest(registry))},
    )
    with serving(served) as port:
        yield port
