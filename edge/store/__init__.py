"""The event store: what was rejected, unsure or sampled, in SQLite, with its pictures beside it."""

from edge.store.annotations import write_annotated, write_coco, write_cvat
from edge.store.damage import kept_aside
from edge.store.event import KEPT, NO_IMAGE, Why, describe
from edge.store.event_file import try_store
from edge.store.event_store import EventStore, keeping
from edge.store.pictures import picture_path
from edge.store.reading import Wanted, read_event, read_events, read_losses
from edge.store.table import write_csv

__all__ = [
    "KEPT",
    "NO_IMAGE",
    "EventStore",
    "Wanted",
    "Why",
    "describe",
    "keeping",
    "kept_aside",
    "picture_path",
    "read_event",
    "read_events",
    "read_losses",
    "try_store",
    "write_annotated",
    "write_coco",
    "write_csv",
    "write_cvat",
]
