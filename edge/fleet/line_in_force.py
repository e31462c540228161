"""Which line file a box runs: its own, or the one that came and was found well."""

from __future__ import annotations

from pathlib import Path

from edge.errors import ConfigurationError
from edge.fleet.folder import FleetFolder
from edge.line_file import FleetSettings, LineSettings, read_line


def fleet_of(config: LineSettings) -> FleetSettings:
    """Of a line that belongs to a fleet."""
    if config.fleet is None:
        raise ConfigurationError(
            f"{config.name} belongs to no fleet: give its line file a `fleet:` with the depot's "
            "`url:`"
        )
    return config.fleet


def line_that_came(folder: FleetFolder, digest: str, path: Path, own: LineSettings) -> LineSettings:
    """A line file that came, as the box whose own one lies at `path` runs it.

    Its relative paths start where those of the box's own do. What ties the box to its fleet and to
    its bundles stays the box's: a line file that said otherwise could never be taken back. Nor
    may one that came say whose bundles are believed, where the box says it.
    """
    config = read_line(folder.checked_line(digest), beside=path)
    if config.fleet is not None:
        raise ConfigurationError(
            "a line file of a release has no `fleet:`, which stays each box's own: leave it out"
        )
    assert own.swap is not None  # a line file with `fleet:` has it
    if config.swap is None or config.swap.folder != own.swap.folder:
        raise ConfigurationError(
            f"swap.folder is not the {own.swap.folder} of the box, where its bundles lie: leave it "
            "as it is there"
        )
    if config.swap.fleet_objection:
        raise ConfigurationError(config.swap.fleet_objection)
    key = own.bundle_key or config.bundle_key
    return config.model_copy(update={"fleet": own.fleet, "bundle_key": key})


def line_in_force(path: Path, own: LineSettings) -> LineSettings:
    """What a start of the box runs."""
    folder = FleetFolder(fleet_of(own).folder)
    digest = folder.line_standing().in_force
    return own if digest is None else line_that_came(folder, digest, path, own)
