"""What the terminal shows: a line while it runs, a demo's result, checks, predictions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, repeat, zip_longest
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.segment import Segment
from rich.text import Text

from edge.bridge import Fired, Missed
from edge.cli.terminal import MARKS, QUIET
from edge.clock import clock_ns
from edge.inspect import reject_stretches
from edge.types import Defect, Stretch

if TYPE_CHECKING:
    from edge.assembly import Line
    from edge.run import Tally

_REFRESHES_A_SECOND = 8
_DEFECTS_SHOWN = 6
_SPEED_OVER_NS = 250_000_000
_BEYOND = 1.2  # the strip shows the rail a little further than the actuator

_Span = tuple[str, str]  # text, style
_Row = list[_Span]


class LiveDisplay:
    """Shows a line while it runs, if the output is a terminal; elsewhere it shows nothing.

    It is drawn by a thread of its own: the main loop hands over line and tally, and goes on.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._live = Live(
            Text("opening the line ...", style=QUIET),
            console=console,
            refresh_per_second=_REFRESHES_A_SECOND,
            transient=True,
        )

    def watch(self, line: Line, tally: Tally) -> None:
        """Show this line from now on."""
        self._live.update(Dashboard(line, tally))

    def __enter__(self) -> LiveDisplay:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()


@dataclass(frozen=True)
class Dashboard:
    """A line as it is at the moment of drawing: 21 rows, for a terminal of 80 columns or more.

    Rows are put together from strings, because nested tables would take the interpreter for tens
    of milliseconds, which the reject thread needs.
    """

    line: Line
    tally: Tally

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for row in self._rows(options.max_width):
            yield from (Segment(text, console.get_style(style)) for text, style in row)
            yield Segment.line()

    def _rows(self, width: int) -> Iterator[_Row]:
        now_ns = clock_ns()
        orders = _latest_orders(self.line, self.tally)
        side = width * 5 // 19
        middle = width - 2 * side
        rail = self._rail(now_ns, orders, width - 4)
        verdicts, rejects = self._verdicts(side - 4), self._rejects(side - 4)
        latency, defects = self._latency(middle - 4), self._defects(now_ns, orders)
        yield from _panel(self.line.config.name, rail, width=width, height=4)
        for parts in zip(
            _panel("verdicts", verdicts, width=side, height=5),
            _panel("latency in ms, and the last frame", latency, width=middle, height=5),
            _panel("rejects", rejects, width=side, height=5),
            strict=True,
        ):
            yield list(chain(*parts))
        yield from _panel("last defects", defects, width=width, height=_DEFECTS_SHOWN)

    @property
    def _offset_um(self) -> int:
        return round(self.line.config.reject.offset_mm * 1000)

    def _rail(self, now_ns: int, orders: Sequence[_Ordered], width: int) -> Iterator[_Row]:
        position_um = self.line.rehearsal.encoder.position_um(now_ns)
        travelled_um = position_um - self.line.rehearsal.encoder.position_um(
            now_ns - _SPEED_OVER_NS
        )
        place = f"{position_um / 1e6:.3f} m"
        moved = f"   {travelled_um / 1000 / (_SPEED_OVER_NS / 1e9):.0f} mm/s"
        network = f"{self.line.bundle.manifest.name} on {self.line.engine.name}"
        right = f"{network:>{width - len(place) - len(moved)}}"
        yield [(place, "bold"), (moved, ""), (right, QUIET)]
        yield from self._strip(position_um, orders, width)

    def _strip(self, position_um: int, orders: Sequence[_Ordered], width: int) -> Iterator[_Row]:
        """The rail from the camera on the left to the actuator, with the orders on their way."""
        offset_um = self._offset_um
        shown = self.tally.latest.seen.stretch if self.tally.latest else Stretch(0, 0)
        frame_um = shown.end_um - shown.start_um
        cell_um = max(1, round(_BEYOND * max(offset_um, frame_um) / width))
        actuator, camera = offset_um // cell_um, frame_um // cell_um
        rail = [("━", "")] * camera + [("━", QUIET)] * (width - camera)
        for order in orders:
            # Further downstream lies what passed the camera earlier.
            first = (position_um - order.stretch.end_um) // cell_um
            last = (position_um - order.stretch.start_um) // cell_um
            for cell in range(max(0, first), min(width, last + 1)):
                rail[cell] = (order.glyph, order.style)
        rejecting = self.line.rehearsal.reject_pin.active
        arrow = ("▼ REJECT", "bold red") if rejecting else ("▽ reject", QUIET)
        yield [(" " * actuator, ""), arrow]
        yield rail
        camera_below = f"╰{'─' * (camera - 2)}╯ camera"
        yield [(f"{camera_below:{actuator}}{offset_um / 1000:.0f} mm", QUIET)]

    def _verdicts(self, width: int) -> Iterator[_Row]:
        yield _figure("frames", f"{self.tally.frames}", width)
        for state, (sign, style) in MARKS.items():
            count = self.tally.states[state]
            yield _figure(f"{sign} {state.value}", f"{count}", width, style if count else QUIET)

    def _latency(self, width: int) -> Iterator[_Row]:
        percentiles = [f"{name}{ms:7.1f}" for name, ms in self.tally.latency_ms().items()]
        stages = list(self._stages(width - 12))
        for percentile, stage in zip_longest(percentiles, stages):
            yield [(f"{percentile or '':12}", ""), *(stage or [])]

    def _stages(self, width: int) -> Iterator[_Row]:
        latest_ns = self.tally.latest.stage_ns if self.tally.latest else {}
        for name, spent_ns in latest_ns.items():
            share = spent_ns / sum(latest_ns.values())
            bar = "▆" * round(share * (width - 17))
            yield [(f"{name:10}{spent_ns / 1e6:6.1f} ", ""), (bar, "cyan")]

    def _rejects(self, width: int) -> Iterator[_Row]:
        report, active = self.line.report(), self.line.rehearsal.reject_pin.active
        yield _figure("ordered", f"{report.ordered}", width)
        yield _figure("pending", f"{report.pending}", width)
        yield _figure("fired", f"{report.fired}", width)
        yield _figure("missed", f"{report.missed}", width, "bold red" if report.missed else "")
        yield _figure("pin", "REJECT" if active else "-", width, "bold red" if active else QUIET)

    def _defects(self, now_ns: int, orders: Sequence[_Ordered]) -> Iterator[_Row]:
        under_actuator_um = self.line.rehearsal.encoder.position_um(now_ns) - self._offset_um
        for order in orders[: -_DEFECTS_SHOWN - 1 : -1]:
            defect = order.defect
            looks = (
                f"{defect.label:>11.11}{defect.area_mm2:6.0f} mm²  score {defect.score:.2f}"
                if defect
                else f"{'UNKNOWN':>32}"
            )
            yield [
                (f"{order.stretch.start_um / 1e6:8.3f} m", "bold"),
                (f"{order.stretch.length_mm:6.0f} mm{looks}  ", ""),
                (order.state(under_actuator_um), order.style),
            ]


@dataclass(frozen=True)
class _Ordered:
    """A stretch ordered off the line, and what has become of it."""

    stretch: Stretch
    defect: Defect | None  # None: the whole of an UNKNOWN frame
    error_um: int | None  # of the pulse, once it is fired
    missed_um: int | None

    @property
    def style(self) -> str:
        if self.missed_um is not None:
            return "bold red"
        return "yellow" if self.error_um is None else "green"

    @property
    def glyph(self) -> str:
        if self.missed_um is not None:
            return "✗"
        return "█" if self.error_um is None else "▒"

    def state(self, place_um: int) -> str:
        """In words; `place_um` is the rail under the actuator."""
        if self.missed_um is not None:
            return f"✗ missed {self.missed_um / 1000:.1f} mm of it"
        if self.error_um is not None:
            return f"✓ rejected {self.error_um / 1000:+.1f} mm"
        away_um = self.stretch.start_um - place_um
        return f"→ in {away_um / 1000:.0f} mm" if away_um > 0 else "→ at the actuator"


def _latest_orders(line: Line, tally: Tally) -> list[_Ordered]:
    """Those of the latest frames that were not OK, in order along the rail."""
    outcomes = {(o.order.start_um, o.order.end_um): o for o in line.report().outcomes}
    orders = []
    for inspection in tuple(tally.rejected):  # copied, because the main loop goes on adding
        verdict = inspection.verdict
        for stretch in reject_stretches(verdict):
            defect = next((d for d in verdict.defects if d.stretch.overlaps(stretch)), None)
            outcome = outcomes.get((stretch.start_um, stretch.end_um))
            error_um = outcome.error_um if isinstance(outcome, Fired) else None
            missed_um = outcome.missed_um if isinstance(outcome, Missed) else None
            orders.append(_Ordered(stretch, defect, error_um, missed_um))
    return orders


def _figure(name: str, value: str, width: int, style: str = "") -> _Row:
    return [(f"{name}{value:>{width - len(name)}}", style)]


def _panel(title: str, rows: Iterable[_Row], *, width: int, height: int) -> Iterator[_Row]:
    """The rows in a box of `width` by `height + 2` cells, cropped or filled up."""
    head: _Row = [("╭─ ", QUIET), (title, ""), (" ", "")]
    yield [*_fitted(head, width - 1, ("─", QUIET)), ("╮", QUIET)]
    for row in islice(chain(rows, repeat([])), height):
        yield [("│ ", QUIET), *_fitted(row, width - 4, (" ", "")), (" │", QUIET)]
    yield [(f"╰{'─' * (width - 2)}╯", QUIET)]


def _fitted(row: _Row, width: int, fill: _Span) -> Iterator[_Span]:
    for text, style in row:
        cropped = set_cell_size(text, min(width, cell_len(text)))
        width -= cell_len(cropped)
        yield cropped, style
    yield fill[0] * width, fill[1]
