"""What each setting of a line would cost on marked pictures; one written into its file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.marked_pictures import Chosen, Side, choose_pictures
from benchmarks.tune.costs import Cost, Per, Proposal, Share, by_class, by_size, choose, costs_of
from benchmarks.tune.grid import Place, Setting, key_of
from benchmarks.tune.looking import Looked, look_at_all
from edge.errors import ConfigurationError, UsageError
from edge.files import with_value, write_whole
from edge.line_file import read_line


@dataclass(frozen=True)
class Study:
    """Of one line file on one set of pictures."""

    line: Path
    camera: str
    chosen: Chosen
    looked: Looked
    costs: tuple[Cost, ...]
    per: Per

    @property
    def now(self) -> Cost:
        """As the line file has it."""
        return self.at(self.looked.grid.now)

    def at(self, setting: Setting) -> Cost:
        return next(cost for cost in self.costs if cost.setting == setting)

    def propose(self, escapes: float) -> Proposal:
        return choose(self.costs, escapes, self.per)

    def parts(self, cost: Cost) -> tuple[dict[str, Share], dict[str, Share]]:
        """The defects that escape, by class and by size."""
        at, cases = self.costs.index(cost), self.looked.cases
        return by_class(cases, at), by_size(cases, at)

    def record(self, proposal: Proposal | None) -> dict[str, Any]:
        """As JSON."""
        limit = self.looked.grid.limit
        shown = self.now if proposal is None else proposal.cost
        classes, sizes = self.parts(shown)
        record: dict[str, Any] = {
            "line": str(self.line),
            "camera": self.camera,
            "bundle": self.looked.manifest.name,
            "engine": self.looked.engine,
            "pictures": self.chosen.said,
            "remark": self.chosen.remark,
            "left_out": self.looked.left_out,
            "per": self.per,
            "size_key": None if limit is None else limit.key,
            "settings": [cost.record() for cost in self.costs],
            "now": self.now.record(),
            "proposed": None,
            "by_class": {name: share.record() for name, share in classes.items()},
            "by_size": {name: share.record() for name, share in sizes.items()},
        }
        if proposal is not None:
            record["proposed"] = proposal.cost.record() | {
                "wished": proposal.wished,
                "reached": proposal.reached,
                "promised": proposal.promised,
                "defects_needed": None if proposal.promised else proposal.needed,
            }
        return record


def study(
    line: Path,
    data: Path,
    *,
    camera: str | None,
    recipe: Path | None,
    side: Side | None,
    per: Per,
    keep_size: bool,
    quiet: bool,
) -> Study:
    """Look at all the pictures; ConfigurationError where nothing can be learned from them."""
    config, chosen = read_line(line), choose_pictures(data, line, recipe, side)
    lookout = config.lookout(camera)
    has_own = lookout.camera.rules is not None
    root: Place = ("cameras", lookout.name, "rules") if has_own else ("rules",)
    looked = look_at_all(
        config.alone(camera), root, chosen.samples, keep_size=keep_size, quiet=quiet
    )
    if not any(case.marks for case in looked.cases):
        raise ConfigurationError(
            f"{data}: no defect is marked in {chosen.said}, so that nothing can escape: give "
            "pictures with defects"
        )
    costs = tuple(costs_of(looked.cases, looked.grid.settings))
    return Study(line, lookout.name, chosen, looked, costs, per)


def write_setting(made: Study, setting: Setting) -> dict[str, float]:
    """Put it into the line file, whose every other character stays; what was written, by key."""
    grid, path = made.looked.grid, made.line
    place: Place = (*grid.root, "threshold")
    values: dict[str, tuple[Place, float]] = {key_of(place): (place, setting.threshold)}
    if grid.limit is not None and setting.size is not None:
        values[grid.limit.key] = (grid.limit.place, setting.size)
    text = before = path.read_text(encoding="utf-8")
    try:
        for place, value in values.values():
            text = with_value(text, place, value)
        write_whole(path, text)
        if read_line(path).lookout(made.camera).rules != grid.ruled(setting):
            raise LookupError("a value is an alias of another")
    except (LookupError, ConfigurationError) as error:
        write_whole(path, before)
        wanted = ", ".join(f"{key}: {value:g}" for key, (_, value) in values.items())
        raise UsageError(f"{path} cannot be edited ({error}): write {wanted} yourself") from error
    return {key: value for key, (_, value) in values.items()}
