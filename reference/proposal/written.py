"""What `new` writes: a recipe, a line file, the list of what is held out, and their pictures."""

from __future__ import annotations

import os
from pathlib import Path

from edge.errors import ConfigurationError, UsageError
from edge.files import write_whole
from edge.files.image_file import write_image
from edge.line_file import LineSettings, read_line
from edge.types import Image
from reference.proposal import pictures
from reference.proposal.plan import Plan
from reference.proposal.sides import Sides
from reference.proposal.survey import Survey
from reference.recipe import Recipe, read_recipe

RECIPE, LINE, LIST, FRAMES, GOLDEN = (
    "recipe.yaml",
    "line.yaml",
    "held_out.txt",
    "pictures",
    "golden.png",
)


def write_line(out: Path, found: Survey, sides: Sides, plan: Plan) -> tuple[Recipe, LineSettings]:
    """Write all of it into a folder that has none of it, and read it back as others will."""
    if there := [name for name in (RECIPE, LINE, LIST) if (out / name).exists()]:
        raise UsageError(f"{out / there[0]} is there: give another -o, or take it away")
    out.mkdir(parents=True, exist_ok=True)
    shown = pictures.frames(sides, plan)
    if not shown:
        raise ConfigurationError(
            f"{found.root}: no held-out picture is {plan.tiles} pixels high and wide: add larger "
            "ones, all of one size being best"
        )
    pictures.write_frames(out / FRAMES, shown)
    write_image(out / GOLDEN, pictures.golden(sides, plan))
    if sides.listed:
        write_whole(out / LIST, _list(found, sides).encode())
    write_whole(out / RECIPE, _recipe(out, found, sides, plan).encode())
    write_whole(out / LINE, _line(out, found, plan, shown).encode())
    return read_recipe(out / RECIPE), read_line(out / LINE)


def _list(found: Survey, sides: Sides) -> str:
    names = [one.sample.image.relative_to(found.root).as_posix() for one in sides.held_out]
    head = f"# Held out, by paths from {found.root}: {sides.how}."
    return "\n".join((head, *sorted(names), ""))


def _recipe(out: Path, found: Survey, sides: Sides, plan: Plan) -> str:
    names = ", ".join(plan.names)
    network = f", class_maps: {len(plan.names)}" if names else ""
    lines = [
        "# What is trained, and how. `trackside new` proposed it from the pictures; all keys but",
        "# `data` have defaults, and `trackside recipe schema` says what each is.",
        f"network: {{name: minet, align_corners: false{network}}}",
        *([f"names: [{names}]  # of the classes that are told apart"] if names else []),
        "start_from: strip  # weights that know strip steel: far better than none",
        "data:",
        *_sections(out, found, sides, plan),
        "# Pictures are shown to the network at this size, a multiple of 32 as a bundle wants; the",
        "# best is chosen by the overlap of what is found with what is marked, on those held out.",
        f"validation: {{size: {plan.size}, every: {max(100, plan.iterations // 12)}, "
        "best: iou_pooled}",
        f"mean: {plan.mean}  # grey of all pictures, from 0 to 1",
        f"std: {plan.std}",
        f"crop: {plan.crop}  # pixels a side of what a step shows of a picture",
        *_loss(found, plan),
        "learning_rate: 0.0015",
        "warmup: 50",
        f"iterations: {plan.iterations}",
        f"decay: {plan.iterations * 2 // 3}  # of them, the last, over which the rate falls",
        "ema: 0.995  # weights are averaged over some 200 iterations",
        *([f"least_defective: {plan.least}"] if plan.least != 10 else []),
        "seed: 1",
        "# What `quantize` tells the box: how much a pixel of the network shows, the smallest",
        "# defect that counts (half the smallest that was marked), and a picture that will be in",
        "# the bundle, for everybody who has it to see: give another if this must not be shown.",
        "line:",
        f"  um_per_px: {_plain(plan.um_per_px)}",
        f"  min_area_mm2: {_plain(plan.min_area_mm2)}",
        f"  min_extent_mm: {_plain(plan.min_extent_mm)}",
        f"  golden: {GOLDEN}",
        *([f"  follow: {found.follow}"] if found.follow else []),
        "",
    ]
    return "\n".join(lines)


def _sections(out: Path, found: Survey, sides: Sides, plan: Plan) -> list[str]:
    """One section, or one of each batch's defects and one of its sound pictures."""
    path = os.path.relpath(found.root.resolve(), out.resolve())
    base = [f"    path: {_quoted(path)}  # from this file's folder"]
    if sides.listed:
        base.append(f"    hold_out: {{list: {LIST}}}  # {sides.how}")
    if plan.marked_from is not None:
        base.append(f"    marked_from: {plan.marked_from}  # the grey value of a mask that marks")
    if plan.tiles is not None:
        base.append(f"    tiles: {plan.tiles}  # pictures are cut to squares of so many pixels")
    if found.has_boxes:
        base.append("    boxes: hold  # a box holds a defect; not all in it is one")
    base.append(f"    zoom: [{plan.zoom[0]:g}, {plan.zoom[1]:g}]")
    stretch = [] if plan.tiles else [f"      stretch: {plan.size}  # as the line does"]
    light = [
        "    augment: &light",
        *stretch,
        "      mirror: [horizontal, vertical]",
        "      gain: {range: [0.8, 1.2]}",
        "      offset: {range: [-0.1, 0.1]}",
        "      illumination: {chance: 0.3, range: [0.05, 0.2]}",
    ]
    first = f"  - layout: {found.layout}"
    if not plan.split_sound:
        return [first, *base, "    share: 8  # pictures in a batch", *light]
    classes = ", ".join(map(_quoted, found.classes))
    return [
        first,
        *base,
        f"    classes: [{classes}]",
        "    share: 5  # pictures in a batch, of those with a defect",
        *light,
        first,
        *base,
        "    classes: [free]",
        "    share: 3  # and of those without: what the network must learn besides is silence",
        "    augment: *light",
    ]


def _quoted(text: str) -> str:
    plain = text.replace("-", "").replace("_", "").replace("/", "").replace(".", "").isalnum()
    return text if plain and not text[0].isdigit() else "'" + text.replace("'", "''") + "'"


def _loss(found: Survey, plan: Plan) -> list[str]:
    named = ", names: 0.3" if plan.names else ""
    boxes = ", boxes: {outside: 2, hardest: 0.25, holds: 0.5}, held_share: 0.25"
    each = "each_map: {bce: 1, iou: 1}, first_map: {ssim_half: 1}"
    return [f"loss: {{{each}{boxes if found.has_boxes else ''}{named}}}"]


def _line(out: Path, found: Survey, plan: Plan, shown: list[Image]) -> str:
    """A line that runs at once: four pictures a second go by, and are rejected four later."""
    if plan.tiles is None:
        along_um, across_um = plan.along_um, plan.across_um
    else:
        along_um = across_um = plan.um_per_px * plan.size / plan.tiles
    rows, columns = shown[0].shape[:2]
    frame_mm = rows * along_um / 1000
    lines = [
        "# A line that runs at once: held-out pictures as its camera, laid end to end, under a",
        "# simulated encoder, with outputs that exist in memory. `trackside config examples` shows",
        "# what real ones look like, and `trackside config schema` every key.",
        f"name: {_quoted(out.resolve().name)}",
        "bundle: my.bundle  # as `trackside quantize` writes it",
        "",
        "cameras:",
        "  top:  # its name; a line may have several",
        "    # For a camera: type v4l2, rtsp, picamera2 or genicam.",
        "    type: folder",
        f"    path: {FRAMES}  # {columns}x{rows} each",
        f"    along_um: {_plain(along_um)}  # that a row shows; a ruler in a picture tells",
        f"    across_um: {_plain(across_um)}",
        *(
            [
                "    tiles:  # frames are cut to the network's size, at the scale it learned",
                "      overlap_px: 64",
            ]
            if plan.tiles
            else []
        ),
        *(["    region:", f"      follow: {found.follow}"] if found.follow else []),
        *(_quality(pictures.quality(shown))),
        "",
        "encoder:",
        "  type: simulated  # gpiod, modbus or serial where there is one",
        f"  speed_mm_s: {_nice(4 * frame_mm)}",
        "",
        "reject:",
        "  output:",
        "    type: memory  # gpiod, gpiozero, jetson, modbus or serial where something is wired",
        f"  offset_mm: {_nice(4 * frame_mm)}  # from the last row of a frame to the actuator",
        "  delay_ms: 20  # from the edge of the pulse until it acts",
        f"  margin_mm: {_nice(0.1 * frame_mm)}",
        "  min_pulse_ms: 20",
        f"  tolerance_mm: {_nice(0.2 * frame_mm)}",
        "",
        "heartbeat:",
        "  output:",
        "    type: memory",
        "  timeout_ms: 1000",
        "",
        "rules:",
        "  # `trackside tune` weighs these against labelled pictures, and writes them.",
        "  reject_if:",
        "    any:",
        f"      - min_area_mm2: {_plain(plan.min_area_mm2)}",
        "",
    ]
    return "\n".join(lines)


def _quality(limits: dict[str, float]) -> list[str]:
    if not limits:
        return []
    head = ["    quality:  # outside these a frame is UNKNOWN; these pictures are within them"]
    return head + [f"      {key}: {value:g}" for key, value in limits.items()]


def _nice(value_mm: float) -> str:
    """Three digits."""
    return _plain(float(f"{value_mm:.3g}"))


def _plain(value: float) -> str:
    """Without an exponent, which YAML would take for text."""
    return f"{max(value, 1e-6):.6f}".rstrip("0").rstrip(".")
