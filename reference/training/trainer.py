"""One training step after another: forward, loss, backward, average; and what may stop them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from reference.data import Batch
from reference.data.held import DeviceBatch
from reference.datasets.labels import Marks
from reference.losses import Truth, boxes, distillation, supervise
from reference.networks import Output, logit_maps
from reference.trained import TrainedNetwork, network_input
from reference.training.optimizer import Length, learning_rate, set_learning_rate
from reference.training.run import Run


@dataclass
class Trainer:
    """A run, and what its steps need."""

    fabric: Fabric
    run: Run
    forward: Callable[[Tensor], Output]
    length: Length
    teacher: TrainedNetwork | None

    def step(self, batch: Batch | DeviceBatch) -> Tensor:
        """One optimizer step; everything random in it follows from the seed and the iteration."""
        run, recipe = self.run, self.run.recipe
        # Dropout; each process of several drops its own.
        torch.manual_seed(recipe.seed * 1_000_003 + run.iteration + (self.fabric.global_rank << 40))
        images = self._sent(torch.as_tensor(batch.images))
        truth = self._truth(batch, images)
        set_learning_rate(run.optimizer, learning_rate(recipe, self.length, run.iteration))
        self._set_mode()
        output = self.forward(network_input(images, recipe))
        loss = supervise(output, truth, recipe.loss)
        if self.teacher is not None and recipe.teacher is not None:
            # Fed as its own recipe says, not as the pupil's.
            shown = network_input(images, self.teacher.recipe)
            with torch.no_grad(), self.fabric.autocast():
                answer = logit_maps(self.teacher.network(shown))[0]
            towards = distillation(output, answer.float(), recipe.teacher.temperature)
            loss = loss + recipe.teacher.weight * towards
        run.optimizer.zero_grad()
        self.fabric.backward(loss if run.scaler is None else run.scaler.scale(loss))
        if run.scaler is not None:
            run.scaler.unscale_(run.optimizer)
        if recipe.clip is not None:
            nn.utils.clip_grad_norm_(run.network.parameters(), recipe.clip)
        if run.scaler is None:
            run.optimizer.step()
        else:  # which leaves out a step whose gradients are too large for half precision
            run.scaler.step(run.optimizer)
            run.scaler.update()
        run.iteration += 1
        run.average()
        return loss.detach()

    def _set_mode(self) -> None:
        """What is not trained answers as it always does: by its averages, without dropout."""
        trained = self.run.recipe.trains
        self.run.network.train(not trained)
        for name, module in self.run.network.named_modules():
            if trained and name.startswith(trained):
                module.train()

    def _truth(self, batch: Batch | DeviceBatch, images: Tensor) -> Truth:
        """Sent before the network answers: a loss that fetched it would wait for the answer."""
        mask = self._sent(torch.as_tensor(batch.masks)).float().unsqueeze(1)
        grey = images if images.ndim == 3 else images.float().mean(dim=-1)
        marks, order = self._marks(batch.marks)
        located = None
        if self.run.recipe.loss.locates:
            located = self._sent(torch.from_numpy(boxes(np.asarray(batch.masks))))
        answers = None
        if isinstance(batch, Batch) and batch.answers is not None:
            answers = self._sent(torch.from_numpy(batch.answers)).float().unsqueeze(1) / 255
        return Truth(mask, self._labels(batch), grey.float() / 255, marks, order, located, answers)

    def _marks(self, marks: Marks | None) -> tuple[Marks | None, Tensor | None]:
        """The marks with their planes sent, and the order of their groups, if there are several."""
        if marks is None:
            return None, None
        sent = marks._replace(labels=self._sent(torch.as_tensor(marks.labels)))
        several = len(list(marks.groups())) > 1
        return sent, self._sent(torch.tensor(marks.order())) if several else None

    def _labels(self, batch: Batch | DeviceBatch) -> Tensor:
        """The numbers of the images' classes, where the network names any."""
        known = self.run.classes
        numbers = [known.index(name) for name in batch.class_names if known]
        return self._sent(torch.tensor(numbers, dtype=torch.long))

    def _sent(self, values: Tensor) -> Tensor:
        """On the device; from pinned memory, without which a copy waits for itself."""
        device = self.fabric.device
        if device.type == "cuda" and values.device.type == "cpu":
            values = values.pin_memory()
        return values.to(device, non_blocking=True)

    def settle(self, pending: list[Tensor]) -> None:
        """Take losses off the device; raise if one is no number, before anything is written."""
        first = self.run.iteration - len(pending)
        losses = self.fabric.all_reduce(torch.stack(pending), reduce_op="mean")
        assert isinstance(losses, Tensor)  # a tensor's mean is one
        for iteration, loss in enumerate(losses.tolist(), first):
            if not math.isfinite(loss):
                raise self.run.diverged(f"the loss is {loss} at iteration {iteration}")
            self.run.losses.append(loss)
        pending.clear()
