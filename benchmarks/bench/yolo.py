"""YOLO's segmentation networks as peers: what somebody would train instead, for its speed alone.

`ultralytics` builds them; their weights are random, since no speed depends on them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from ultralytics.nn.tasks import SegmentationModel

_BEST = 10  # boxes whose masks are made into the map


class YoloMap(nn.Module):
    """From a picture to one map of logits, as a line wants it, without what YOLO does afterwards.

    The masks of its best boxes are summed by score. Overlapping boxes are not sorted out, which
    would cost it more.
    """

    def __init__(self, variant: str, classes: int) -> None:
        super().__init__()
        self._classes = classes
        torch.manual_seed(0)
        self.model = SegmentationModel(f"{variant}.yaml", ch=3, nc=classes, verbose=False)
        self.model.eval().fuse(verbose=False)
        self.model.model[-1].export = True
        self.eval().requires_grad_(False)

    def forward(self, image: Tensor) -> Tensor:
        boxes, prototypes = self.model(image)  # 1,4+classes+32,n and 1,32,h,w
        scores = boxes[:, 4 : 4 + self._classes].amax(1)
        best, places = scores.topk(_BEST)
        coefficients = boxes[0, 4 + self._classes :].index_select(1, places[0])
        weighted = (coefficients * best).sum(1)
        return torch.einsum("c,chw->hw", weighted, prototypes[0])[None, None]
