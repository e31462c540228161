"""The losses against values worked out by hand, with nothing there and nothing said among them."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from kornia.losses import lovasz_softmax_loss, ssim_loss
from py_sod_metrics import Smeasure
from torch import Tensor

from edge.errors import ConfigurationError
from reference.losses import Truth, distillation, supervise
from reference.losses.maps import MAP_LOSSES, lovasz, ssim, ssim_half
from reference.losses.structure import structure
from reference.losses.supervision import OUTPUT_LOSSES, boxes
from reference.networks.dms import DMSOutput
from reference.networks.lsanet import LSANetOutput
from reference.recipe import LossSection
from reference.recipe.sections import MapLoss, OutputLoss

SIDE = 16
EMPTY, FULL = torch.zeros(1, 1, SIDE, SIDE), torch.ones(1, 1, SIDE, SIDE)
HALF = EMPTY.clone()
HALF[..., : SIDE // 2] = 1
UNSURE = EMPTY  # a logit whose sigmoid is 0.5
SURE = 40.0  # a logit whose sigmoid is 1 in float32
LN2 = float(np.log(2))

CASES: dict[str, tuple[Tensor, Tensor]] = {  # logits, target
    "nothing there, nothing said": (FULL * -SURE, EMPTY),
    "nothing there, all said": (FULL * SURE, EMPTY),
    "all there, nothing said": (FULL * -SURE, FULL),
    "all there, unsure": (UNSURE, FULL),
    "half there, unsure": (UNSURE, HALF),
    "half there, found": (SURE * (2 * HALF - 1), HALF),
    "half there, the other half said": (SURE * (1 - 2 * HALF), HALF),
}
BY_HAND: dict[str, list[float]] = {
    "bce": [0, SURE, SURE, LN2, LN2, 0, SURE],
    # Smoothed by 1: 1 - (overlap + 1) / (union + 1), of 256 pixels.
    "iou": [0, 1 - 1 / 257, 1 - 1 / 257, 1 - 129 / 257, 1 - 65 / 193, 0, 1 - 1 / 257],
    # Of an image without a defect all of it is lost, whatever is said.
    "iou_plain": [1, 1, 1, 0.5, 1 - 64 / 192, 0, 1],
    "cel": [0, 1, 1, 128 / 384, 128 / 256, 0, 1],
    "dice_bce": [0, 21, 21, LN2 / 2 + 1 - 256 / 384, LN2 / 2 + 1 - 128 / 256, 0, 21],
    # (1 - p)^2 is 1/4 where unsure; a defect weighs 1/4, the background 3/4.
    "focal": [0, 0.75 * SURE, 0.25 * SURE, LN2 / 16, LN2 / 8, 0, SURE / 2],
    # Both classes err by 1/2 where unsure, and a class that is not there errs by its largest.
    "lovasz": [0, 1, 1, 0.5, 0.5, 0, 1],
    # 1 / 1.25 of each kind where unsure. The measure cuts at column 5: left of it all is of one
    # kind, which counts as alike whatever is said; of the 11 columns right of it 3 are there.
    "structure": [0, 1, 1, 0.5, 1 - (0.8 + 5 / 16) / 2, 0, 1 - (5 - 11 * 48 / 73) / 32],
}


@pytest.mark.parametrize("name", BY_HAND)
def test_a_loss_on_a_map_has_the_values_worked_out_by_hand(name: str) -> None:
    values = [MAP_LOSSES[name](logits, target).item() for logits, target in CASES.values()]
    assert values == pytest.approx(BY_HAND[name], abs=1e-4)


@pytest.mark.parametrize("name", MAP_LOSSES)
@pytest.mark.parametrize("case", CASES)
def test_no_loss_on_a_map_has_a_gradient_that_is_no_number(name: str, case: str) -> None:
    logits, target = CASES[case]
    logits = logits.clone().requires_grad_()
    MAP_LOSSES[name](logits, target).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_ssim_sees_nothing_beyond_the_border() -> None:
    weights = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    inside = np.convolve(np.ones(SIDE), weights / weights.sum(), mode="same")
    mean = np.outer(inside, inside)  # of a window on a map of ones
    variance = mean - mean**2
    c1, c2 = 1e-4, 9e-4
    opposite = c1 * c2 / ((mean**2 + c1) * (variance + c2))
    assert ssim(FULL * -SURE, FULL).item() == pytest.approx(1 - opposite.mean(), abs=1e-4)
    for target in (EMPTY, HALF, FULL):
        assert ssim(SURE * (2 * target - 1), target).item() == pytest.approx(0, abs=1e-4)


def test_ssim_and_lovasz_are_kornias_with_their_slopes() -> None:
    generator = torch.Generator().manual_seed(1)
    target = (torch.rand(2, 1, 48, 64, generator=generator) > 0.7).float()
    answers = 3 * torch.randn(2, 1, 48, 64, generator=generator)

    def kornias_ssim(x: torch.Tensor) -> torch.Tensor:
        padded = (F.pad(m, [5] * 4) for m in (torch.sigmoid(x), target))
        return 2 * ssim_loss(*padded, window_size=11, padding="valid")

    def kornias_lovasz(x: torch.Tensor) -> torch.Tensor:
        return lovasz_softmax_loss(torch.cat([torch.zeros_like(x), x], dim=1), target[:, 0])

    for own, kornias in ((ssim, kornias_ssim), (lovasz, kornias_lovasz)):
        one, other = (answers.clone().requires_grad_() for _ in range(2))
        found, expected = own(one, target), kornias(other)
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
        found.backward()
        expected.backward()
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-9)


def test_ssim_at_half_size_is_one_between_opposites() -> None:
    # Constant to beyond the border: (2ab + C1) / (a^2 + b^2 + C1) with a = 1, b = 0, C1 = 1e-4.
    assert ssim_half(FULL * SURE, EMPTY).item() == pytest.approx(1 - 1e-4 / (1 + 1e-4), abs=1e-5)
    assert ssim_half(FULL * -SURE, EMPTY).item() == pytest.approx(0, abs=1e-4)


def test_ssim_at_half_size_is_kornias_of_the_halved_maps() -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(2, 1, 48, 64, generator=generator)
    target = (torch.rand(2, 1, 48, 64, generator=generator) > 0.7).float()
    halves = (F.avg_pool2d(x, 2) for x in (torch.sigmoid(logits), target))
    expected = 2 * ssim_loss(*halves, window_size=11).item()
    assert ssim_half(logits, target).item() == pytest.approx(expected, abs=1e-6)


def test_structure_is_what_the_s_measure_leaves_to_one() -> None:
    generator = torch.Generator().manual_seed(1)
    target = torch.zeros(2, 1, 48, 64)
    target[0, 0, 5:20, 9:40] = target[1, 0, 30:, :7] = 1
    p = torch.rand(2, 1, 48, 64, generator=generator)
    measure = Smeasure()
    for map_, mask in zip(p[:, 0].numpy(), target[:, 0].numpy(), strict=True):
        measure.step(map_, mask > 0, normalize=False)
    found = structure(torch.logit(p), target).item()
    assert found == pytest.approx(1 - measure.get_results()["sm"], abs=1e-4)


def test_a_box_is_the_smallest_rectangle_around_each_defect() -> None:
    masks = np.zeros((2, 6, 8), np.uint8)
    masks[0, 1:4, 1] = masks[0, 3, 1:4] = 1  # an L
    masks[0, 5, 7] = 1
    expected = np.zeros((2, 1, 6, 8), np.float32)
    expected[0, 0, 1:4, 1:4] = expected[0, 0, 5, 7] = 1
    assert np.array_equal(boxes(masks), expected)


def of_lsanet(location: Tensor, square: Tensor, strip: Tensor) -> LSANetOutput:
    maps = tuple(torch.full((2, 1, 2, 2), logit) for logit in (SURE, -SURE))
    return LSANetOutput([torch.zeros(2, 1, 16, 16)], location, (square, strip), maps)


def test_location_shape_and_difference_have_the_values_worked_out_by_hand() -> None:
    mask = torch.zeros(2, 1, 16, 16)
    mask[0, 0, 0, 0] = mask[0, 0, 7, 7] = 1  # two boxes of a pixel, gone at half size but one
    mask[1] = 1
    located = torch.from_numpy(boxes(mask[:, 0].byte().numpy()))
    truth = Truth(mask, torch.zeros(2, dtype=torch.long), boxes=located)
    square, strip = torch.zeros(2, 3, 2, 2), torch.ones(2, 3, 2, 2)
    strip[1] = 0  # of the second image they see the same
    output = of_lsanet(torch.full((2, 1, 8, 8), SURE), square, strip)
    # One pixel of 64 found with 63 too many, and all of 64: Dice 2/65 and 1.
    location = 0.5 * SURE * 63 / 128 + (1 - 2 / 65) / 2
    assert OUTPUT_LOSSES["location"](output, truth).item() == pytest.approx(location, rel=1e-5)
    difference = (1 / (1 + 1e-6) + 1e6) / 2
    assert OUTPUT_LOSSES["difference"](output, truth).item() == pytest.approx(difference, rel=1e-5)
    # At 2x2, the first image's mask is one pixel of four, the second's all.
    all_said = 0.5 * SURE * 3 / 8 + (1 - 2 / 5) / 2
    none_said = 0.5 * SURE * 5 / 8 + 1
    shape = OUTPUT_LOSSES["shape"](output, truth).item()
    assert shape == pytest.approx(all_said + none_said, rel=1e-5)


def test_mixed_supervision_adds_a_hundredth_of_the_class_to_every_map() -> None:
    truth = Truth(torch.cat([EMPTY, FULL]), torch.tensor([0, 1]))
    certain = torch.tensor([[SURE, 0.0], [0.0, SURE]])
    output = DMSOutput([UNSURE.expand(2, -1, -1, -1)] * 3, [certain, -certain, certain * 0])
    section = LossSection(each_map={"bce": 1}, output={"classification": 0.01})
    expected = 3 * LN2 + 0.01 * (0 + SURE + LN2)
    assert supervise(output, truth, section).item() == pytest.approx(expected, rel=1e-5)


def test_weights_multiply_each_loss_and_the_first_map_may_have_its_own() -> None:
    truth = Truth(FULL, torch.tensor([0]))
    section = LossSection(each_map={"bce": 2, "cel": 1}, first_map={"iou": 3})
    expected = 2 * LN2 + 1 / 3 + 2 * SURE + 1 + 3 * (1 - 129 / 257)
    total = supervise([UNSURE, FULL * -SURE], truth, section)
    assert total.item() == pytest.approx(expected, rel=1e-5)


def test_a_pupil_that_answers_as_its_teacher_is_pulled_nowhere() -> None:
    answer = torch.linspace(-3, 3, 256).view(1, 1, SIDE, SIDE)
    for temperature in (1.0, 4.0):
        pupil = answer.clone().requires_grad_()
        distillation([pupil], answer, temperature).backward()  # type: ignore[no-untyped-call]
        assert pupil.grad is not None
        assert pupil.grad.abs().max() < 1e-6
    # Unsure on both sides costs ln 2 a map, times the temperature squared.
    unsure = distillation([UNSURE, UNSURE], UNSURE, 2.0)
    assert unsure.item() == pytest.approx(2 * 4 * LN2)


@pytest.mark.parametrize("name", OUTPUT_LOSSES)
def test_a_loss_that_the_network_has_no_output_for_names_the_network(name: str) -> None:
    truth = Truth(EMPTY, torch.tensor([0]))
    with pytest.raises(ConfigurationError, match=f"`{name}` needs network: {{name: (lsanet|dms)"):
        OUTPUT_LOSSES[name]([UNSURE], truth)


def test_a_recipe_can_name_every_loss() -> None:
    assert set(get_args(MapLoss)) == set(MAP_LOSSES)
    assert set(get_args(OutputLoss)) == set(OUTPUT_LOSSES)
