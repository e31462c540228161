"""The commands that lead from a checkpoint to the box: `export` and `quantize`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from quantize.steps import steps

Checkpoint = Annotated[Path, typer.Argument(metavar="CKPT", help="A checkpoint of `train`.")]


def export(
    checkpoint: Checkpoint,
    out: Annotated[Path, typer.Option("--out", "-o", help="The ONNX file to write.")],
    height: Annotated[
        int | None, typer.Option(help="Rows; the recipe's size if not given.")
    ] = None,
    width: Annotated[int | None, typer.Option(help="Columns; as the rows if not given.")] = None,
    dynamic: Annotated[bool, typer.Option(help="Take every multiple of 32, not one size.")] = False,
) -> None:
    """Write a checkpoint's deploy form as an FP32 ONNX graph, checked against the network."""
    with steps() as step:
        with step("Read the checkpoint"):
            from quantize.deploy import read_trained
            from quantize.describe import input_spec

            trained = read_trained(checkpoint)
        with step("Export and compare"):
            from quantize.deploy import to_onnx

            spec = input_spec(trained, um_per_px=1)
            rows = height or spec.height
            sides = {"height": rows, "width": width or height or spec.width}
            graph = to_onnx(trained.network, channels=spec.channels, dynamic=dynamic, **sides)
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(graph.SerializeToString())


def quantize(
    checkpoint: Checkpoint,
    out: Annotated[Path, typer.Option("--out", "-o", help="The bundle to write.")],
    data_root: Annotated[
        Path | None,
        typer.Option(help="The folder that the recipe's data lies in; else where it was trained."),
    ] = None,
    calibration: Annotated[
        Path | None, typer.Option(help="A folder of images, not the recipe's training images.")
    ] = None,
    validation: Annotated[
        Path | None, typer.Option(help="A data set, not the recipe's held-out images.")
    ] = None,
    targets: Annotated[
        str, typer.Option(help="Engines, with commas between.")
    ] = "openvino,onnxruntime,litert,native",
    max_drop: Annotated[
        str, typer.Option(help="What INT8 may lose: of S, MAE, WF, PFOM, IoU, names, and in flips.")
    ] = "S=0.02",
    keep: Annotated[
        list[str] | None, typer.Option(help="A layer, or a module of them, to keep in FP32.")
    ] = None,
    auto: Annotated[
        bool, typer.Option("--auto", help="Keep the worst layers until --max-drop holds.")
    ] = False,
    layers: Annotated[
        bool, typer.Option("--layers", help="Measure every layer's signal over its error.")
    ] = False,
    accuracy_aware: Annotated[
        bool, typer.Option(help="Let NNCF give OpenVINO's layers back to FP32 for S-measure.")
    ] = False,
    vnni: Annotated[
        bool, typer.Option(help="8-bit weights: every box has VNNI, or is no x86.")
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(help="Write the report here too, with times and every picture."),
    ] = None,
    images: Annotated[int, typer.Option(min=1, help="How many to calibrate on.")] = 200,
    seed: Annotated[int, typer.Option(help="Another seed, another choice of images.")] = 0,
    frames: Annotated[
        int | None,
        typer.Option(min=0, help="Simulated frames to compare on; 540, or none of your own data."),
    ] = None,
    golden: Annotated[
        Path | None,
        typer.Option(
            help="A picture for the golden pair, which every bundle shows; else the recipe's, or a "
            "simulated one."
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(min=32, help="Pixels a side that the network sees; the recipe's if left out."),
    ] = None,
    also: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WIDTHxHEIGHT",
            help="Another size to hold the network at, for ONNX Runtime and LiteRT; `native` and "
            "`openvino` take any. May be given again.",
        ),
    ] = None,
    um_per_px: Annotated[
        float | None,
        typer.Option(help="Surface that a network pixel shows; else the recipe's, or 250."),
    ] = None,
    follow: Annotated[
        Literal["rail"] | None,
        typer.Option(help="Pictures are looked at along a rail in them; else as the recipe says."),
    ] = None,
    threshold: Annotated[float, typer.Option(help="Probability above which it is defect.")] = 0.5,
    clip: Annotated[
        float,
        typer.Option(min=0, max=0.4, help="A probability this near to 0 or 1 becomes it."),
    ] = 0.0,
    min_area_mm2: Annotated[
        float | None,
        typer.Option(help="Smallest defect it is good for; else the recipe's, or 4."),
    ] = None,
    min_extent_mm: Annotated[
        float | None,
        typer.Option(help="Shortest defect it is good for; else the recipe's, or 2."),
    ] = None,
) -> None:
    """Make a bundle of a checkpoint: INT8 for every engine, measured against the FP32 network."""
    with steps() as step:
        with step("Start the converters"):
            from edge.bundle import Limits
            from quantize.deploy import read_trained
            from quantize.describe import Purpose, input_spec
            from quantize.display import show_packing
            from quantize.inputs import read_inputs, told
            from quantize.other_sizes import parse_size
            from quantize.pack import ROUNDS, Wishes, build
            from quantize.parity import ParityError, parse_limits
            from quantize.targets import choose, fitting, parse_targets

            trained = read_trained(checkpoint)
            given = told(
                checkpoint,
                trained.recipe,
                data_root=data_root,
                golden=golden,
                frames=frames,
                um_per_px=um_per_px,
                min_area_mm2=min_area_mm2,
                min_extent_mm=min_extent_mm,
            )
            wishes = Wishes(
                targets=parse_targets(targets),
                max_drop=parse_limits(max_drop),
                keep=tuple(keep or ()),
                rounds=ROUNDS if auto else 0,
                layers=layers,
                full_range=vnni,
                accuracy_aware=accuracy_aware,
                frames=given.frames,
                golden=given.golden,
                also=[parse_size(each) for each in also or ()],
            )
        with step("Read the checkpoint and the images"):
            trained = trained if size is None else trained.at(size)
            candidates, pairs = read_inputs(
                trained.recipe, given.data_root, calibration, validation
            )
        spec = input_spec(trained, given.line.um_per_px)
        fit = fitting(candidates, spec) if calibration is None else candidates
        unfit = len(candidates) - len(fit)
        said = f" ({unfit} of other proportions, tiny or of one grey take no part)" if unfit else ""
        with step(f"Choose the calibration images{said}"):
            chosen = choose(fit, spec, count=images, seed=seed)
        line = given.line
        limits = Limits(min_area_mm2=line.min_area_mm2, min_extent_mm=line.min_extent_mm)
        purpose = Purpose(out.stem, line.um_per_px, threshold, limits, follow or line.follow, clip)
        packing = build(trained, chosen, pairs, purpose, wishes, out=out, step=step)
        if report is not None:
            report.write_bytes(packing.page)
    show_packing(packing, Console())
    if packing.failures:
        raise ParityError(f"no bundle: {'; '.join(packing.failures)}")
