"""Each network against a small reading of its paper, written from its equations alone.

The readings know the networks by the names of their weights and share no code with them; what a
backbone of torchvision's answers is taken as given.
"""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reference.networks import build, logit_maps

Weights = dict[str, Tensor]


def awake(name: str, **arguments: object) -> nn.Module:
    """A network whose normalisations have seen something, and have no first value left."""
    torch.manual_seed(3)
    network = build(name, **arguments).train()
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, std=0.3)
    for part, weight in network.named_parameters():
        if part.endswith("gamma"):  # of NaDiNet's attention, learned from nothing
            weight.data.fill_(0.1)
    network(torch.randn(2, 3, 128, 128))
    return network.eval()


class Reading:
    """The layers that the papers are written in."""

    def __init__(self, network: nn.Module) -> None:
        self.w: Weights = network.state_dict()

    def conv(self, name: str, x: Tensor, *, stride: int = 1, dilation: int = 1) -> Tensor:
        weight = self.w[f"{name}.weight"]
        padding = [dilation * (side // 2) for side in weight.shape[2:]]
        groups = x.shape[1] // weight.shape[1]
        bias = self.w.get(f"{name}.bias")
        return F.conv2d(x, weight, bias, stride, padding, dilation, groups)

    def bn(self, name: str, x: Tensor) -> Tensor:
        w = self.w
        mean, var = w[f"{name}.running_mean"], w[f"{name}.running_var"]
        return F.batch_norm(x, mean, var, w[f"{name}.weight"], w[f"{name}.bias"])

    def cb(self, name: str, x: Tensor, **how: int) -> Tensor:
        return self.bn(f"{name}.1", self.conv(f"{name}.0", x, **how))

    def cbr(self, name: str, x: Tensor, **how: int) -> Tensor:
        return torch.relu(self.cb(name, x, **how))

    def cbp(self, name: str, x: Tensor, **how: int) -> Tensor:
        return F.prelu(self.cb(name, x, **how), self.w[f"{name}.2.weight"])


def up(x: Tensor, size: int | torch.Size, align: bool = True) -> Tensor:
    size = torch.Size((size, size)) if isinstance(size, int) else size
    return F.interpolate(x, size=size, mode="bilinear", align_corners=align)


def assert_alike(found: list[Tensor], read: list[Tensor]) -> None:
    assert len(found) == len(read)
    for one, other in zip(found, read, strict=True):
        assert one.std() > 1e-3, "a flat map would agree with anything"
        torch.testing.assert_close(one, other, rtol=2e-4, atol=2e-5)


@torch.inference_mode()
def test_minet_enlarges_probabilities_as_its_equation_8_does() -> None:
    network = awake("minet", enlarge="probabilities")
    for head in network.heads:
        nn.init.normal_(head[1].weight, std=1)  # sure of much, as when it is trained
    r, image = Reading(network), torch.randn(1, 3, 80, 80)

    def ds(name: str, x: Tensor, **how: int) -> Tensor:
        return r.cbr(f"{name}.1", r.cbr(f"{name}.0", x, **how))

    def mi(name: str, x: Tensor) -> Tensor:
        scales = [r.cbr(f"{name}.branches.{n}", x, dilation=2**n) for n in range(4)]
        interleaved = torch.stack(scales, dim=2).flatten(1, 2)  # each channel's four side by side
        mixed = torch.relu(r.bn(f"{name}.mix.1", r.conv(f"{name}.mix.0", interleaved)))
        return torch.relu(r.cbr(f"{name}.pointwise", mixed) + x)

    levels = [r.cbr("stages.0", image, stride=2)]
    for stage, modules in enumerate((3, 4, 6, 3), start=1):
        x = ds(f"stages.{stage}.0", levels[-1], stride=2)
        for number in range(1, modules + 1):
            x = mi(f"stages.{stage}.{number}", x)
        levels.append(x)
    decoded, maps = torch.zeros(1), []
    for i in (4, 3, 2, 1, 0):
        joined = levels[i] if i == 4 else levels[i] + up(decoded, levels[i].shape[2:])
        decoded = ds(f"decoders.{i}.1", ds(f"decoders.{i}.0", joined, dilation=2))
        maps.insert(0, up(torch.sigmoid(r.conv(f"heads.{i}.1", decoded)), 80))
    assert_alike([torch.sigmoid(m) for m in logit_maps(network(image))], maps)
    other = build("minet").eval()
    other.load_state_dict(network.state_dict())
    apart = [torch.sigmoid(a) - b for a, b in zip(logit_maps(other(image)), maps, strict=True)]
    assert max(difference.abs().max() for difference in apart) > 0.1


@pytest.mark.parametrize("attention", ["max", "both"])
@torch.inference_mode()
def test_csepnet_is_as_its_code_writes_it_and_with_both_attentions_as_its_paper(
    attention: str,
) -> None:
    network = awake("csepnet", attention=attention)
    r, image = Reading(network), torch.randn(1, 3, 64, 64)

    def sa(name: str, x: Tensor) -> Tensor:
        pooled = [x.max(dim=1, keepdim=True).values, x.mean(dim=1, keepdim=True)]
        seen = torch.cat(pooled if attention == "both" else pooled[:1], dim=1)
        return torch.sigmoid(r.conv(f"{name}.weigh", seen))

    def cbam(name: str, x: Tensor) -> Tensor:
        pooled = [F.adaptive_max_pool2d(x, 1), F.adaptive_avg_pool2d(x, 1)]
        weights = [
            r.conv(f"{name}.channel.excite", torch.relu(r.conv(f"{name}.channel.squeeze", p)))
            for p in (pooled if attention == "both" else pooled[:1])
        ]
        x = x * torch.sigmoid(torch.stack(weights).sum(dim=0))
        return x * sa(f"{name}.spatial", x)

    def ce(name: str, x: Tensor) -> Tensor:
        contrast = x - F.avg_pool2d(x, 3, 1, 1)
        return torch.sigmoid(r.cb(f"{name}.weigh", contrast)) * x + x

    def calibrated(name: str, one: Tensor, two: Tensor, *, rest: bool) -> Tensor:
        a = one * sa(f"{name}.attend_second", two) + one
        b = two * sa(f"{name}.attend_first", one) + two
        joined = r.cbr(f"{name}.weigh.0", torch.cat([a, b], dim=1))
        w = torch.sigmoid(r.conv(f"{name}.weigh.1", joined))
        return r.cbr(f"{name}.fuse", one * w + two * (1 - w if rest else w))

    def csfim(name: str, x: Tensor) -> Tensor:
        def side(part: str, y: Tensor) -> Tensor:
            y = ce(f"{name}.{part}.1", r.cbr(f"{name}.{part}.0", y))
            return r.conv(f"{name}.{part}.2", y)

        hh, ll = side("fine_in", x), side("coarse_in", F.avg_pool2d(x, 2))
        h = side("fine_out", hh + r.conv(f"{name}.coarse_to_fine", up(ll, hh.shape[2:], False)))
        low = side("coarse_out", ll + r.conv(f"{name}.fine_to_coarse", F.avg_pool2d(hh, 2)))
        lifted = r.cbr(f"{name}.merge.lift.conv", up(low, h.shape[2:], False))
        woven = calibrated(f"{name}.merge.calibrate", lifted, h, rest=True)
        return r.conv(f"{name}.out", woven + x)

    features = network.backbone(image)
    levels = [
        r.conv(f"reductions.{n}.1", cbam(f"reductions.{n}.0", x)) for n, x in enumerate(features)
    ]
    decoded, maps = torch.zeros(1), []
    for i in (4, 3, 2, 1, 0):
        level = levels[i]
        if i < 4:
            lifted = r.cbr(f"calibrations.{i}.lift.conv", up(decoded, level.shape[2:], False))
            level = calibrated(f"calibrations.{i}.calibrate", level, lifted, rest=False)
        woven = csfim(f"interweavings.{i}", level)
        decoded = r.cbr(f"decoders.{i}", woven)
        if i:
            x, head = woven, f"side_heads.{i - 1}"
            for n in range(3):
                x = r.cbr(f"{head}.{n}", x)
            x = F.conv_transpose2d(x, r.w[f"{head}.4.weight"], stride=2)
            maps.insert(0, up(r.conv(f"{head}.7", torch.relu(r.bn(f"{head}.5", x))), 64))
    result = r.conv("head.1", r.conv("head.0", decoded))
    assert_alike(logit_maps(network(image)), [result, *maps])


@pytest.mark.parametrize("groups", [1, 2])
@torch.inference_mode()
def test_nadinet_is_as_its_code_writes_it_and_in_two_groups_as_its_paper_counts_it(
    groups: int,
) -> None:
    network = awake("nadinet", backbone="resnet34", fuse_groups=groups)
    r, image = Reading(network), torch.randn(1, 3, 64, 64)

    def nam(name: str, x: Tensor) -> Tensor:
        a = x.flatten(2)
        norm = a.norm(dim=2, keepdim=True)
        likeness = (a @ a.transpose(1, 2)) / (norm * norm.transpose(1, 2) + 1e-8)
        return r.w[f"{name}.gamma"] * (likeness @ a).view_as(x) + x

    def cbam(name: str, x: Tensor) -> Tensor:
        def se(pooled: Tensor) -> Tensor:
            inner = torch.relu(r.conv(f"{name}.channel.squeeze", pooled))
            return r.conv(f"{name}.channel.excite", inner)

        y = x * torch.sigmoid(se(F.adaptive_max_pool2d(x, 1)) + se(F.adaptive_avg_pool2d(x, 1)))
        both = torch.cat([y.max(1, keepdim=True).values, y.mean(1, keepdim=True)], dim=1)
        return y * torch.sigmoid(r.conv(f"{name}.spatial.weigh", both)) + x

    def fused(name: str, x: Tensor) -> Tensor:
        if groups == 1:
            return r.cbr(name, x)
        w, bias = (r.w[f"{name}.0.{kind}"] for kind in ("weight", "bias"))
        pairs = zip(*(y.split(128) for y in (w, bias)), x.split(128, dim=1), strict=True)
        alone = [F.conv2d(side, own, offset, padding=1) for own, offset, side in pairs]
        return torch.relu(r.bn(f"{name}.1", torch.cat(alone, dim=1)))  # level and coarser apart

    def branch(name: str, x: Tensor) -> Tensor:
        a, b = fused(f"{name}.fuse", x).split(128, dim=1)
        z1 = cbam(f"{name}.attend_half", a)
        z2 = cbam(f"{name}.attend_both", r.cbr(f"{name}.join", torch.cat([z1, b], dim=1)))
        return r.cbr(f"{name}.merge", torch.cat([z1, z2], dim=1))

    def dib(name: str, x: Tensor, y: Tensor) -> Tensor:
        size, half = x.shape[-1], x.shape[-1] // 2
        large = branch(f"{name}.branches.large", torch.cat([x, up(y, size)], dim=1))
        small = torch.cat([up(x, half), up(y, half)], dim=1)
        return r.cbr(f"{name}.out", large * up(branch(f"{name}.branches.small", small), size))

    def gcm(x: Tensor) -> Tensor:
        fields = [r.cb("context.branches.0", x)]
        for n, kernel in enumerate((3, 5, 7), start=1):
            y = x
            for part in range(3):
                y = r.cb(f"context.branches.{n}.{part}", y)
            fields.append(r.cb(f"context.branches.{n}.3", y, dilation=kernel))
        merged = r.cb("context.merge", torch.cat(fields, dim=1))
        return torch.relu(merged + r.cb("context.shortcut", x))

    h = [r.cbr(f"reductions.{n}", x) for n, x in enumerate(network.backbone(image))]
    below = gcm(h[4])
    maps = [up(r.conv("heads.5", below), 64)]
    for i in (4, 3, 2, 1, 0):
        below = dib(f"interactions.{i}", nam(f"attentions.{i}", h[i]), below)
        maps.insert(0, up(r.conv(f"heads.{i}", below), 64))
    assert_alike(logit_maps(network(image)), maps)


@pytest.mark.parametrize("lam", ["matmul", "sum"])
@torch.inference_mode()
def test_lsanet_multiplies_where_its_equation_1_does_and_adds_where_its_code_does(lam: str) -> None:
    network = awake("lsanet", lam=lam)
    r, image = Reading(network), torch.randn(1, 3, 128, 128)

    def b(name: str, x: Tensor) -> Tensor:
        return r.cbr(f"{name}.1", r.cbr(f"{name}.0", x))

    def mp(x: Tensor) -> Tensor:
        return F.max_pool2d(x, 2, 2)

    x0 = b("encoders.0", image)
    x1 = b("encoders.1", mp(x0))
    z = r.conv("lam.mix", b("lam.fuse", torch.cat([mp(x0), x1], dim=1)))
    rows, columns = z.max(dim=3, keepdim=True).values, z.max(dim=2, keepdim=True).values
    y = rows @ columns if lam == "matmul" else rows + columns  # H,1 by 1,W
    located = r.conv("lam.locate", torch.stack(y.split(12, dim=1)).sum(dim=0))
    x2 = b("encoders.2", mp(x1 + b("lam.out", y)))
    x3 = b("encoders.3", mp(x2))
    v, side = torch.cat([x3, mp(x2)], dim=1), x3.shape[-1]
    rows = F.max_pool2d(b("sdm.strip.row_block", v), (1, side // 2))
    columns = F.max_pool2d(b("sdm.strip.column_block", v), (side // 2, 1))
    v2 = b(
        "sdm.strip.out", F.interpolate(rows, (side, side)) + F.interpolate(columns, (side, side))
    )
    p = b("sdm.square.block", v)
    pools = [F.interpolate(F.avg_pool2d(p, k), (side, side)) for k in (5, 3)]
    v1 = b("sdm.square.block", r.conv("sdm.square.reduce", torch.cat(pools, dim=1)))
    x4 = b("encoders.4", mp(x3 + b("sdm.fuse", torch.cat([v2, v1], dim=1))))
    wide, narrow = r.conv("fem.wide", x4, dilation=4), r.conv("fem.narrow", x4, dilation=2)
    x = r.conv("fem.merge", torch.cat([wide, narrow, x4], dim=1))
    for i, skip in ((3, x3), (2, x2), (1, x1), (0, x0)):
        x = b(f"decoders.{i}", torch.cat([skip, up(x, skip.shape[2:])], dim=1))
    output = network(image)
    assert_alike(
        [output.maps[0], output.location, *output.shapes], [r.conv("head", x), located, v1, v2]
    )


@pytest.mark.parametrize("bidirectional", [True, False])
@torch.inference_mode()
def test_dms_takes_its_first_map_after_the_transposed_convolutions(*, bidirectional: bool) -> None:
    network = awake("dms", classes=3, bidirectional=bidirectional)
    r, image = Reading(network), torch.randn(1, 3, 64, 64)

    def fuse(name: str, x: Tensor) -> Tensor:
        for n in range(3):
            x = r.cbp(f"{name}.{n}", x)
        return x

    def trans(name: str, x: Tensor, size: int) -> Tensor:
        w = r.w
        x = F.conv_transpose2d(x, w[f"{name}.0.weight"], w[f"{name}.0.bias"], stride=2, padding=1)
        return up(F.prelu(r.bn(f"{name}.1", x), w[f"{name}.2.weight"]), size)

    def refined(name: str, f: Tensor, s: Tensor) -> Tensor:
        s = up(s, f.shape[2:])
        x = r.cbp(f"{name}.predict.1", r.cbp(f"{name}.predict.0", torch.cat([f, s], dim=1)))
        return s + r.conv(f"{name}.predict.2", x)

    l0, l1, l2, l3, l4 = network.backbone(image)
    l0 = F.max_pool2d(l0, 3, 2, 1)
    lf = fuse("fuse_low", torch.cat([l0, up(l1, l0.shape[2:])], dim=1))
    mf = fuse("fuse_middle", l2)
    hf = fuse("fuse_high", torch.cat([l3, up(l4, l3.shape[2:])], dim=1))
    t0 = trans("top_down.lifts.0.transpose", hf, mf.shape[-1])
    maps = [r.conv("top_down.outputs.0.predict", t0)]
    f1 = torch.cat([t0, mf], dim=1)
    maps.append(refined("top_down.outputs.1", f1, maps[-1]))
    f2 = torch.cat([trans("top_down.lifts.1.transpose", f1, lf.shape[-1]), lf], dim=1)
    maps.append(refined("top_down.outputs.2", f2, maps[-1]))
    f, last = (lf, "bottom_up") if bidirectional else (f2, "top_down")
    for n, level in enumerate((None, mf, hf) if bidirectional else ()):
        f = f if level is None else torch.cat([f, up(level, lf.shape[2:])], dim=1)
        maps.append(refined(f"bottom_up.outputs.{n}", f, maps[-1]))
    output = network(image)
    assert_alike(output.maps, [up(m, 64) for m in reversed(maps)])
    weight, bias = (r.w[f"{last}.outputs.2.classify.{kind}"] for kind in ("weight", "bias"))
    torch.testing.assert_close(output.classes[0], F.linear(f.mean(dim=(2, 3)), weight, bias))
