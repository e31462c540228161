"""`trackside qualify`: how small a defect a line finds, how surely, and a certificate of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

MeasureName = Literal["extent_mm", "length_mm", "width_mm", "area_mm2", "contrast"]


def qualify(
    line: Annotated[
        Path | None,
        typer.Argument(
            metavar="[LINE.yaml]",
            help="The line file that judges; alone, on the simulated rail of its synthetic camera.",
        ),
    ] = None,
    hits: Annotated[
        Path | None, typer.Option(metavar="FILE.csv", help="A table of size and hit instead.")
    ] = None,
    labelled: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Images with masks or boxes, for LINE.yaml.")
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(metavar="RECIPE.yaml", help="Of --labelled, those that it holds out alone."),
    ] = None,
    recorded: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="What `trackside record` wrote; with --known."),
    ] = None,
    known: Annotated[
        Path | None, typer.Option(metavar="FILE.csv", help="The defects that are truly there.")
    ] = None,
    reviewed: Annotated[
        bool,
        typer.Option("--reviewed", help="The events of LINE.yaml's store that people reviewed."),
    ] = False,
    camera: Annotated[
        str | None, typer.Option(help="Which of LINE.yaml's cameras, where it has several.")
    ] = None,
    measure: Annotated[
        MeasureName | None,
        typer.Option(
            help="The measure that is certified, extent_mm if left out; all are reported."
        ),
    ] = None,
    defects: Annotated[int, typer.Option(min=10, help="How many to simulate.")] = 1000,
    smallest: Annotated[
        float, typer.Option(min=0.02, max=1, help="Simulated sizes go down to this share of usual.")
    ] = 0.1,
    passes: Annotated[
        int, typer.Option(min=1, max=20, help="Times the same rail is looked at, each lit anew.")
    ] = 1,
    processes: Annotated[int, typer.Option(min=1, help="That inspect side by side.")] = 2,
    decision: Annotated[
        float | None, typer.Option(help="Of the table's column `signal`: found is what is above.")
    ] = None,
    wish: Annotated[
        float | None, typer.Option(metavar="SIZE", help="Say how many specimens this a90/95 takes.")
    ] = None,
    max_a90: Annotated[
        float | None, typer.Option(metavar="MM", help="Exit 1 unless a90/95 is at most this.")
    ] = None,
    max_false_calls: Annotated[
        str | None,
        typer.Option(metavar="N/km", help="Exit 1 unless false calls are fewer, at 95%."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write NAME.certificate.json.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="The private key that signs it, by `bundle keygen`.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write it as a page.")] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write it without a signature; - is stdout.")
    ] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the certificate's JSON Schema, and do no more.")
    ] = False,
) -> None:
    """Say how small a defect is found, at 95% confidence, and how often sound rail is rejected."""
    from benchmarks.qualify.asked import Asked, study_of
    from benchmarks.qualify.display import show_certificate
    from benchmarks.qualify.gate import Gate, failures, false_calls_per_km
    from benchmarks.qualify.page import write_certificate_page
    from benchmarks.qualify.plan import Plan
    from benchmarks.qualify.study import certify
    from edge.certificate import SUFFIX, Certificate, write_certificate
    from edge.errors import UsageError
    from edge.files import check_writable

    if schema:
        print(json.dumps(Certificate.model_json_schema(), indent=2))
        return
    to_stdout = str(json_file) == "-"
    if key is not None and out is None:
        raise UsageError("--key signs what --out writes: name that too")
    if out is not None and not out.name.endswith(SUFFIX):
        raise UsageError(f"name {out} to end in {SUFFIX}, by which `bundle show` knows it")
    check_writable(out, html, None if to_stdout else json_file)
    gate = Gate(max_a90, false_calls_per_km(max_false_calls) if max_false_calls else None)
    if hits is not None and gate.max_false_calls_per_km is not None:
        raise UsageError("a table tells nothing of false calls: leave --max-false-calls out")
    asked = Asked(
        line=line,
        hits=hits,
        labelled=labelled,
        recipe=recipe,
        recorded=recorded,
        reviewed=reviewed,
        known=known,
        measure=measure,
        decision=decision,
        camera=camera,
    )
    study = study_of(asked, Plan(defects, smallest, passes, processes))
    certificate = certify(study, wished=wish)
    public = write_certificate(certificate, out, key) if out else None
    if html:
        write_certificate_page(certificate, html, public)
    if to_stdout:
        print(certificate.model_dump_json())
    elif json_file:
        write_certificate(certificate, json_file, None)
    failed = list(failures(certificate, gate))
    show_certificate(certificate, failed, public, to_stderr=to_stdout)
    sys.exit(1 if failed else 0)
