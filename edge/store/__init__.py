"""The event store: what was rejected, unsure or sampled, in SQLite, with its pictures beside it."""

from edge.store.account import Part, latency_ns, steps_together
from edge.store.annotations import write_annotated, write_coco, write_cvat
from edge.store.damage import kept_aside
from edge.store.event import KEPT, NO_IMAGE, TORN, Event, Why, describe
from edge.store.event_file import try_store
from edge.store.event_store import EventStore, keeping
from edge.store.naming import Naming, naming_of
from edge.store.pictures import picture_path
from edge.store.reading import (
    Run,
    Wanted,
    read_account,
    read_event,
    read_events,
    read_losses,
    read_outlines,
    read_runs,
    scan_events,
)
from edge.store.table import write_csv
from edge.store.things import Fate, Thing, Things, things_of

__all__ = [
    "KEPT",
    "NO_IMAGE",
    "TORN",
    "Event",
    "EventStore",
    "Fate",
    "Naming",
    "Part",
    "Run",
    "Thing",
    "Things",
    "Wanted",
    "Why",
    "describe",
    "keeping",
    "kept_aside",
    "latency_ns",
    "naming_of",
    "picture_path",
    "read_account",
    "read_event",
    "read_events",
    "read_losses",
    "read_outlines",
    "read_runs",
    "scan_events",
    "steps_together",
    "things_of",
    "try_store",
    "write_annotated",
    "write_coco",
    "write_csv",
    "write_cvat",
]
