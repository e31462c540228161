"""What people call the places of the rail: a map onto the encoder's axis, by what they said."""

from edge.places.journal import (
    NO_BOOK,
    Asked,
    Journal,
    PlaceBook,
    Run,
    read_book,
)
from edge.places.live_places import LivePlaces
from edge.places.mark import (
    NOWHERE,
    Kind,
    Mark,
    Named,
    PlaceRefused,
    chainage_of,
    km,
    name_of,
)
from edge.places.place_map import PlaceMap
from edge.places.saying import say_later, say_now
from edge.places.track_table import TrackTable, read_track
from edge.places.watched import hear_name

__all__ = [
    "NOWHERE",
    "NO_BOOK",
    "Asked",
    "Journal",
    "Kind",
    "LivePlaces",
    "Mark",
    "Named",
    "PlaceBook",
    "PlaceMap",
    "PlaceRefused",
    "Run",
    "TrackTable",
    "chainage_of",
    "hear_name",
    "km",
    "name_of",
    "read_book",
    "read_track",
    "say_later",
    "say_now",
]
