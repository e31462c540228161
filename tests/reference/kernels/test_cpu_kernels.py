"""The kernels that train on a CPU compute what torch computes, and refuse what they cannot."""

from __future__ import annotations

import copy
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from edge.errors import ConfigurationError
from reference.kernels import cpu_kernels
from reference.kernels.cpu_kernels import KernelBlock, use_kernels
from reference.networks import build, logit_maps
from reference.networks.layers import ConvBNReLU
from stands.places import ROOT
from stands.tiny_recipe import CPU
from stands.waiting import eventually

needs_a_compiler = pytest.mark.skipif(
    shutil.which(os.environ.get("CXX", "g++")) is None, reason="needs a C++ compiler: g++"
)


def gradients(network: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Of every parameter and of the input, after one pass in which each output counts."""
    x = x.clone().requires_grad_()
    maps = logit_maps(network(x))
    weights = torch.linspace(-1, 1, maps[0].numel(), dtype=x.dtype).view_as(maps[0]).sin()
    torch.stack([(m * weights).sum() for m in maps]).sum().backward()
    assert x.grad is not None
    found = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    return found | {"input": x.grad}


def assert_like_torch(network: nn.Module, x: Tensor) -> None:
    """The kernels are as near to double precision as torch is in single, and count as it does."""
    exact, single = copy.deepcopy(network).double(), copy.deepcopy(network)
    use_kernels(network, CPU, "fp32")
    expected = gradients(exact, x.double())
    stock, found = gradients(single, x), gradients(network, x)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        allowed = 3 * (stock[name] - value).norm() + 1e-4 * value.norm() + 1e-6
        assert (found[name] - value).norm() <= allowed, name
    for (name, value), buffer in zip(exact.named_buffers(), network.buffers(), strict=True):
        torch.testing.assert_close(buffer.double(), value.double(), rtol=1e-4, atol=1e-5, msg=name)


class Single(nn.Module):
    """One block, put where a network is wanted."""

    def __init__(self, block: ConvBNReLU) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> list[Tensor]:
        return [self.block(x)]


@needs_a_compiler
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("dilation", [1, 2, 4, 8])
@pytest.mark.parametrize("size", [(1, 1), (3, 17), (9, 8), (24, 40)])
def test_a_depthwise_block_has_torchs_gradients_at_every_dilation_stride_and_size(
    size: tuple[int, int], dilation: int, stride: int
) -> None:
    torch.manual_seed(0)
    block = ConvBNReLU(32, 32, 3, stride=stride, dilation=dilation, groups=32)
    nn.init.normal_(block[1].weight, 1, 0.3), nn.init.normal_(block[1].bias, 0, 0.3)
    assert_like_torch(Single(block), torch.randn(3, 32, *size))


@needs_a_compiler
def test_minet_has_torchs_gradients_and_counts_its_batches() -> None:
    torch.manual_seed(0)
    network = build(name="minet", align_corners=False, dropout=0.0)
    assert_like_torch(network.to(memory_format=torch.channels_last), torch.randn(4, 3, 96, 128))
    blocks = [m for m in network.modules() if isinstance(m, ConvBNReLU)]
    assert blocks and all(type(block) is KernelBlock for block in blocks)
    assert {int(block[1].num_batches_tracked) for block in blocks} == {1}


@needs_a_compiler
def test_a_block_whose_channels_do_not_fit_stays_torchs() -> None:
    network = nn.Sequential(ConvBNReLU(3, 24), ConvBNReLU(24, 32))
    use_kernels(network, CPU, "fp32")
    assert [type(block) for block in network] == [ConvBNReLU, KernelBlock]


def test_the_kernels_are_refused_where_they_cannot_train(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = build(name="minet")
    with pytest.raises(ConfigurationError, match="not on cpu in bf16: leave out --kernels"):
        use_kernels(network, CPU, "bf16")
    with pytest.raises(ConfigurationError, match="not on cuda in fp32"):
        use_kernels(network, torch.device("cuda"), "fp32")
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))  # nothing built before
    monkeypatch.setenv("CXX", "no-such-compiler")
    cpu_kernels._kernels.cache_clear()
    with pytest.raises(ConfigurationError, match=r"install a C\+\+ compiler"):
        use_kernels(network, CPU, "fp32")
    assert not any(isinstance(module, KernelBlock) for module in network.modules())


NOTHING = "int nothing() { return 0; }"
SLOW_COMPILER = """#!/bin/sh
case "$*" in *nothing.cpp*) touch {started}; sleep 600;; esac
exec g++ "$@"
"""
BUILD = """
import sys; from pathlib import Path; from reference.kernels.cpu_kernels import built
built("nothing", Path(sys.argv[1]), [])
"""


@needs_a_compiler
def test_who_builds_after_one_that_was_killed_while_building_waits_for_nobody(
    tmp_path: Path,
) -> None:
    source, slow, started = (tmp_path / name for name in ("nothing.cpp", "slow-g++", "started"))
    source.write_text(NOTHING)
    slow.write_text(SLOW_COMPILER.format(started=started))
    slow.chmod(0o755)
    where = {"TORCH_EXTENSIONS_DIR": str(tmp_path / "kept"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", BUILD, str(source)]
    killed = subprocess.Popen(
        command, env=os.environ | where | {"CXX": str(slow)}, start_new_session=True
    )
    eventually(started.exists)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert list(tmp_path.glob("kept/*/lock"))  # what torch's own way would wait for
    subprocess.run(command, env=os.environ | where, check=True, timeout=300)
