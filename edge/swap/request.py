"""The command's side of a change of bundle: it checks, asks, and waits for the line's answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from uuid import uuid4

from edge.bundle import Bundle, open_bundle
from edge.errors import TracksideError, UsageError
from edge.line_file import LineSettings
from edge.network import network_of, resolve_bundle
from edge.swap.evidence import Backtested
from edge.swap.folder import (
    DIFFERENCE,
    Acceptance,
    Decision,
    Kind,
    Progress,
    Request,
    Standing,
    SwapFolder,
    is_answered,
    swap_folder,
)

_POLL_S = 0.2  # between two looks at what the line answers


def activate(
    config: LineSettings,
    path: Path | str,
    *,
    allow_older: bool = False,
    accepted_by: str | None = None,
    accepted_elsewhere: str | None = None,
    backtested: Backtested | None = None,
) -> Request:
    """Ask the line to try a bundle, which has to be whole, signed and right before that.

    The line refuses one that is older than what it runs, unless that is asked for; and one that
    judges otherwise, unless somebody accepts that, who has been shown it: UsageError where nobody
    has, or where the line file requires a backtest and this is none for it. What was
    `accepted_elsewhere`, for many lines, need not have been shown by this one.
    ConfigurationError for a line that keeps no bundles to change between; BundleError and
    EngineUnavailable for a bundle that could not run here.
    """
    folder = swap_folder(config)
    bundle = open_bundle(resolve_bundle(path), config.bundle_key)
    accepted = None if accepted_by is None else _acceptance(folder, bundle, accepted_by)
    if accepted_elsewhere is not None:
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        accepted = Acceptance(by=accepted_elsewhere, against=in_force_now(config), shown_at=now)
    _check_backtest(config, bundle, backtested)
    sound = _sound(config, bundle)
    return _ask(
        folder,
        "activate",
        sound,
        allow_older=allow_older,
        accepted=accepted,
        backtested=backtested,
    )


def roll_back(config: LineSettings) -> Request:
    """Ask the line for the bundle that was before; one that does not run has it at once.

    UsageError where there was none before; else as `activate`.
    """
    folder = swap_folder(config)
    standing = folder.standing()
    if standing.before is None:
        raise UsageError(f"{folder.root}: no bundle was in force before this one: activate one")
    bundle = folder.open(standing.before, config.bundle_key)
    request = _ask(folder, "rollback", _sound(config, bundle))
    with folder.holding_line() as nobody_runs, folder.changing():
        if nobody_runs:
            at = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
            taken = Decision(request=request, refusal=None, at=at)
            turned = Standing(in_force=standing.before, before=standing.in_force, outcome=taken)
            folder.settle(turned)
    return request


def answers(
    config: LineSettings, request: Request, poll_s: float = _POLL_S
) -> Iterator[Progress | Decision]:
    """How far the line is, over and over, and at last what it decided; ends if no line runs.

    TracksideError where another bundle is asked for meanwhile.
    """
    folder = swap_folder(config)
    while True:
        with folder.holding_line() as nobody_runs:
            pass
        standing = folder.standing()
        if is_answered(request, standing):
            assert standing.outcome is not None
            yield standing.outcome
            return
        if nobody_runs:
            return
        if folder.request() != request:
            raise TracksideError("another bundle was asked for meanwhile: look what came of that")
        progress = folder.progress()
        if progress is not None and progress.request == request:
            yield progress
        time.sleep(poll_s)


def in_force_now(config: LineSettings) -> str:
    """Digest of what a line runs, or a start of it would."""
    in_force = swap_folder(config).standing().in_force
    return in_force or open_bundle(resolve_bundle(config.bundle), config.bundle_key).digest


def decision_of(config: LineSettings, asked: str) -> Decision | None:
    """What the line decided of the request of that number; None as long as it has not.

    TracksideError where another bundle was asked for meanwhile.
    """
    folder = swap_folder(config)
    outcome = folder.standing().outcome
    if outcome is not None and outcome.request.id == asked:
        return outcome
    request = folder.request()
    if request is None or request.id != asked:
        raise TracksideError("another bundle was asked for at the box")
    return None


def _acceptance(folder: SwapFolder, bundle: Bundle, by: str) -> Acceptance:
    """Of what the latest decision showed of this very bundle."""
    last = folder.standing().outcome
    page = folder.root / DIFFERENCE
    if last is None or last.request.digest != bundle.digest or last.differs_from is None:
        raise UsageError(
            f"{bundle.manifest.name} was not refused for judging otherwise, so there is nothing to "
            f"accept: activate it without --accept-difference, and look at {page}"
        )
    return Acceptance(by=by, against=last.differs_from, shown_at=last.at)


def _check_backtest(config: LineSettings, bundle: Bundle, given: Backtested | None) -> None:
    """The line asks again, of what is in force by then."""
    assert config.swap is not None
    if not config.swap.require_backtest:
        return
    if given is None:
        raise UsageError(
            f"{config.name} takes no bundle without a backtest: run `trackside backtest`, and give "
            "its backtest.json with --backtest"
        )
    if objection := given.objection(bundle.digest, in_force_now(config)):
        raise UsageError(objection)


def _sound(config: LineSettings, bundle: Bundle) -> Bundle:
    """The line checks it again; here even one that ends the process does no harm."""
    network_of(config.engine, bundle).engine.close()
    return bundle


def _ask(
    folder: SwapFolder,
    kind: Kind,
    bundle: Bundle,
    *,
    allow_older: bool = False,
    accepted: Acceptance | None = None,
    backtested: Backtested | None = None,
) -> Request:
    request = Request(
        id=uuid4().hex,
        kind=kind,
        digest=bundle.digest,
        name=bundle.manifest.name,
        allow_older=allow_older,
        accepted=accepted,
        backtested=backtested,
    )
    folder.ask(request, bundle)
    return request
