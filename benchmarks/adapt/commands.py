"""`trackside adapt`: from what people said of a line's events to a better bundle."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer


def adapt(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="LINE.yaml|STORE...",
            help="Line files whose stores were reviewed, or such stores, with --line.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="The bundle to write; all on the way lies in NEW.adapt beside it."
        ),
    ],
    line: Annotated[
        Path | None, typer.Option(help="The line file of stores that are given without one.")
    ] = None,
    camera: Annotated[
        str | None, typer.Option(help="Which camera took --pictures and --good.")
    ] = None,
    bundle: Annotated[
        str | None, typer.Option(metavar="OLD", help="What to adapt; else what the line runs.")
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="What OLD was made of; else looked for by its digest.")
    ] = None,
    pictures: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="More pictures with masks or boxes, in any layout."),
    ] = None,
    good: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Rail without a defect: pictures, or a recording."),
    ] = None,
    data_root: Annotated[
        Path | None,
        typer.Option(help="The folder of what OLD was taught by; what is simulated is rendered."),
    ] = None,
    targets: Annotated[
        str, typer.Option(help="Engines, with commas between.")
    ] = "openvino,onnxruntime,litert,native",
    iterations: Annotated[int, typer.Option(min=2, help="Steps of training, at most.")] = 800,
    guard: Annotated[
        int, typer.Option(min=20, help="Simulated defects of each part of the guard set.")
    ] = 1000,
    may_lose: Annotated[
        float, typer.Option(min=0, max=100, help="Points of a class's found share.")
    ] = 1.0,
    a90_may_grow: Annotated[
        float, typer.Option(min=0, metavar="MM", help="By so much, the size that is surely found.")
    ] = 0.0,
    may_let_by: Annotated[
        int,
        typer.Option(min=0, metavar="N", help="So many more of the held-out events with a defect."),
    ] = 0,
    may_call: Annotated[
        float, typer.Option(min=0, metavar="N", help="So many more false calls in a kilometre.")
    ] = 50.0,
    max_drop: Annotated[str, typer.Option(help="What INT8 may lose, as in `quantize`.")] = "S=0.02",
    device: Annotated[
        Literal["auto", "cpu", "cuda"], typer.Option(help="Where to train.")
    ] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="Of the CPU; all by default.")] = None,
    kernels: Annotated[
        bool, typer.Option("--kernels", help="On a CPU, train MINet by our own C++ kernels.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another run.")] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as one JSON object, last of all.")
    ] = False,
) -> None:
    """Learn from reviewed events, and write a bundle if it is better; exit 1 if it is not.

    The network goes on from its own weights with what people said, beside what it was taught by
    before. The newest runs are held out and never trained on: training stops when it gets no
    better on them, and they decide. The new bundle must judge fewer of them wrongly, let no more
    by, and be no worse on a guard set: by no class's found share, no a90/95, no false calls.
    NEW.adapt has the report, with a picture of each verdict that changed, and the checkpoint, also
    of a bundle that is refused. The same command goes on where it was interrupted.
    """
    from benchmarks.adapt.asked import Asked, Effort, Limits
    from benchmarks.adapt.display import say, show
    from benchmarks.adapt.run import adapt as adapted

    asked = Asked(
        sources=tuple(sources),
        out=out,
        line=line,
        camera=camera,
        bundle=bundle,
        checkpoint=checkpoint,
        pictures=tuple(pictures or ()),
        good=tuple(good or ()),
        data_root=data_root,
        effort=Effort(iterations, targets, guard, threads or 2, device, threads, kernels, seed),
        limits=Limits(may_lose, a90_may_grow, max_drop, may_let_by, may_call),
    )
    result = adapted(asked, say)
    show(result, asked, as_json=as_json)
    sys.exit(0 if result.better else 1)
