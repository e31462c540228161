"""`trackside bench`: how fast a bundle or a whole line is here, and how that compares."""

from __future__ import annotations

import json
import shlex
import signal
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

_OF_A_LINE = {"bundles", "mode", "seconds", "json_file", "markdown"}  # that `--mode line` takes


def bench(
    context: typer.Context,
    bundles: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="BUNDLE...",
            help="*.bundle files, `strip`, `rail`; for --mode line the line file.",
        ),
    ] = None,
    engine: Annotated[
        str,
        typer.Option(
            metavar="all|NAME,...",
            help="Engines, each with settings if need be: openvino:device=GPU.",
        ),
    ] = "all",
    threads: Annotated[str, typer.Option(metavar="N,...", help="Of each inference.")] = "1",
    size: Annotated[
        str | None, typer.Option(metavar="N,...", help="Input sizes other than the bundle's own.")
    ] = None,
    mode: Annotated[
        Literal["latency", "throughput", "paced", "line"],
        typer.Option(
            help="One frame after the other, as many as go at once, or as the line moves; `line` "
            "runs all cameras of a line file from memory, flat out and at the line's pace."
        ),
    ] = "latency",
    speed: Annotated[
        float, typer.Option(min=1, metavar="MM/S", help="Of the line, for --mode paced.")
    ] = 500,
    peers: Annotated[
        bool, typer.Option("--peers", help="Measure PyTorch, other engines and forms beside it.")
    ] = False,
    checkpoint: Annotated[
        Path | None, typer.Option(help="What the bundle was made of, for --peers.")
    ] = None,
    pin: Annotated[
        bool, typer.Option("--pin", help="Hold each engine to its own physical cores.")
    ] = False,
    runs: Annotated[int, typer.Option(min=3, help="Least runs of a row.")] = 200,
    seconds: Annotated[
        float, typer.Option(min=0.1, help="Least time of a row; of a line, at each pace.")
    ] = 10,
    frames: Annotated[
        int, typer.Option(min=1, help="Simulated frames that accuracy is measured on.")
    ] = 32,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the record; - is stdout.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with charts.")] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Write a section for benchmarks/RESULTS.md.")
    ] = None,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option(metavar="A.json B.json", help="Compare two records, and measure nothing."),
    ] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the record's JSON Schema, and measure nothing.")
    ] = False,
) -> None:
    """Measure bundles on this machine's engines: latency, accuracy, distance to the roofline."""
    from rich.console import Console

    from benchmarks.bench.compare import print_comparison
    from benchmarks.bench.plan import parse_engines, parse_numbers
    from benchmarks.bench.report.markdown import write_section
    from benchmarks.bench.report.page import write_record_page
    from benchmarks.bench.report.table import print_record, progress
    from benchmarks.bench.rounds import Effort
    from benchmarks.bench.run import Order, run
    from benchmarks.bench.schema import BenchRecord, read_record
    from edge.files import check_writable

    if schema:
        print(json.dumps(BenchRecord.model_json_schema(), indent=2))
        return
    if compare:
        before, after = compare
        print_comparison(read_record(before), read_record(after), Console(highlight=False))
        return
    to_stdout = str(json_file) == "-"
    check_writable(html, markdown, None if to_stdout else json_file)
    if mode == "line":
        _bench_line(context, bundles, seconds, json_file, markdown)
        return
    order = Order(
        bundles=_named(bundles),
        engines=parse_engines(engine),
        threads=parse_numbers("--threads", threads),
        sizes=parse_numbers("--size", size) if size else [None],
        effort=Effort(runs, seconds, frames, mode, speed, pin),
        peers=peers,
        checkpoint=checkpoint,
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends it as Ctrl-C does
    with progress() as show:
        record = run(order, shlex.join(["trackside", *sys.argv[1:]]), show)
    if json_file and not to_stdout:
        json_file.write_text(record.model_dump_json(indent=1))
    if html:
        write_record_page(record, html)
    if markdown:
        write_section(record, markdown)
    if to_stdout:
        print(record.model_dump_json())
    print_record(record, Console(stderr=to_stdout, highlight=False))
    sys.exit(0 if record.complete else 130)


def _bench_line(
    context: typer.Context,
    paths: list[str] | None,
    seconds: float,
    json_file: Path | None,
    markdown: Path | None,
) -> None:
    from rich.console import Console

    from benchmarks.bench.line.report import print_line, write_line_section
    from benchmarks.bench.line.run import measure_line
    from benchmarks.bench.report.table import progress
    from edge.errors import UsageError

    for name in context.params:
        source = context.get_parameter_source(name)
        is_given = source is not None and source.name == "COMMANDLINE"
        if is_given and name not in _OF_A_LINE:
            raise UsageError(
                f"--{name.replace('_', '-')} says nothing of a line: leave it out, and write in "
                "the line file what its engine is to be"
            )
    if not paths or len(paths) > 1:
        raise UsageError("name one line file, such as `trackside bench --mode line LINE.yaml`")
    with progress() as show:
        command = shlex.join(["trackside", *sys.argv[1:]])
        record = measure_line(Path(paths[0]), seconds, command, show)
    to_stdout = str(json_file) == "-"
    if json_file and not to_stdout:
        json_file.write_text(record.model_dump_json(indent=1))
    if markdown:
        write_line_section(record, markdown)
    if to_stdout:
        print(record.model_dump_json())
    print_line(record, Console(stderr=to_stdout, highlight=False))


def _named(bundles: list[str] | None) -> list[str]:
    from edge.errors import UsageError

    if not bundles:
        raise UsageError("name a bundle to measure, such as `trackside bench strip`")
    return list(dict.fromkeys(bundles))
