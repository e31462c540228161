"""Every network and variant that the papers name, its cost counted beside the published one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from reference.networks import build

# They keep their first argument's shape, and take most of the time on the meta device.
_SHAPE_KEPT = {
    F.batch_norm,
    F.prelu,
    F.relu,
    F.relu6,
    F.silu,
    nn.init.kaiming_uniform_,
    nn.init.uniform_,
    torch.relu,
    torch.sigmoid,
}


@dataclass(frozen=True)
class Convention:
    """What a paper's counter counts beside the multiply-adds, by which its FLOPs are printed."""

    biases: bool = False  # one for each element that a convolution adds its bias to
    norm: int = 0  # for each normalised element
    resized: int = 0  # for each element of a bilinear resize
    transposed_by_output: bool = False  # as if each element of it were gathered, not spread
    twice: tuple[str, ...] = ()  # modules that the released code runs a second time, for nothing
    times: int = 1


# MINet's is an early thop; CSEPNet's and LSA-Net's a later one, the last doubled.
CONVENTIONS: dict[str, Convention] = {
    "minet": Convention(biases=True, norm=2),
    "csepnet": Convention(
        norm=4,
        transposed_by_output=True,
        twice=tuple(f"interweavings.{level}" for level in range(1, 5)),
    ),
    "lsanet": Convention(norm=4, resized=11, times=2),
}


@dataclass(frozen=True)
class Entry:
    """A network as its paper names it; `name` and `arguments` are `build`'s."""

    name: str
    variant: str
    size: int  # of the square input
    arguments: dict[str, Any] = field(default_factory=dict)
    published_params_m: float | None = None
    published_flops_g: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Row:
    """An entry with its counted cost: multiply-adds of convolutions and linear layers."""

    name: str
    variant: str
    params: int
    arguments: dict[str, Any]
    macs: int
    flops_g: float | None  # as its paper counts them, where it prints any
    input: tuple[int, int, int]  # C,H,W
    published_params_m: float | None
    published_flops_g: float | None
    note: str


class ShapesOnly(TorchFunctionMode):
    """Everything is on the meta device, without the arithmetic that no shape depends on."""

    def __init__(self) -> None:
        super().__init__()
        self.resized = 0  # elements, bilinearly

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func in _SHAPE_KEPT:
            return args[0] if args else kwargs["tensor"]
        if func is F.interpolate:
            resized = args[0].new_empty(*args[0].shape[:2], *kwargs["size"])
            if kwargs.get("mode") == "bilinear":
                self.resized += resized.numel()
            return resized
        return func(*args, **kwargs)


def rows() -> Iterator[Row]:
    """The catalogue with every cost counted."""
    for entry in CATALOGUE:
        convention = CONVENTIONS.get(entry.name)
        with torch.device("meta"), ShapesOnly() as shapes, torch.inference_mode():
            network = build(entry.name, **entry.arguments).eval()
            image = torch.empty(1, 3, entry.size, entry.size)
            macs = count_macs(network, image)
            flops = None if convention is None else count_as(convention, network, image, shapes)
        yield Row(
            name=entry.name,
            variant=entry.variant,
            params=sum(p.numel() for p in network.parameters()),
            arguments=entry.arguments,
            macs=macs,
            flops_g=None if flops is None else round(flops / 1e9, 4),
            input=(3, entry.size, entry.size),
            published_params_m=entry.published_params_m,
            published_flops_g=entry.published_flops_g,
            note=entry.note,
        )


def count_macs(network: nn.Module, image: Tensor) -> int:
    """Multiply-adds of the convolutions and linear layers for one image."""
    macs = 0

    def count(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        nonlocal macs
        # A transposed convolution spreads each input element, the others gather each output one.
        used = inputs[0] if isinstance(module, nn.ConvTranspose2d) else output
        macs += used.numel() * module.get_parameter("weight")[0].numel()

    hooks = [
        module.register_forward_hook(count)
        for module in network.modules()
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear))
    ]
    network(image)
    for hook in hooks:
        hook.remove()
    return macs


def count_as(convention: Convention, network: nn.Module, image: Tensor, shapes: ShapesOnly) -> int:
    """What a paper's counter would have printed for one image."""
    flops, resized = 0, shapes.resized
    names = {module: name for name, module in network.named_modules()}

    def count(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        nonlocal flops
        own = convention.norm * output.numel()
        if not isinstance(module, nn.BatchNorm2d):
            weight = module.get_parameter("weight")
            own = output.numel() * weight[0].numel()
            if isinstance(module, nn.ConvTranspose2d):  # in,out,rows,columns
                by_output = convention.transposed_by_output
                used = (output, weight[:, 0]) if by_output else (inputs[0], weight[0])
                own = used[0].numel() * used[1].numel()
            if convention.biases and module.bias is not None:
                own += output.numel()
        flops += own * (2 if names[module].startswith(convention.twice or "?") else 1)

    kinds = (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d)
    hooks = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, kinds)]
    network(image)
    for hook in hooks:
        hook.remove()
    flops += convention.resized * (shapes.resized - resized)
    return convention.times * flops


_CSEPNET = (
    "printed FLOPs: four CSFIMs a second time, as the released code runs them (8.56 G), and "
    "transposed convolutions fourfold (1.07 G)"
)
_NADINET_CODE = "the released code: 2,949,120 parameters more than printed"
_OPEN = "the paper leaves the layers open"
_LITE = "not of the paper: its ImageNet weights are in a package"
_DMS = "no figures printed; R3Net's layers where the paper is silent"
_V, _R, _D = "vgg16_bn", "resnet34", "densenet201"

CATALOGUE: tuple[Entry, ...] = (
    Entry("minet", "MINet", 368, {}, 0.28, 0.30),
    Entry("minet", "w/o Multi", 368, {"mi": "without_multi"}, 0.28, 0.30),
    Entry("minet", "S-PW", 368, {"mi": "s_pw"}, 0.27, 0.29),
    Entry("minet", "w/o CI", 368, {"mi": "without_ci"}, 0.15, 0.20),
    Entry("minet", "Concat", 368, {"mi": "concat"}, 1.15, 0.98),
    Entry("minet", "Sum", 368, {"mi": "sum"}, 0.65, 0.59),
    Entry("minet", "VGG16", 368, {"backbone": "vgg16_bn"}, 15.81, 45.85),
    Entry("minet", "ResNet50", 368, {"backbone": "resnet50"}, None, 14.96),
    Entry("minet", "SqueezeNet", 368, {"backbone": "squeezenet1_1"}, 1.27, 1.79),
    Entry(
        "minet",
        "MobileNet",
        368,
        {"backbone": "mobilenet_v1"},
        7.47,
        2.51,
        "printed figures not reached: 2.12 M parameters fewer, 0.31 G FLOPs more",
    ),
    Entry(
        "minet",
        "EfficientNet",
        368,
        {"backbone": "efficientnet_b0"},
        0.94,
        0.24,
        "printed figures not reached: 0.05 M parameters fewer, 0.52 G FLOPs more",
    ),
    Entry(
        "minet",
        "EfficientNet-Lite0",
        368,
        {"backbone": "efficientnet_lite0"},
        note=_LITE,
    ),
    Entry("nadinet", "NaDiNet-V", 384, {"backbone": _V}, 27.68),
    Entry("nadinet", "NaDiNet-R", 384, {"backbone": _R}, 48.39),
    Entry("nadinet", "NaDiNet-D", 384, {"backbone": _D}, 33.11),
    Entry(
        "nadinet",
        "NaDiNet-V, released",
        384,
        {"backbone": _V, "fuse_groups": 1},
        note=_NADINET_CODE,
    ),
    Entry(
        "nadinet",
        "NaDiNet-R, released",
        384,
        {"backbone": _R, "fuse_groups": 1},
        note=_NADINET_CODE,
    ),
    Entry(
        "nadinet",
        "NaDiNet-D, released",
        384,
        {"backbone": _D, "fuse_groups": 1},
        note=_NADINET_CODE,
    ),
    *(
        Entry("nadinet", variant, 384, {"backbone": _D, **arguments}, note=note)
        for variant, arguments, note in (
            ("Baseline-D", {"attention": None, "interaction": None}, _OPEN),
            ("Baseline-D + NAM", {"interaction": None}, _OPEN),
            ("Baseline-D + DIB", {"attention": None}, ""),
            ("w/ CAM", {"attention": "cam"}, ""),
            ("w/o SI", {"interaction": "without_si"}, _OPEN),
            ("w/ large-scale", {"interaction": "large"}, ""),
            ("w/ small-scale", {"interaction": "small"}, ""),
            ("w/o PE", {"interaction": "without_pe"}, _OPEN),
        )
    ),
    Entry("csepnet", "CSEPNet", 256, {}, 18.78, 59.3, _CSEPNET),
    *(
        Entry("csepnet", variant, 256, arguments)
        for variant, arguments in (
            ("ResNet50", {"backbone": "resnet50"}),
            ("Baseline", {"cbam": False, "cscm": None, "csfim": None}),
            ("Baseline + CBAM", {"cscm": None, "csfim": None}),
            ("Baseline + CBAM + CSCM", {"csfim": None}),
            ("Baseline + CBAM + CSFIM", {"cscm": None}),
            ("w/o CS", {"cscm": "without_cs"}),
            ("w/o re-calibration", {"cscm": "without_recalibration"}),
            ("w/o CSWM", {"csfim": "without_cswm"}),
            ("w/o top-CE", {"csfim": "without_top_ce"}),
            ("w/o bottom-CE", {"csfim": "without_bottom_ce"}),
            ("CSFIM with CSCM", {"csfim": "with_cscm"}),
        )
    ),
    Entry("lsanet", "LSA-Net", 256, {}, 21.6, 61.6),
    *(
        Entry("lsanet", variant, 256, arguments)
        for variant, arguments in (
            ("LAM by matrix product", {"lam": "matmul"}),
            ("U-Net", {"lam": None, "sdm": False, "fem": False}),
            ("U-Net + LAM", {"sdm": False, "fem": False}),
            ("U-Net + LAM + SDM", {"fem": False}),
            ("LSPM over whole strips", {"strip_parts": 1}),
        )
    ),
    *(
        Entry("dms", variant, 300, arguments, note=_DMS)
        for variant, arguments in (
            ("BDMS", {}),
            ("SDMS", {"bidirectional": False}),
            ("SDMS-A", {"bidirectional": False, "reuse": None}),
            ("SDMS-B", {"bidirectional": False, "classes": None}),
            ("SDMS-C", {"bidirectional": False, "aspp": True}),
            ("SDMS-D", {"bidirectional": False, "reuse": "skip"}),
            ("SDMS-E", {"bidirectional": False, "refine": False}),
            (
                "Baseline",
                {"bidirectional": False, "reuse": None, "classes": None, "refine": False},
            ),
        )
    ),
    Entry("dms", "BDMS, Lite0", 300, {"backbone": "efficientnet_lite0"}, note=_LITE),
)
