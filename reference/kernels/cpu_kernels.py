"""Blocks of convolution, normalisation and ReLU that train MINet on a CPU faster than torch's.

The gradient of a dilated depthwise convolution takes half of a step of MINet in torch, and its
normalisation and ReLU go through memory five times where two do. The parameters, their names and
the numbers, but for rounding, are torch's own.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import ninja
import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.utils import cpp_extension

from edge.errors import ConfigurationError
from edge.files.held_folder import held
from reference.networks.layers import ConvBNReLU

_CHANNELS = 16  # that the kernels take together


def use_kernels(network: nn.Module, device: torch.device, precision: str) -> None:
    """Have a network's blocks train by the kernels, where their channels allow it."""
    if device.type != "cpu" or precision != "fp32":
        raise ConfigurationError(
            f"the kernels train on a CPU in fp32, not on {device.type} in {precision}: "
            "leave out --kernels"
        )
    _kernels()  # built, or refused, before any time is spent
    for module in network.modules():
        if type(module) is ConvBNReLU and not _parts(module)[0].out_channels % _CHANNELS:
            module.__class__ = KernelBlock


class KernelBlock(ConvBNReLU):
    """A `ConvBNReLU` that trains by the kernels and answers as ever."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            answer: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
            return answer
        convolution, norm = _parts(self)
        means, variances = norm.running_mean, norm.running_var
        assert means is not None and variances is not None and norm.momentum is not None
        assert norm.num_batches_tracked is not None
        x = _depthwise(x, convolution) if _is_depthwise(convolution) else convolution(x)
        y, mean, variance = _norm_relu(x, norm)
        count = x.numel() // x.shape[1]
        with torch.no_grad():
            norm.num_batches_tracked += 1
            means.lerp_(mean, norm.momentum)
            variances.lerp_(variance * (count / (count - 1)), norm.momentum)
        return y


def _parts(block: ConvBNReLU) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    convolution, norm, _ = block
    assert isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
    return convolution, norm


def _is_depthwise(convolution: nn.Conv2d) -> bool:
    return convolution.kernel_size == (3, 3) and (
        convolution.groups == convolution.in_channels == convolution.out_channels
    )


def _depthwise(x: Tensor, convolution: nn.Conv2d) -> Tensor:
    taps = convolution.weight.flatten(1).t().contiguous()  # 9,C
    dilation, stride = convolution.dilation[0], convolution.stride[0]
    answer: Tensor = _Depthwise.apply(x, taps, dilation, stride)  # type: ignore[no-untyped-call]
    return answer


def _norm_relu(x: Tensor, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor, Tensor]:
    answers: tuple[Tensor, Tensor, Tensor] = _NormReLU.apply(  # type: ignore[no-untyped-call]
        x, norm.weight, norm.bias, norm.eps
    )
    return answers


class _Depthwise(Function):
    """A depthwise 3x3 convolution whose padding is its dilation."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, taps: Tensor, dilation: int, stride: int) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        ctx.save_for_backward(x, taps)
        ctx.steps = dilation, stride
        answer: Tensor = _kernels().depthwise(x, taps, dilation, stride)
        return answer

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return (
            *_kernels().depthwise_backward(gradient, *ctx.saved_tensors, *ctx.steps),
            None,
            None,
        )


class _NormReLU(Function):
    """Batch normalisation by the batch's own mean and variance, which it gives too; then ReLU."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        x = x.contiguous(memory_format=torch.channels_last)
        y, mean, variance, inverse = _kernels().norm_relu(x, gamma, beta, epsilon)
        ctx.save_for_backward(x, gamma, beta, mean, inverse)
        ctx.mark_non_differentiable(mean, variance)
        return y, mean, variance

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        return (*_kernels().norm_relu_backward(gradient, *ctx.saved_tensors), None)


@cache
def _kernels() -> Any:
    """Built at first use. No number is assumed finite: training tells of those that are not."""
    flags = ["-O3", "-march=native", "-fopenmp", "-fno-math-errno"]
    try:
        return built("trackside_cpu_kernels", Path(__file__).with_suffix(".cpp"), flags)
    except (RuntimeError, OSError) as error:
        raise ConfigurationError(
            "the kernels cannot be built here: install a C++ compiler (Debian: g++), or leave out "
            f"--kernels; {error}"
        ) from error


def built(name: str, source: Path, flags: Sequence[str]) -> Any:
    """Operators of one source file, kept among torch's own under all that it was built of.

    The lock that torch builds under outlives a process that is killed meanwhile, and whoever comes
    after waits for ever. Ours goes with its process; who holds it takes away what a dead one left.
    """
    # What builds them is found where nobody activated the environment, too.
    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), ninja.BIN_DIR])
    made_of = f"{sys.implementation.cache_tag} {torch.__version__} {flags}".encode()
    digest = hashlib.sha256(made_of + source.read_bytes()).hexdigest()[:16]
    kept = os.environ.get("TORCH_EXTENSIONS_DIR") or cpp_extension.get_default_build_root()
    with held(Path(kept) / f"{name}-{digest}", make=True) as folder:
        folder.lock(wait=True)
        folder.remove("lock")
        cpp_extension.load(
            name,
            [str(source)],
            extra_cflags=list(flags),
            build_directory=str(folder.path),
            is_python_module=False,
        )
    return getattr(torch.ops, name)
