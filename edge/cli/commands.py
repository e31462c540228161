"""The commands of the box. Each imports what it needs when it is called."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

EngineName = Literal["auto", "native", "openvino", "onnxruntime", "litert"]

LineFile = Annotated[Path, typer.Argument(metavar="LINE.yaml", help="The line file.")]


def demo(
    seconds: Annotated[float, typer.Option(min=1, help="How long the rail runs.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object only.")] = False,
    report: Annotated[Path, typer.Option(help="Where the report goes.")] = Path("demo-report.html"),
    line: Annotated[Path | None, typer.Option(help="A line file with a synthetic camera.")] = None,
    camera: Annotated[
        str | None, typer.Option(help="Which of the line's cameras, where it has several.")
    ] = None,
) -> None:
    """Inspect a simulated rail and reject its defects; exit 0 only if none got away."""
    from edge.cli.dashboard import LiveDisplay
    from edge.cli.terminal import show_summary
    from edge.demo import DEMO_LINE, run_demo, write_report
    from edge.line_file import read_line

    config = read_line(line or DEMO_LINE).alone(camera)
    if as_json:
        result = run_demo(config, seconds)
        print(json.dumps(result.summary()))
    else:
        with LiveDisplay() as display:
            result = run_demo(config, seconds, watch=display.watch)
        show_summary(result, report)
    write_report(result, report)
    sys.exit(0 if result.passed else 1)


def run(
    line: LineFile,
    frames: Annotated[int | None, typer.Option(min=1, help="Stop after so many frames.")] = None,
    log_json: Annotated[bool, typer.Option("--log-json", help="Log JSON, one a line.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log each frame not OK.")] = False,
) -> None:
    """Inspect a line until the camera ends or the process is told to stop."""
    from edge.cli.logs import log_to_stderr
    from edge.line_file import read_line
    from edge.run import run_line

    log_to_stderr(as_json=log_json, verbose=verbose)
    config = read_line(line)
    if config.fleet is None:
        run_line(config, frames=frames)
        return
    from edge.commissioning import check_line
    from edge.run.fleet_line import run_in_fleet

    run_in_fleet(line, config, check_line, frames=frames)


def check(line: LineFile) -> None:
    """Open everything a line file names, and say whether its deadlines can be met."""
    from edge.cli.terminal import show_checks
    from edge.commissioning import check_line
    from edge.line_file import read_line

    checks = check_line(read_line(line))
    show_checks(checks)
    sys.exit(0 if all(c.passed for c in checks) else 78)


def doctor(
    line: Annotated[Path | None, typer.Argument(metavar="[LINE.yaml]", help="A line file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object only.")] = False,
) -> None:
    """Say what is wrong with this box, and what to do; exit 1 if anything is."""
    from dataclasses import asdict

    from edge.box import Box
    from edge.cli.terminal import show_checks
    from edge.commissioning import examine
    from edge.line_file import read_line

    checks = []
    for check in examine(read_line(line) if line else None, Box()):
        checks.append(check)
        if not as_json:
            show_checks([check], width=10)
    passed = all(check.passed for check in checks)
    if as_json:
        print(json.dumps({"passed": passed, "checks": [asdict(check) for check in checks]}))
    sys.exit(0 if passed else 1)


def commission(
    line: LineFile,
    frames: Annotated[int, typer.Option(min=200, help="How many frames to look at.")] = 2000,
    to: Annotated[
        Path | None,
        typer.Option(
            help="The baseline of a line with one camera; the line file's, or LINE.baseline.json."
        ),
    ] = None,
) -> None:
    """Run a line in good order, and record what it looks like: drift is told by it later."""
    from edge.commissioning.commission import commission
    from edge.errors import UsageError
    from edge.inspect import write_baseline
    from edge.line_file import read_line

    config = read_line(line)
    if to is not None and len(config.cameras) > 1:
        raise UsageError("this line has several cameras: give each its `baseline:`, and leave --to")
    for name, baseline in commission(config, frames).items():
        own = ".baseline.json" if len(config.cameras) == 1 else f".{name}.baseline.json"
        path = to or config.cameras[name].baseline or line.with_suffix(own)
        write_baseline(baseline, path)
        print(f"{path}: {baseline.frames} frames")


def reject_trial(
    line: LineFile,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nobody what is seen.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object only.")] = False,
    to: Annotated[
        Path | None, typer.Option(help="The record; LINE.reject-tests.jsonl if left out.")
    ] = None,
) -> None:
    """Try heartbeat, actuators, stop line, encoder and inputs in turn, and record the result."""
    from edge.cli.terminal import show_checks
    from edge.commissioning import operator_for, record, summary, try_rejects
    from edge.line_file import read_line

    config = read_line(line)
    checks = []
    for check in try_rejects(config, operator_for(config, yes=yes)):
        checks.append(check)
        if not as_json:
            show_checks([check], width=16)
    result = summary(config, checks)
    record(to or line.with_suffix(".reject-tests.jsonl"), result)
    if as_json:
        print(json.dumps(result))
    sys.exit(0 if result["passed"] else 1)


config = typer.Typer(help="The line file's format.", no_args_is_help=True)


@config.command("schema")
def config_schema() -> None:
    """Print the JSON Schema of a line file."""
    from edge.line_file import line_schema

    print(json.dumps(line_schema(), indent=2))


@config.command("examples")
def config_examples() -> None:
    """Print where the commented example line files lie."""
    from edge.line_file import EXAMPLES

    for path in sorted(EXAMPLES.glob("*.yaml")):
        print(path)


@config.command("messages")
def config_messages() -> None:
    """Print the JSON Schema of what each MQTT topic carries."""
    from edge.telemetry import message_schemas

    print(json.dumps(message_schemas(), indent=2))


@config.command("unit")
def config_unit(
    overview: Annotated[
        bool, typer.Option("--overview", help="That of the page for all lines instead.")
    ] = False,
) -> None:
    """Print a systemd unit that runs lines with this installation of the command."""
    own = "overview/trackside-overview.service" if overview else "run/trackside@.service"
    unit = Path(__file__).parents[1] / own
    command = Path(sys.executable).with_name("trackside")
    print(unit.read_text(encoding="utf-8").replace("/opt/trackside/bin/trackside", str(command)))


def simulate(
    out: Annotated[Path, typer.Option(help="Folder for images/, masks/ and frames.jsonl.")],
    frames: Annotated[int, typer.Option(min=1, help="How many frames.")],
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another rail.")] = 0,
    lines: Annotated[int, typer.Option(min=1, help="Spread the frames over surfaces.")] = 1,
    size: Annotated[int, typer.Option(min=32, help="Width and height of a frame.")] = 352,
    track: Annotated[
        bool, typer.Option("--track", help="Track in service, as RailDefect shows it.")
    ] = False,
    defects_per_metre: Annotated[float, typer.Option(min=0)] = 7,
    distractors_per_metre: Annotated[float, typer.Option(min=0)] = 7,
    paint_per_metre: Annotated[
        float, typer.Option(min=0, help="Bright marks of paint, which are no defects.")
    ] = 0,
    grease_per_metre: Annotated[
        float, typer.Option(min=0, help="Films of grease on track, which are no defects.")
    ] = 0,
) -> None:
    """Write simulated images and exact masks for training."""
    from edge.errors import UsageError

    if grease_per_metre and not track:
        raise UsageError(
            "--grease-per-metre is for --track: steel has grease among its distractors"
        )
    from rich.progress import track as shown

    from edge.simulation import SimulatedLine
    from edge.simulation.dataset import write_dataset

    template = SimulatedLine(
        seed,
        surface="track" if track else "rail",
        width_px=size,
        defects_per_metre=defects_per_metre,
        distractors_per_metre=distractors_per_metre,
        paint_per_metre=paint_per_metre,
        grease_per_metre=grease_per_metre,
    )
    written = write_dataset(out, template, frames=frames, lines=lines, height_px=size)
    for _ in shown(written, "Rendering", total=frames):
        pass


def predict(
    bundle: Annotated[str, typer.Argument(help="A *.bundle, `strip` or `rail`.")],
    paths: Annotated[list[Path], typer.Argument(help="Images, or folders of images.")],
    out: Annotated[Path, typer.Option(help="Folder for maps, overlays and results.jsonl.")],
    engine: Annotated[EngineName, typer.Option(help="What runs it.")] = "auto",
    um_per_px: Annotated[
        float | None,
        typer.Option(
            min=0.01, help="Micrometres a pixel of theirs shows; the bundle's own if left out."
        ),
    ] = None,
    line: Annotated[
        Path | None, typer.Option(help="A line file: its scale, region, tiles, rules and quality.")
    ] = None,
    camera: Annotated[
        str | None, typer.Option(help="Which of the line's cameras, where it has several.")
    ] = None,
    fail_on_ng: Annotated[bool, typer.Option(help="Exit 1 if any image is NG.")] = False,
) -> None:
    """Inspect image files: a saliency map, an overlay and a verdict for each.

    One that is larger than the network is inspected in tiles at its own scale; a bundle of rail
    follows the head. All lie in the grid of the file as it is stored: a note to turn the picture is
    not followed.
    """
    from edge.assembly import pictures_of
    from edge.cli.terminal import show_predictions
    from edge.errors import UsageError
    from edge.inspect import by_bundle, collect_images, predict
    from edge.line_file import read_line
    from edge.network import engine_by_name, load_network

    if line is not None and um_per_px is not None:
        raise UsageError("--line says the scale of its camera: leave --um-per-px out")
    lookout = None if line is None else read_line(line).lookout(camera)
    images = collect_images(paths)
    network = load_network(engine_by_name(engine), bundle)
    inspector = by_bundle(network, um_per_px) if lookout is None else pictures_of(lookout, network)
    predictions = predict(images, inspector, out)
    states = show_predictions(predictions, total=len(images), out=out)
    network.engine.close()
    failed = states.failed or (fail_on_ng and states.ng)
    sys.exit(1 if failed else 0)
