"""The shipped bundles' limits, measured: `python -m benchmarks.shipped_limits strip --data DIR`.

By rules that reject all that counts it is qualified on its simulated line and on the pictures of
DIR that its recipe holds out, and what the certificates say is written into it. What counts stays,
and its networks do to the bit.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console

from benchmarks.qualify.asked import Asked, study_of
from benchmarks.qualify.display import show_certificate
from benchmarks.qualify.plan import Plan
from benchmarks.qualify.study import certify
from edge.bundle import open_bundle
from edge.certificate import Certificate, limits_by, with_limits
from edge.line_file import EXAMPLES
from edge.network import SHIPPED

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class _Shipped:
    """By what one of the bundles is qualified."""

    line: str  # among the examples
    recipe: str
    data: str  # a folder of DIR
    camera: dict[str, Any]  # what of the line's camera is otherwise for the pictures of it


BUNDLES = {
    "strip": _Shipped(
        "steel.yaml",
        "minet_strip.yaml",
        "SD-saliency-900",
        {"height_px": 200, "width_px": 200, "um_per_px": 440},  # a picture is as wide as a frame
    ),
    "rail": _Shipped("demo.yaml", "minet_rail.yaml", "RailDefect", {}),
}


def main(
    name: Annotated[str, typer.Argument(help="`strip` or `rail`.")],
    data: Annotated[Path, typer.Option(help="The folder of the data sets.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The bundle to write.")],
    defects: Annotated[int, typer.Option(help="How many to simulate.")] = 10_000,
) -> None:
    """Qualify a shipped bundle, and write what came of it into its limits."""
    shipped, console = BUNDLES[name], Console(stderr=True)
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        bundle = open_bundle(SHIPPED[name])
        bundle.save(folder / "shipped.bundle")
        certificates = [
            _certificate(_line(shipped, folder, {}), None, None, defects),
            _certificate(
                _line(shipped, folder, shipped.camera),
                (data / shipped.data).resolve(),
                _recipe(shipped, folder, data),
                defects,
            ),
        ]
        for each in certificates:
            show_certificate(each, [], None, to_stderr=True)
        written = with_limits(bundle, limits_by(certificates, bundle), out)
    console.print(json.dumps(written.manifest.limits.model_dump(mode="json"), indent=1))


def _line(shipped: _Shipped, folder: Path, camera: dict[str, Any]) -> Path:
    """The example's, with this bundle, and all that it finds is rejected."""
    document = yaml.safe_load((EXAMPLES / shipped.line).read_text("utf-8"))
    document["bundle"] = "shipped.bundle"
    document["rules"] = {"reject_if": {"min_area_mm2": 0}}
    document["cameras"]["top"] |= camera
    path = folder / shipped.line
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return path


def _recipe(shipped: _Shipped, folder: Path, data: Path) -> Path:
    """Beside the data, as it names them."""
    for each in data.iterdir():
        (folder / each.name).symlink_to(each.resolve())
    text = (ROOT / "reference" / "recipes" / shipped.recipe).read_text(encoding="utf-8")
    path = folder / shipped.recipe
    path.write_text(text, encoding="utf-8")
    return path


def _certificate(
    line: Path, labelled: Path | None, recipe: Path | None, defects: int
) -> Certificate:
    asked = Asked(line=line, labelled=labelled, recipe=recipe)
    return certify(study_of(asked, Plan(defects, smallest=0.1, passes=1, processes=2)))


if __name__ == "__main__":
    typer.run(main)
