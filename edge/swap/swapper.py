"""Changes the bundle of a line that runs: a thread tries what is asked for, the loop takes it.

    with swapping(config, inspectors) as swapper:
        swapper.between_frames(inspection)   # by the main loop, after each frame; never waits

Each camera is given the new network between two of its own frames, when nothing else has it.

A request is answered once. One whose answer a kill or a full disk prevented is found again by the
next look, and tried again unless its bundle is in force by then. One that lines have ended over is
refused: it may be what ended them, and it would end each line that is started after them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from threading import Event, Thread

from edge.bundle import Manifest
from edge.errors import BundleError, ConfigurationError, TracksideError
from edge.inspect import Inspection, Inspector
from edge.line_file import LineSettings, SwapSettings
from edge.network import Network, network_of, rehearse
from edge.swap.difference import difference_page
from edge.swap.folder import (
    DIFFERENCE,
    Attempt,
    Comparison,
    Decision,
    Doing,
    Progress,
    Request,
    Standing,
    SwapFolder,
    is_answered,
    left_out,
)
from edge.swap.shadow import Shadow, Slot, judges_otherwise, too_slow
from edge.types import Frame

POLL_S = 0.2  # between two looks at what is asked for
_TELL_S = 0.5  # between two words on how far it is
_LOCK_ATTEMPTS = 20  # a command that looks whether the line runs holds its lock for a moment
_PATIENCE_S = 5  # for a network that is just being loaded when the line ends
_LINES = 2  # that may end over a request; one may have been killed for another reason

log = logging.getLogger("trackside")

Note = Callable[[str, str], None]  # enters a digest, and why it judges now, in the ledger


@dataclass(frozen=True, slots=True)
class SwapStatus:
    """What judges the line's frames at one moment, and what is to come or came last."""

    bundle: str  # name of the one in force
    digest: str
    trying: Progress | None
    last: Decision | None
    taken_over: int  # since the start of the run
    refused: int


class _JudgesOtherwise(TracksideError):
    """It was refused for its difference alone, which a person may accept."""


class _Abandoned(Exception):
    """The line ends, or something else is asked for: nobody waits for an answer."""


class Swapper:
    """Of one line. `between_frames` and the inspectors' networks belong to the main loop."""

    def __init__(
        self,
        config: LineSettings,
        settings: SwapSettings,
        inspectors: Mapping[str, Inspector],
        poll_s: float = POLL_S,
        note: Note = lambda digest, reason: None,
    ) -> None:
        self._config, self._settings, self._inspectors = config, settings, inspectors
        self._note = note
        self._poll_s = poll_s
        self._folder = SwapFolder(settings.folder)
        self._standing = self._folder.standing()
        self._last = self._standing.outcome
        self._trying: Progress | None = None
        self._attempt: Attempt | None = None  # the latest of this line
        self._taken_over = self._refused = 0
        self._slot: Slot | None = None  # what the shadow looks at, while there is one
        self._ready: Network | None = None
        self._taken, self._stop = Event(), Event()
        self._complaint: str | None = None
        self._thread = Thread(target=self._work, name="swap", daemon=True)

    def between_frames(self, inspection: Inspection) -> None:
        """Show the shadow a frame, and take a network that is ready."""
        slot, ready = self._slot, self._ready
        if slot is not None and isinstance(inspection.seen, Frame):
            slot.put(inspection.camera, inspection.seen)
        if ready is not None:
            self._inspectors[inspection.camera].network = ready
            if all(each.network is ready for each in self._inspectors.values()):
                self._ready = None
                self._taken.set()

    def status(self) -> SwapStatus:
        """At any time, for any thread."""
        bundle = self._network.bundle
        return SwapStatus(
            bundle=bundle.manifest.name,
            digest=bundle.digest,
            trying=self._trying,
            last=self._last,
            taken_over=self._taken_over,
            refused=self._refused,
        )

    @property
    def _network(self) -> Network:
        """In force; while it is changed, for the first camera."""
        return next(iter(self._inspectors.values())).network

    def __enter__(self) -> Swapper:
        self._thread.start()
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        """What has no answer is tried at the next start."""
        self._stop.set()
        self._thread.join(_PATIENCE_S)
        if self._thread.is_alive():
            log.warning("a bundle that takes too long to load is left behind")
        if error is None and self._attempt is not None:
            in_order = self._attempt.model_copy(update={"lines": self._attempt.lines - 1})
            with suppress(OSError):
                self._folder.begin(in_order)

    # --- the thread ---

    def _work(self) -> None:
        while not self._stop.wait(self._poll_s):
            try:
                self._look()
            except _Abandoned:
                continue
            except Exception as error:  # the line goes on with what it has, whatever this is
                self._complain(f"the bundle cannot be changed: {error}")
            else:
                self._complaint = None
            finally:
                self._slot = self._trying = None

    def _look(self) -> None:
        request = self._folder.request()
        if request is None or is_answered(request, self._standing):
            return
        if self._last is not None and self._last.request.id == request.id:
            self._settle(self._last)  # decided already, but the disk had refused to keep it
        elif request.digest == self._network.bundle.digest:
            self._answer(request, None, None)
        elif (ended := self._folder.lines_begun(request)) >= _LINES:
            self._answer(
                request,
                f"the line ended while trying it, {ended} times: see the log for why, and activate "
                "it again if it was not this bundle",
                None,
            )
        else:
            self._attempt = Attempt(request=request, lines=ended + 1)
            self._folder.begin(self._attempt)
            self._try(request)

    def _try(self, request: Request) -> None:
        log.info("%s: bundle %s, %s", request.kind, request.name, request.digest[:12])
        old, comparison = self._network, None
        try:
            self._tell(request, "loading")
            if request.kind == "rollback" and request.digest != self._standing.before:
                raise TracksideError("it is not what was in force before: activate it")
            self._check_backtest(request, old.bundle.digest)
            bundle = self._folder.open(request.digest, self._config.bundle_key)
            if request.digest != self._standing.before:  # which has run here already
                rehearse(self._config.engine, bundle, self._config.bundle_key)
            network = network_of(self._config.engine, bundle)
            with ExitStack() as unless_taken:
                unless_taken.callback(network.engine.close)
                # To roll back is to want the bundle that was before, which may well be older.
                if request.kind == "activate" and not request.allow_older:
                    _check_age(network.bundle.manifest, old.bundle.manifest)
                # raises where the network does not fit the line
                new = _with(self._inspectors, network)
                # Rolling back is not held to the verdicts of the very bundle that is to go.
                if request.kind == "activate":
                    shadow, comparison = self._compare(request, new)
                    self._judge(request, shadow, comparison)
                self._hand_over(request, network)
                unless_taken.pop_all()
        except _Abandoned:
            raise
        except Exception as error:
            otherwise = isinstance(error, _JudgesOtherwise)
            differs_from = old.bundle.digest if otherwise else None
            self._answer(request, str(error) or repr(error), comparison, differs_from)
        else:
            old.engine.close()
            self._note(request.digest, _by_whose_word(request, old.bundle.digest, comparison))
            self._answer(request, None, comparison)

    def _check_backtest(self, request: Request, in_force: str) -> None:
        """Where the line file requires one: whoever wrote the request may have left it out."""
        if not self._settings.require_backtest or request.kind != "activate":
            return
        if request.backtested is None:
            raise TracksideError("this line takes no bundle without a backtest: give --backtest")
        if objection := request.backtested.objection(request.digest, in_force):
            raise TracksideError(objection)

    def _judge(self, request: Request, shadow: Shadow, comparison: Comparison) -> None:
        """Refuse what is too slow, and what judges otherwise unless that very thing is accepted."""
        reasons, accepted = judges_otherwise(comparison, self._settings), request.accepted
        old, new = (next(iter(s.values())).network.bundle for s in (shadow.old, shadow.new))
        if reasons:
            self._folder.show_difference(
                difference_page(shadow.differences, old, new, reasons, comparison.frames)
            )
        if slow := too_slow(comparison, self._settings):
            raise TracksideError("; ".join([*reasons, *slow]))
        if not reasons:
            return
        if accepted is None:
            where = self._folder.root / DIFFERENCE
            raise _JudgesOtherwise(
                f"{'; '.join(reasons)}: look at {where}, and if the new one is right, activate it "
                "again with --accept-difference"
            )
        if accepted.against != old.digest:
            raise TracksideError(
                f"its difference from {accepted.against[:12]} was accepted, and {old.digest[:12]} "
                "is in force: activate it without --accept-difference, and look again"
            )

    def _compare(self, request: Request, new: Mapping[str, Inspector]) -> tuple[Shadow, Comparison]:
        again = network_of(self._config.engine, self._network.bundle)
        with closing(again.engine):
            shadow = Shadow(_with(new, again), new)
            return shadow, self._shadow(request, shadow)

    def _shadow(self, request: Request, shadow: Shadow) -> Comparison:
        slot = self._slot = Slot()
        told_s = 0.0
        while shadow.frames < self._settings.shadow_frames:
            if time.monotonic() - told_s >= _TELL_S:
                self._tell(request, "shadowing", shadow.frames)
                told_s = time.monotonic()
            taken = slot.take(self._poll_s)
            if self._stop.is_set():
                raise _Abandoned
            if taken is not None:
                shadow.look(*taken)
        self._slot = None
        return shadow.comparison()

    def _hand_over(self, request: Request, network: Network) -> None:
        """On disk first: a disk that refuses leaves the old one in force, here and after a kill."""
        self._tell(request, "handing over")
        old = self._network.bundle
        with self._folder.changing():
            self._go_on(request)
            if not self._folder.bundle_path(old.digest).exists():
                self._folder.keep(old)
            self._write(Standing(in_force=request.digest, before=old.digest, outcome=self._last))
        self._taken.clear()
        self._ready = network
        while not self._taken.wait(self._poll_s):
            if self._stop.is_set():
                raise _Abandoned

    def _answer(
        self,
        request: Request,
        refusal: str | None,
        comparison: Comparison | None,
        differs_from: str | None = None,
    ) -> None:
        at = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        self._last = Decision(
            request=request,
            refusal=refusal,
            at=at,
            comparison=comparison,
            differs_from=differs_from,
        )
        if refusal is None:
            self._taken_over += 1
            log.info("bundle %s, %s, is in force", request.name, request.digest[:12])
            if any(each.is_blind_to_the_unfamiliar for each in self._inspectors.values()):
                log.warning("max_unfamiliar holds nothing up until `trackside commission` is run")
        else:
            self._refused += 1
            log.warning("bundle %s, %s, is refused: %s", request.name, request.digest[:12], refusal)
        self._settle(self._last)

    def _settle(self, decision: Decision) -> None:
        with self._folder.changing():
            self._write(self._standing.model_copy(update={"outcome": decision}))

    def _write(self, standing: Standing) -> None:
        self._folder.settle(standing)
        self._standing = standing

    def _tell(self, request: Request, doing: Doing, frames: int = 0) -> None:
        self._go_on(request)
        wanted = self._settings.shadow_frames if request.kind == "activate" else 0
        progress = Progress(request=request, doing=doing, frames=frames, of=wanted)
        if progress == self._trying:  # nothing new, as while the rail stands
            return
        self._trying = progress
        with suppress(OSError):  # progress is only for people: a disk that refuses it does no harm
            self._folder.tell(progress)

    def _go_on(self, request: Request) -> None:
        if self._stop.is_set() or self._folder.request() != request:
            raise _Abandoned

    def _complain(self, complaint: str) -> None:
        """Once, until it is over."""
        if complaint != self._complaint:
            log.error("%s", complaint)
        self._complaint = complaint


def _with(inspectors: Mapping[str, Inspector], network: Network) -> dict[str, Inspector]:
    """The same for another network, with nothing in mind of what was seen."""
    return {name: replace(each, network=network) for name, each in inspectors.items()}


def _check_age(new: Manifest, in_force: Manifest) -> None:
    """Refuse one that is older, or does not say that it is not: it was signed once, as all were."""
    if in_force.version is None or (new.version or 0) >= in_force.version:
        return
    said = "says no version" if new.version is None else f"is version {new.version}"
    raise BundleError(
        f"{new.name} {said}, and {in_force.version} is in force: take a newer one, or ask for it "
        "with --allow-older"
    )


def _by_whose_word(request: Request, before: str, comparison: Comparison | None) -> str:
    """For the ledger: in place of what it judges, and who accepted that it judges otherwise."""
    said = f"{request.kind}: {request.name} in place of {before[:12]}"
    if request.backtested is not None:
        said += f"; {request.backtested.said()}"
    if request.accepted is None or comparison is None:
        return said
    return (
        f"{said}; {request.accepted.by} accepts its difference: the same verdict on "
        f"{comparison.agreement:.1%} of {comparison.frames} frames, NG for "
        f"{comparison.rejected_too} of {comparison.rejected}"
    )


@contextmanager
def swapping(
    config: LineSettings,
    inspectors: Mapping[str, Inspector],
    poll_s: float = POLL_S,
    note: Note = lambda digest, reason: None,
) -> Iterator[Swapper | None]:
    """Change a running line's bundle when that is asked for; None where its file has no `swap`.

    ConfigurationError where another line runs with its folder, TracksideError where that was
    changed during the start.
    """
    settings = config.swap
    if settings is None:
        yield None
        return
    folder = SwapFolder(settings.folder)
    with folder.holding_line(_LOCK_ATTEMPTS) as alone:
        if not alone:
            raise ConfigurationError(
                f"{folder.root}: another line runs with it: give each its own `swap.folder`"
            )
        in_force = folder.standing().in_force
        if in_force is not None:
            if any(each.network.bundle.digest != in_force for each in inspectors.values()):
                raise TracksideError(f"{folder.root} was changed during the start: start again")
            if (said := left_out(config)) is not None:
                log.warning("%s", said)
        with Swapper(config, settings, inspectors, poll_s, note) as swapper:
            yield swapper
