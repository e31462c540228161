"""`trackside tune`: a line's threshold and size limit by what they cost on marked pictures."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from edge.cli.commands import LineFile


def tune(
    line: LineFile,
    data: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Pictures with masks or boxes, in any layout of `train`."),
    ],
    escapes: Annotated[
        float | None,
        typer.Option(
            min=0.0001,
            max=0.9999,
            metavar="SHARE",
            help="Propose what rejects least falsely and lets no more than this escape: 0.05.",
        ),
    ] = None,
    per: Annotated[
        Literal["defect", "picture"],
        typer.Option(
            help="What escapes: each defect that is let by; or a picture with defects of which none"
            " is rejected, where one picture is one part."
        ),
    ] = "defect",
    recipe: Annotated[
        Path | None,
        typer.Option(
            metavar="RECIPE.yaml",
            help="Take the pictures that it holds out; by default of recipe.yaml beside LINE.yaml, "
            "where that is of this data.",
        ),
    ] = None,
    split: Annotated[
        Literal["train", "validation", "test", "all"] | None,
        typer.Option(help="Take this side of the data instead; all but train by default."),
    ] = None,
    keep_size: Annotated[
        bool, typer.Option("--keep-size", help="Leave the size limit: tune the threshold alone.")
    ] = False,
    camera: Annotated[
        str | None, typer.Option(help="Which of the line's cameras, where it has several.")
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Write what is proposed into LINE.yaml.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object only.")] = False,
) -> None:
    """Show what every threshold and size limit of a line would cost on marked pictures.

    Each picture is judged as the line would judge it: by its bundle on its engine, its tiles,
    region, rules and quality. An escape is a defect that nothing rejected touches; a false reject
    is a sound picture of which something is rejected. Intervals are exact (Clopper and Pearson),
    each end at 95%. The size limit is tuned too where the rules ask just one size.

    With --escapes, exit 1 if no setting lets so few escape on these pictures. Whether the pictures
    are enough to promise it is said besides.
    """
    from benchmarks.tune.display import show_study
    from benchmarks.tune.study import study, write_setting
    from edge.errors import UsageError

    if write and escapes is None:
        raise UsageError("--write writes what is proposed: say --escapes SHARE, such as 0.05")
    made = study(
        line,
        data,
        camera=camera,
        recipe=recipe,
        side=split,
        per=per,
        keep_size=keep_size,
        quiet=as_json,
    )
    proposal = None if escapes is None else made.propose(escapes)
    written = None
    if write and proposal is not None and proposal.reached:
        written = write_setting(made, proposal.cost.setting)
    if as_json:
        print(json.dumps(made.record(proposal) | {"written": written}))
    else:
        show_study(made, proposal, written)
    sys.exit(1 if proposal is not None and not proposal.reached else 0)
