"""What the terminal shows of a quantization."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from quantize.pack import Packing
from quantize.parity import FIGURES, Parity, Settled

SHOWN = ("S", "MAE", "WF")  # the report has them all
LAYERS = 12  # of each engine


def show_packing(packing: Packing, console: Console) -> None:
    """Every engine, one a row, then the layers that lose most where they were measured."""
    table = Table("engine", title="Parity on the validation pairs and the simulated line")
    named = ("names right", "as FP32") if packing.wanted.names is not None else ()
    for heading in (*SHOWN, "IoU with FP32", "flips", *named, "kB", "ms"):
        table.add_column(heading, justify="right", no_wrap=heading in SHOWN)
    table.add_row(*_row(packing.wanted), "", f"{packing.wanted.infer_ms:.1f}")
    for one in packing.settled:
        size = sum(map(len, one.files.values())) / 1000
        table.add_row(*_row(one.parity), f"{size:.0f}", f"{one.parity.infer_ms:.1f}")
    console.print(table)
    for one in packing.settled:
        if one.kept:
            console.print(f"{one.name} keeps in FP32: {', '.join(one.kept)}")
        if one.noises:
            console.print(_layers(one))


def _row(parity: Parity) -> list[str]:
    figures = [parity.all[FIGURES[name]] for name in SHOWN]
    return [
        parity.engine.replace(" ", "\N{NO-BREAK SPACE}"),
        *("" if figure is None else f"{figure:.4f}" for figure in figures),
        f"{parity.mask_iou:.4f}",
        f"{len(parity.flips)}/{parity.asked}",
        *_names(parity),
    ]


def _names(parity: Parity) -> list[str]:
    names = parity.names
    if names is None:
        return []
    return [f"{names.right_share:.1%}", f"{names.same_share:.1%}"]


def _layers(one: Settled) -> Table:
    table = Table(title=f"{one.name}: the layers that lose most")
    table.add_column("layer")
    for heading in ("SNR, dB", "lost here, dB"):
        table.add_column(heading, justify="right")
    for noise in one.noises[:LAYERS]:
        table.add_row(noise.layer, f"{noise.snr_db:g}", f"{noise.lost_db:g}")
    return table
