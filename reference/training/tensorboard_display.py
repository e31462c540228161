"""A training run for TensorBoard: the only module that wants it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

_OF_THE_RUN = ("iteration", "seconds")


class TensorBoardDisplay:
    """Loss by step, and every figure of the log, below the run's folder."""

    def __init__(self, folder: Path, iteration: int) -> None:
        # What a killed run wrote after its last checkpoint comes again.
        self._writer = SummaryWriter(str(folder), purge_step=iteration + 1)

    def __enter__(self) -> TensorBoardDisplay:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def advance(self, iteration: int, loss: float) -> None:
        self._writer.add_scalar("train/loss", loss, iteration)

    def enter(self, row: Mapping[str, float], *, better: bool) -> None:
        for name, value in row.items():
            if name not in _OF_THE_RUN:
                kind = "train" if name == "learning_rate" else "validation"
                tag = "train/mean_loss" if name == "loss" else f"{kind}/{name}"
                self._writer.add_scalar(tag, value, int(row["iteration"]))
        self._writer.flush()
