"""CSEPNet (Measurement 199, 2022): calibration across levels, interweaving of two scales."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reference.networks.backbones import Backbone, resnet50, vgg16_bn
from reference.networks.layers import (
    CBAM,
    ConvBNReLU,
    NamedMaps,
    SpatialAttention,
    check_size,
    choose,
    name_head,
    resize,
)

WIDTHS = (32, 64, 64, 64, 64)  # of the reduced levels, finest first

_conv = partial(nn.Conv2d, kernel_size=3, padding=1)
# The paper says mean and maximum; the code attends to the maximum alone, which it was measured by.
ATTENTIONS = {"max": False, "both": True}


class ContrastEnhancement(nn.Module):
    """CE: what differs from its neighbourhood is made stronger."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weigh = nn.Sequential(nn.Conv2d(channels, channels, 1), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        contrast = x - F.avg_pool2d(x, 3, stride=1, padding=1)
        return x * torch.sigmoid(self.weigh(contrast)) + x


class Calibration(nn.Module):
    """What CSCM and CSWM share: two maps calibrate each other, are weighed by both, and fused.

    `mean` has each attend by its mean too, as Eq. 1 and 2 do, not by its maximum alone; `cross` is
    calibration by the other map, not by the own one; `recalibrate` is the weighing; `complement`
    gives the second map what the weights leave over.
    """

    def __init__(
        self,
        channels: int,
        *,
        mean: bool,
        cross: bool = True,
        recalibrate: bool = True,
        complement: bool = False,
    ) -> None:
        super().__init__()
        self.cross = cross
        self.complement = complement
        self.attend_first, self.attend_second = (
            SpatialAttention(mean=mean, bias=False) for _ in range(2)
        )
        self.weigh: nn.Module | None = None
        if recalibrate:
            joined = ConvBNReLU(2 * channels, channels)
            self.weigh = nn.Sequential(joined, _conv(channels, channels))
        # The paper's equations end at the sum; the text and the code fuse it.
        self.fuse = ConvBNReLU(channels, channels)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        of_first, of_second = self.attend_first(first), self.attend_second(second)
        if self.cross:
            of_first, of_second = of_second, of_first
        calibrated = first * of_first + first, second * of_second + second
        if self.weigh is None:
            fused: Tensor = self.fuse(calibrated[0] + calibrated[1])
            return fused
        weights = torch.sigmoid(self.weigh(torch.cat(calibrated, dim=1)))
        fused = self.fuse(first * weights + second * (1 - weights if self.complement else weights))
        return fused


class Lift(nn.Module):
    """A coarse map at a fine one's size and width."""

    def __init__(self, coarse: int, fine: int) -> None:
        super().__init__()
        self.conv = ConvBNReLU(coarse, fine)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        lifted: Tensor = self.conv(resize(coarse, fine.shape[-2:], align_corners=False))
        return lifted


class CSCM(nn.Module):
    """Cross-scale calibration of a level and the decoded coarser one."""

    def __init__(
        self, channels: int, *, mean: bool, cross: bool = True, recalibrate: bool = True
    ) -> None:
        super().__init__()
        self.lift = Lift(channels, channels)
        self.calibrate = Calibration(channels, mean=mean, cross=cross, recalibrate=recalibrate)

    def forward(self, level: Tensor, coarser: Tensor) -> Tensor:
        calibrated: Tensor = self.calibrate(level, self.lift(coarser, level))
        return calibrated


class Addition(nn.Module):
    """The baseline's: the coarser map at the level's size, added."""

    def forward(self, level: Tensor, coarser: Tensor) -> Tensor:
        return level + resize(coarser, level.shape[-2:], align_corners=False)


class CSWM(nn.Module):
    """Cross-scale weighting of the two scales inside a level."""

    def __init__(self, coarse: int, fine: int, *, mean: bool, complement: bool = True) -> None:
        super().__init__()
        self.lift = Lift(coarse, fine)
        self.calibrate = Calibration(fine, mean=mean, complement=complement)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        weighted: Tensor = self.calibrate(self.lift(coarse, fine), fine)
        return weighted


class LiftedAddition(Lift):
    """In the place of CSWM: the coarse map at the fine one's size and width, added."""

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        return super().forward(coarse, fine) + fine


class CSFIM(nn.Module):
    """Cross-scale interweaving: a level at its own scale and at half, each taking in the other."""

    def __init__(
        self,
        channels: int,
        merge: Callable[[int, int], nn.Module],
        *,
        top: Callable[[int], nn.Module] = ContrastEnhancement,
        bottom: Callable[[int], nn.Module] = ContrastEnhancement,
    ) -> None:
        super().__init__()
        fine, coarse = channels, channels // 2
        self.pool = nn.AvgPool2d(2, ceil_mode=True)  # at a multiple of 32 one pixel may be left
        self.fine_in = _enhanced(fine, fine, top)
        self.coarse_in = _enhanced(fine, coarse, top)
        self.coarse_to_fine = _conv(coarse, fine)
        self.fine_to_coarse = _conv(fine, coarse)
        self.fine_out = _enhanced(fine, fine, bottom)
        self.coarse_out = _enhanced(coarse, coarse, bottom)
        self.merge = merge(coarse, fine)
        self.out = _conv(fine, fine)

    def forward(self, x: Tensor) -> Tensor:
        fine = self.fine_in(x)  # N,C,H,W
        coarse = self.coarse_in(self.pool(x))  # N,C/2,H/2,W/2
        raised = resize(coarse, fine.shape[-2:], align_corners=False)
        woven_fine = self.fine_out(fine + self.coarse_to_fine(raised))
        woven_coarse = self.coarse_out(coarse + self.fine_to_coarse(self.pool(fine)))
        out: Tensor = self.out(self.merge(woven_coarse, woven_fine) + x)
        return out


def _enhanced(
    in_channels: int, out_channels: int, enhancement: Callable[[int], nn.Module]
) -> nn.Sequential:
    return nn.Sequential(
        ConvBNReLU(in_channels, out_channels, bias=True),
        enhancement(out_channels),
        _conv(out_channels, out_channels),
    )


BACKBONES: dict[str, Callable[[], Backbone]] = {"vgg16_bn": vgg16_bn, "resnet50": resnet50}


def _cscms(*, mean: bool) -> dict[str | None, Callable[[int], nn.Module]]:
    full = partial(CSCM, mean=mean)
    return {
        "full": full,
        "without_cs": partial(full, cross=False),
        "without_recalibration": partial(full, recalibrate=False),
        None: lambda channels: Addition(),
    }


def _csfims(*, mean: bool) -> dict[str | None, Callable[[int], nn.Module]]:
    cswm = partial(CSWM, mean=mean)
    full = partial(CSFIM, merge=cswm)
    return {
        "full": full,
        "without_cswm": partial(CSFIM, merge=LiftedAddition),
        "without_top_ce": partial(full, top=nn.Identity),
        "without_bottom_ce": partial(full, bottom=nn.Identity),
        "with_cscm": partial(CSFIM, merge=partial(cswm, complement=False)),
        None: nn.Identity,
    }


class SideHead(nn.Sequential):
    """A logit map at twice the level's size."""

    def __init__(self, channels: int) -> None:
        super().__init__(
            *(ConvBNReLU(channels, channels) for _ in range(3)),
            nn.Dropout(0.5),
            nn.ConvTranspose2d(channels, channels, 2, stride=2, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            _conv(channels, 1),
        )


class CSEPNet(nn.Module):
    """Five levels, reduced, each calibrated by the coarser one and interwoven with itself.

    `attention` is what its CBAM, CSCM and CSWM look at: `max`, as the code does, or `both`, mean
    and maximum, as the paper writes.
    `cbam=False`, `cscm=None` and `csfim=None` leave the paper's modules out; all three together are
    its baseline.
    """

    def __init__(
        self,
        *,
        backbone: str = "vgg16_bn",
        cbam: bool = True,
        attention: str = "max",
        cscm: str | None = "full",
        csfim: str | None = "full",
        class_maps: int = 0,
    ) -> None:
        super().__init__()
        self.backbone = choose("backbone", backbone, BACKBONES)()
        mean = choose("attention", attention, ATTENTIONS)
        calibrate = choose("cscm", cscm, _cscms(mean=mean))
        interweave = choose("csfim", csfim, _csfims(mean=mean))
        self.reductions = nn.ModuleList()
        for before, width in zip(self.backbone.widths, WIDTHS, strict=True):
            attended = [CBAM(before, mean=mean, bias=False)] if cbam else []
            self.reductions.append(nn.Sequential(*attended, _conv(before, width)))
        self.calibrations = nn.ModuleList(calibrate(width) for width in WIDTHS[:-1])
        self.interweavings = nn.ModuleList(interweave(width) for width in WIDTHS)
        finer = (WIDTHS[0], *WIDTHS[:-1])  # decoder i ends on the width of the next finer level
        self.decoders = nn.ModuleList(map(ConvBNReLU, WIDTHS, finer))
        # The finest map has its own head; the others are side outputs.
        self.head = nn.Sequential(nn.Conv2d(WIDTHS[0], 1, 1), _conv(1, 1))
        self.side_heads = nn.ModuleList(SideHead(width) for width in WIDTHS[1:])
        self.name = name_head(WIDTHS[0], class_maps)

    def forward(self, x: Tensor) -> list[Tensor] | NamedMaps:
        """Five logit maps at the input's size, finest first; the first is the result."""
        check_size(x)
        maps = self.backbone(x)
        levels = [reduction(m) for reduction, m in zip(self.reductions, maps, strict=True)]
        woven: list[Tensor] = []  # coarsest first, as is `decoded`
        decoded: list[Tensor] = []
        for i in reversed(range(len(levels))):
            level = self.calibrations[i](levels[i], decoded[-1]) if decoded else levels[i]
            # The authors' code does this twice, for the head and for the decoder.
            woven.append(self.interweavings[i](level))
            decoded.append(self.decoders[i](woven[-1]))
        heads = zip(self.side_heads, woven[-2::-1], strict=True)
        logits = [self.head(decoded[-1]), *(head(w) for head, w in heads)]
        answers = [resize(z, x.shape[-2:], align_corners=True) for z in logits]
        return NamedMaps(answers, [self.name(decoded[-1])]) if self.name else answers
