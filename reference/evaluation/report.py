"""An evaluation as files: JSON, a row for each image, Markdown, curves, and the worst cases."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge.files.image_file import write_image
from reference.data import Tile, outlined, sheet
from reference.evaluation.curve_plot import Line, plot
from reference.evaluation.evaluate import Case
from reference.evaluation.metrics import ImageScores, Scoring
from reference.evaluation.named import ClassTable, tabulate
from reference.evaluation.protocol import Protocol
from reference.evaluation.summary import (
    Curves,
    Figures,
    by_class,
    by_size,
    curves,
    size_of,
    summarise,
)

WORST = 12
# The columns of tables that people read; the JSON has every figure.
HEADINGS = {
    "images": "images",
    "s_measure": "S",
    "mae": "MAE",
    "weighted_f": "weighted F",
    "max_f": "max F",
    "mean_f": "mean F",
    "max_e": "max E",
    "mean_e": "mean E",
    "iou": "IoU",
    "pfom": "PFOM",
    "false_reject_rate": "false rejects",
    "escape_rate": "escapes",
}
# Of a paper's own columns, what is not among them.
_OF_PAPERS = {
    "adaptive_f": "adaptive F",
    "adaptive_e": "adaptive E",
    "overlap_ratio": "overlap ratio",
    "soft_iou": "soft IoU",
    "iou_of_defects": "IoU of defects",
    "f1_weighted": "weighted F1",
    "pa_recall": "PA (recall)",
    "pa_overall": "PA (overall)",
    "dice": "Dice",
    "iou_lsanet": "IoU by batches of 16",
    "max_f_dms": "max F of means",
    "classification_accuracy": "classes right",
}
# Of a network that calls images sound, where that puts its maps aside.
_OF_SOUND = {"missed_as_sound": "escapes so", "spared_as_sound": "false rejects spared"}
_CURVES = ("precision", "recall", "f", "e")


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What was evaluated, how, and every image's scores."""

    subject: str  # a folder, a checkpoint, or a bundle and its engine
    data: str
    protocol: Protocol
    scoring: Scoring
    scores: Sequence[ImageScores]
    taught: int = 0  # of the images, those that are not of the data set's test side
    classes: tuple[str, ...] = ()  # that the subject names

    @property
    def table(self) -> ClassTable | None:
        """Which class is said to be where, against the truth; None where nothing is named."""
        return tabulate(self.classes, (image.class_counts for image in self.scores))

    def record(self) -> dict[str, Any]:
        """Everything but the images' own scores."""
        return {
            "subject": self.subject,
            "data": self.data,
            "protocol": self.protocol.name,
            "not_of_the_test_side": self.taught,
            **asdict(self.scoring),
            **summarise(self.scores),
            "by_class": by_class(self.scores),
            "by_size": by_size(self.scores),
            **({} if self.table is None else self.table.record()),
        }

    def groups(self) -> dict[str, Figures]:
        """The rows of a table: all images, each class, each size."""
        classes, sizes = by_class(self.scores), by_size(self.scores)
        rows = {"all": summarise(self.scores)}
        return rows | classes | {f"{name} defects": row for name, row in sizes.items()}


def headings(protocol: Protocol, scoring: Scoring) -> dict[str, str]:
    """What a table shows: of a paper's protocol, the paper's own columns."""
    shown = HEADINGS
    if protocol.figures:
        known = HEADINGS | _OF_PAPERS
        shown = {name: known[name] for name in ("images", *protocol.figures)}
    return shown if scoring.sound_above is None else shown | _OF_SOUND


def shown(figure: float | int | None) -> str:
    """A figure as tables print it."""
    if figure is None:
        return ""
    return str(figure) if isinstance(figure, int) else f"{figure:.4f}".removeprefix("0")


def write_report(evaluation: Evaluation, cases: Sequence[Case], out: Path) -> None:
    """Write everything to a folder."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "summary.json").write_text(json.dumps(evaluation.record(), indent=2) + "\n")
    _write_images(evaluation.scores, out / "images.csv")
    mean = curves(evaluation.scores)
    if mean is not None:
        _write_curves(mean, out)
    write_image(out / "worst.png", _worst(evaluation, cases))
    (out / "report.md").write_text(_markdown(evaluation, has_curves=mean is not None))


def _write_images(scores: Sequence[ImageScores], path: Path) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(_row(scores[0])))
        writer.writeheader()
        writer.writerows(_row(image) for image in scores)


def _row(image: ImageScores) -> Mapping[str, Any]:
    """What one image says of itself; curves aside."""
    own = {
        name: value
        for name, value in vars(image).items()
        if name not in {"confusion", "class_counts"} and not isinstance(value, np.ndarray)
    }
    counts = image.confusion
    size = "" if image.is_free else size_of(image)
    return own | {"size": size, "iou": counts.iou} | asdict(counts)


def _write_curves(mean: Curves, out: Path) -> None:
    with (out / "curves.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["threshold", *_CURVES])
        columns = [getattr(mean, name) for name in _CURVES]
        rows = zip(*columns, strict=True)
        writer.writerows((f"{t / 255:.4f}", *row) for t, row in enumerate(rows))
    threshold = np.linspace(0, 1, 256)
    precision_recall = [Line("all", mean.recall, mean.precision)]
    by_threshold = [Line("F", threshold, mean.f), Line("E", threshold, mean.e)]
    (out / "precision-recall.svg").write_text(
        plot("Precision over recall", "recall", "precision", precision_recall)
    )
    (out / "f-measure.svg").write_text(
        plot("F and E over the threshold", "threshold", "F, E", by_threshold)
    )


def _worst(evaluation: Evaluation, cases: Sequence[Case]) -> np.ndarray:
    """The images with the lowest IoU: as they are with the truth round the defect, and the map."""
    order = sorted(
        range(len(cases)),
        key=lambda i: (evaluation.scores[i].confusion.iou, -evaluation.scores[i].mae),
    )
    tiles = []
    for i in order[:WORST]:
        answer, image = cases[i].answer(), evaluation.scores[i]
        grey = np.rint(answer.probability * 255).astype(np.uint8)
        seen = answer.mask * 255 if answer.image is None else outlined(answer.image, answer.mask)
        verdict = f"IoU {image.confusion.iou:.3f}  MAE {image.mae:.3f}"
        tiles += [Tile(seen, (image.name, image.class_name)), Tile(grey, (verdict, ""))]
    return sheet(tiles, columns=6)


def _classes(table: ClassTable) -> list[str]:
    """The pixels of each class by what they are said to be, in percent."""
    rows = {
        name: [*(f"{share:.1f}" for share in row), shown(table.ious.get(name))]
        for name, row in table.shares.items()
    }
    return [
        "| truth, said to be % | " + " | ".join(table.names) + " | IoU |",
        "| --- |" + " ---: |" * (len(table.names) + 1),
        *(f"| {name} | {' | '.join(row)} |" for name, row in rows.items()),
        "",
        f"Mean IoU of the classes that are there: {shown(table.miou)}.",
        "",
    ]


def _markdown(evaluation: Evaluation, *, has_curves: bool) -> str:
    scoring = evaluation.scoring
    columns, total = headings(evaluation.protocol, scoring), len(evaluation.scores)
    taught = (
        f" {evaluation.taught} of the {total} images are not of the data set's test side: they "
        "flatter whoever was trained or chosen by them."
    )
    groups = evaluation.groups()
    lines = [
        "# Evaluation",
        "",
        f"{evaluation.subject} on {evaluation.data}. Maps: {evaluation.protocol.says}"
        f"{'; all stretched' if scoring.stretch != evaluation.protocol.scoring.stretch else ''}. "
        f"A pixel above {scoring.threshold} is defect, a spot on {scoring.min_share:.3%} of an "
        f"image rejects it.{taught if evaluation.taught else ''}",
        "",
        "| | " + " | ".join(columns.values()) + " |",
        "| --- |" + " ---: |" * len(columns),
        *(
            f"| {name} | " + " | ".join(shown(row[key]) for key in columns) + " |"
            for name, row in groups.items()
        ),
        "",
        "| figure | of all images |",
        "| --- | ---: |",
        *(f"| {key} | {shown(figure)} |" for key, figure in groups["all"].items()),
        "",
    ]
    if evaluation.table is not None:
        lines += _classes(evaluation.table)
    if has_curves:
        lines += ["![Precision over recall](precision-recall.svg)", ""]
        lines += ["![F and E over the threshold](f-measure.svg)", ""]
    return "\n".join([*lines, "![The worst cases](worst.png)", ""])
