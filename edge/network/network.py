"""What judges frames: an engine that runs what a bundle holds."""

from __future__ import annotations

from typing import NamedTuple

from edge.bundle import Bundle, InputSpec
from edge.engines import Engine, Prepared
from edge.network.names import read_answer
from edge.network.preprocess import to_pixels, to_tensor
from edge.types import Image, Mask


class Network(NamedTuple):
    """A bundle, and an engine that has it loaded."""

    bundle: Bundle
    engine: Engine

    def prepare(self, image: Image) -> Prepared:
        """What the engine infers soonest from."""
        return prepare(image, self.bundle.manifest.input, self.engine)

    def see(self, image: Image) -> Mask:
        """What is defective in one whole image, which no line shows it."""
        answer = self.engine.infer(self.prepare(image))
        return read_answer(answer, image.shape[:2], self.bundle.manifest)


def prepare(image: Image, spec: InputSpec, engine: Engine) -> Prepared:
    """Bytes for an engine that normalises them itself, a normalised tensor for any other."""
    return (to_pixels if engine.takes_pixels else to_tensor)(image, spec)
