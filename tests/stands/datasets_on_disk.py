"""Every published data set in miniature, laid out as distributed, with simulated pictures in it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.io import savemat

from edge.simulation import SimulatedLine
from edge.simulation.dataset import write_dataset
from stands.places import ROOT

SIDE = 64
Picture = tuple[NDArray[np.uint8], NDArray[np.uint8]]  # an image, and its mask of 0 and 255


def picture(number: int, *, defect: bool = True) -> Picture:
    """A stretch of simulated strip with a square defect that only its number decides."""
    line = SimulatedLine(number, width_px=SIDE, defects_per_metre=0, distractors_per_metre=0)
    image, _ = line.render(0, SIDE)
    mask = np.zeros((SIDE, SIDE), np.uint8)
    if defect:
        top, left = 4 + number * 7 % 30, 4 + number * 11 % 30
        mask[top : top + 16, left : left + 16] = 255
    return np.where(mask > 0, image // 3, image).astype(np.uint8), mask


def write(path: Path, pixels: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)


def sd900(root: Path) -> None:
    for number, name in enumerate(("In_1", "In_61", "Pa_241", "Sc_259", "Sc_2")):
        image, mask = picture(number)
        write(root / "Source Images" / f"{name}.bmp", image)
        write(root / "Ground truth" / f"{name}.png", mask)


def neu_seg(root: Path) -> None:
    for number, (side, name) in enumerate(
        (("training", "000201"), ("training", "000202"), ("test", "000201"))
    ):
        image, mask = picture(number)
        write(root / "images" / side / f"{name}.jpg", cv2.cvtColor(image, cv2.COLOR_GRAY2BGR))
        labels = np.where(mask > 0, number + 1, 0).astype(np.uint8)
        labels[:2, :2] = 2  # a few pixels of another class
        write(root / "annotations" / side / f"{name}.png", labels)


def neu_det(root: Path) -> None:
    (root / "ANNOTATIONS").mkdir(parents=True)
    for number, name in enumerate(("crazing_1", "rolled-in_scale_300")):
        write(root / "IMAGES" / f"{name}.jpg", picture(number)[0])
        box = "<xmin>5</xmin><ymin>9</ymin><xmax>20</xmax><ymax>40</ymax>"
        item = f"<object><name>{name.rpartition('_')[0]}</name><bndbox>{box}</bndbox></object>"
        size = f"<size><width>{SIDE}</width><height>{SIDE}</height><depth>1</depth></size>"
        document = f"<annotation>{size}{item}</annotation>"
        (root / "ANNOTATIONS" / f"{name}.xml").write_text(document)


def nrsd(root: Path) -> None:
    for number, (side, name) in enumerate(
        (("training", "s0000505b_0_0"), ("validation", "s0000600b_1_0"))
    ):
        image, mask = picture(number)
        write(root / "images" / side / f"{name}.png", image)
        write(root / "annotations" / side / f"{name}.jpg", mask)
    for number, kind in enumerate(("real", "single")):
        image, mask = picture(number + 2)
        write(root / "test" / kind / "images" / f"{kind}_1.png", image)
        write(root / "test" / kind / "annotations" / f"{kind}_1.jpg", mask)


def rsdds(root: Path) -> None:
    for number, kind in enumerate(("Type-I", "Type-II")):
        for index in (1, 5):
            image, mask = picture(number + 2 * index)
            folder = root / f"{kind} RSDDs dataset"
            write(folder / "Rail surface images" / f"rail_{index}.jpg", image)
            write(folder / "GroundTruth" / f"rail_{index}.jpg", mask)


def magnetic_tile(root: Path) -> None:
    names = {
        "Blowhole": ("exp1_num_853", "exp3_num_110000", "exp6_num_108812"),
        "Free": ("exp1_num_824", "exp2_num_260000"),
    }
    for number, (kind, name) in enumerate((k, n) for k, ns in names.items() for n in ns):
        image, mask = picture(number, defect=kind != "Free")
        write(root / f"MT_{kind}" / "Imgs" / f"{name}.jpg", image)
        write(root / f"MT_{kind}" / "Imgs" / f"{name}.png", mask // 255 * 200)


def kolektor(root: Path) -> None:
    for number, (item, part) in enumerate((("kos01", 0), ("kos01", 1), ("kos05", 0))):
        image, mask = picture(number, defect=part == 0)
        write(root / item / f"Part{part}.jpg", image)
        write(root / item / f"Part{part}_label.bmp", mask // 255 * 40)


def crackforest(root: Path) -> None:
    (root / "groundTruth").mkdir(parents=True)
    for number in (1, 5, 201):
        image, mask = picture(number)
        write(root / "image" / f"{number:03}.jpg", cv2.cvtColor(image, cv2.COLOR_GRAY2BGR))
        if number < 200:
            truth = np.where(mask > 0, 2, 1).astype(np.uint8)
            truth[0] = 3  # another region, which is no crack
            fields = {"Segmentation": truth, "Boundaries": np.zeros_like(truth)}
            savemat(root / "groundTruth" / f"{number:03}.mat", {"groundTruth": fields})


def orssd(root: Path) -> None:
    for number, side in enumerate(("train", "test")):
        image, mask = picture(number)
        write(root / f"{side}-images" / "0001.jpg", cv2.cvtColor(image, cv2.COLOR_GRAY2BGR))
        write(root / f"{side}-labels" / "0001.png", mask)


def simulated(root: Path) -> None:
    template = SimulatedLine(3, width_px=SIDE, defects_per_metre=20)
    list(write_dataset(root, template, frames=6, lines=2, height_px=SIDE))


def rail_defect(root: Path) -> None:
    """Two runs of track, the head a bright band that is not in the middle."""
    (root / "annotations").mkdir(parents=True)
    names = ["1028010100005.jpg", "1501200200007.jpg"]
    for number, name in enumerate(names):
        track = np.full((SIDE, 512), 3, np.uint8)
        head = SimulatedLine(number, width_px=280, defects_per_metre=0, distractors_per_metre=0)
        track[:, 180:460] = head.render(0, SIDE)[0] // (1 + 2 * number)
        track[: SIDE // 2 * number] //= 2  # two pictures of one look would be one twice
        track[20:40, 300:330] = 20
        write(root / "images" / name, track)
    document = {
        "images": [
            {"id": n, "file_name": name, "height": SIDE, "width": 512}
            for n, name in enumerate(names)
        ],
        "categories": [{"id": 3, "name": "d_dent"}, {"id": 4, "name": "gap"}],
        "annotations": [
            {"image_id": 0, "category_id": 3, "segmentation": [], "bbox": [298.0, 18.0, 34, 24]},
            {"image_id": 0, "category_id": 4, "segmentation": [], "bbox": [100.0, 10.0, 400, 40]},
            {"image_id": 1, "category_id": 3, "segmentation": [], "bbox": [298.0, 18.0, 34, 24]},
        ],
    }
    (root / "annotations" / "boxes.json").write_text(json.dumps(document))


def coco(root: Path) -> None:
    square = [[8, 8, 24, 8, 24, 24, 8, 24]]
    runs = {"size": [SIDE, SIDE], "counts": [SIDE * 30, SIDE * 4, SIDE * 30]}  # four columns
    (root / "annotations").mkdir(parents=True)
    for number, side in enumerate(("train", "val")):
        names = [f"{side}_{n}.jpg" for n in range(4)]
        for offset, name in enumerate(names):
            write(root / side / name, picture(4 * number + offset)[0])
        shared = {"category_id": 7, "bbox": [10, 20, 8, 6]}
        document = {
            "images": [
                {"id": n, "file_name": name, "height": SIDE, "width": SIDE}
                for n, name in enumerate(names)
            ],
            "categories": [{"id": 7, "name": "dent"}, {"id": 9, "name": "scratch"}],
            "annotations": [
                {"image_id": 0, "segmentation": square, **shared},
                {"image_id": 1, "segmentation": runs, **shared, "category_id": 9},
                {"image_id": 2, **shared},
            ],
        }
        (root / "annotations" / f"instances_{side}.json").write_text(json.dumps(document))


def by_class(root: Path) -> None:
    for number, name in enumerate(("train/good/000", "test/good/000", "test/dent/000")):
        image, mask = picture(number, defect=name == "test/dent/000")
        write(root / f"{name}.png", image)
    write(root / "ground_truth" / "dent" / "000_mask.png", mask)
    image, mask = picture(7)  # so that the side to train on shows a defect too
    write(root / "train" / "dent" / "001.png", image)
    write(root / "ground_truth" / "dent" / "001_mask.png", mask)


LABELLED = ("square", "brushed", "boxed", "sound")  # what both tools' exports show, in this order


def _brush(mask: NDArray[np.uint8]) -> list[int]:
    """A mask as Label Studio packs it: each value of four planes given, a byte at a time."""
    values = np.repeat(mask.ravel(), 4)
    bits = f"{len(values):032b}{7:05b}" + f"{7:04b}" * 4  # lengths of 8 bits, so 256 at a time
    for start in range(0, len(values), 256):
        run = values[start : start + 256]
        same = bool((run == run[0]).all())
        bits += f"{int(same)}00{len(run) - 1:08b}"
        bits += "".join(f"{value:08b}" for value in (run[:1] if same else run))
    bits += "0" * (-len(bits) % 8)
    return [int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)]


def label_studio(root: Path) -> None:
    def result(kind: str, **value: object) -> dict[str, object]:
        size = {"original_width": SIDE, "original_height": SIDE}
        return {"type": kind, "value": {**value, kind: ["dent"]}, **size}

    brushed = np.zeros((SIDE, SIDE), np.uint8)
    brushed[8:24, 30:40] = 255
    corners = [[12.5, 12.5], [37.5, 12.5], [37.5, 37.5], [12.5, 37.5]]
    box = {"x": 12.5, "y": 25, "width": 25, "height": 12.5, "rotation": 0}
    results = {
        "square": [result("polygonlabels", points=corners)],
        "brushed": [result("brushlabels", format="rle", rle=_brush(brushed))],
        "boxed": [result("rectanglelabels", **box)],
        "sound": [],
    }
    tasks = []
    for number, name in enumerate(LABELLED):
        write(root / "pictures" / f"{name}.png", picture(number)[0])
        data = {"image": f"/data/upload/1/0123abcd-{name}.png"}
        annotation = {"was_cancelled": False, "result": results[name]}
        tasks.append({"id": number, "data": data, "annotations": [annotation]})
    (root / "project-1.json").write_text(json.dumps(tasks))


def cvat(root: Path) -> None:
    shapes = {
        "square": '<polygon label="dent" points="8,8;24,8;24,24;8,24"/>',
        "brushed": '<mask label="dent" rle="0,160" left="30" top="8" width="10" height="16"/>',
        "boxed": '<box label="dent" xtl="8" ytl="16" xbr="24" ybr="24"/>',
        "sound": "",
    }
    items = []
    for number, name in enumerate(LABELLED):
        write(root / "images" / f"{name}.png", picture(number)[0])
        size = f'width="{SIDE}" height="{SIDE}"'
        items.append(f'<image id="{number}" name="{name}.png" {size}>{shapes[name]}</image>')
    (root / "annotations.xml").write_text(f"<annotations>{''.join(items)}</annotations>")


def plain(root: Path) -> None:
    for number, side in enumerate(("train", "train", "val", "test")):
        image, mask = picture(number)
        write(root / side / "images" / f"{number}.png", image)
        write(root / side / "masks" / f"{number}.bmp", mask)
    write(root / "train" / "good" / "sound.jpg", picture(9, defect=False)[0])


WRITERS: dict[str, Callable[[Path], None]] = {
    "sd900": sd900,
    "neu_seg": neu_seg,
    "neu_det": neu_det,
    "nrsd": nrsd,
    "rsdds": rsdds,
    "magnetic_tile": magnetic_tile,
    "kolektor": kolektor,
    "crackforest": crackforest,
    "orssd": orssd,
    "simulated": simulated,
    "rail_defect": rail_defect,
    "coco": coco,
    "by_class": by_class,
    "label_studio": label_studio,
    "cvat": cvat,
    "plain": plain,
}


def real_data(name: str) -> Path:
    """A real data set, in $TRACKSIDE_DATA or in shared/data beside the checkout."""
    beside = ROOT.parent / "shared" / "data"
    root = Path(os.environ.get("TRACKSIDE_DATA", beside)) / name
    if not root.is_dir():
        pytest.skip(f"{root} is not here: name the folder that holds {name} in TRACKSIDE_DATA")
    return root
