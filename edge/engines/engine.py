"""The Engine protocol, the settings that choose an engine, and the promises that all of them keep.

An adapter is `<type>_engine.py` with one function, `load(settings, artefact, bundle) -> Run`. It
alone imports its vendor's library, and is itself imported only when the settings ask for it. Where
`TAKES_PIXELS` is set there, its `Run` is given bytes in place of a normalised tensor; where
`TAKES_ANY_SIZE` is, pictures of other sizes than the network's own, in multiples of `STRIDE`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from threading import Semaphore
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from edge.bundle import STRIDE, Artefact, InputSpec, Manifest
from edge.errors import BundleError, ConfigurationError, EngineError, EngineUnavailable
from edge.extras import install
from edge.line_file import EngineSettings, NativeSettings, OpenVinoSettings
from edge.types import Tensor

if TYPE_CHECKING:
    from edge.bundle import Bundle

Prepared = NDArray[Any]  # N,C,H,W: a normalised tensor, or the pixels it would be made of
Run = Callable[[Prepared], Sequence[NDArray[Any]]]  # in the artefact's layout to its outputs


class Answer(NamedTuple):
    """What a network makes of one tensor."""

    logits: Tensor  # N,1,h,w
    names: Tensor | None = None  # N,C,h',w' logits among the classes; None: it names nothing


class Engine(Protocol):
    """A loaded network, for any thread: as many run it at once as its settings say.

    `close` gives its memory back.
    """

    name: str
    takes_pixels: bool  # it normalises them itself; `edge.network.prepare` makes what it takes
    # Pictures of other sizes that it infers side by side; 0 where it takes the network's own alone.
    blocks_at_once: int

    def infer(self, tensor: Prepared) -> Answer:
        """N,C,H,W of what it takes to its answer, whatever layout the vendor prefers.

        EngineError where the engine fails; ValueError for a tensor of another shape or kind, and
        once it is closed.
        """
        ...

    def infer_all(self, tensors: Sequence[Prepared]) -> list[Answer]:
        """Several frames or tiles: side by side where the engine gains by it."""
        ...

    def close(self) -> None: ...


def open_engine(settings: EngineSettings, bundle: Bundle) -> Engine:
    """Load the bundle's artefact for these settings and run it once: it fails here or not at all.

    BundleError where the bundle has none for it or the engine cannot run it, EngineUnavailable
    where the engine's package or device is not there. Whether it answers rightly is for
    `edge.network.check_golden` to say.
    """
    engine = load_engine(settings, bundle)
    spec = bundle.manifest.input
    with _refusing(settings, bundle):
        kind = np.uint8 if engine.takes_pixels else np.float32
        engine.infer(np.zeros((1, spec.channels, spec.height, spec.width), kind))
    return engine


def load_engine(settings: EngineSettings, bundle: Bundle) -> Engine:
    """What `open_engine` does before the first run, for those who time the two apart.

    Raises as `open_engine` does.
    """
    artefact = bundle.artefact(settings.type, settings.precision)
    adapter = _import_adapter(settings.type)
    with _refusing(settings, bundle):
        run = _exact(adapter.load(settings, artefact, bundle), artefact, bundle.manifest)
    any_size = (
        getattr(adapter, "TAKES_ANY_SIZE", False)
        and settings.height is settings.width is None  # the line file leaves it open
        and _answers_each_place(bundle.manifest)
    )
    return _BundleEngine(
        f"{artefact.engine} {artefact.precision}",
        run,
        bundle.manifest.input,
        takes_pixels=getattr(adapter, "TAKES_PIXELS", False),
        side_by_side=_side_by_side(settings),
        any_size=any_size,
    )


def _side_by_side(settings: EngineSettings) -> int:
    match settings:
        case NativeSettings():
            return settings.threads
        case OpenVinoSettings():
            return settings.streams
    return 1  # the others gain more from several threads inside one inference


@contextmanager
def _refusing(settings: EngineSettings, bundle: Bundle) -> Iterator[None]:
    """An engine that cannot run its artefact makes the bundle one to refuse."""
    try:
        yield
    except ConfigurationError:
        raise
    except Exception as error:
        path = bundle.artefact(settings.type, settings.precision).path
        cause = error.__cause__ if isinstance(error, EngineError) else error
        raise BundleError(
            f"{bundle.path}: {settings.type} cannot run {path} ({_in_one_line(cause)}): "
            "install the version the bundle was packed with, or pack it again"
        ) from error


def _answers_each_place(manifest: Manifest) -> bool:
    """Whether its maps grow with what it is shown; one cell of names stands for the whole."""
    spec, maps = manifest.input, [(manifest.output.height, manifest.output.width)]
    if manifest.names is not None:
        maps.append((manifest.names.height, manifest.names.width))
    return all(
        given % answered == 0 and STRIDE % (given // answered) == 0
        for size in maps
        for given, answered in zip((spec.height, spec.width), size, strict=True)
    )


def _import_adapter(engine: str) -> Any:
    try:
        return import_module(f"edge.engines.{engine}_engine")
    except ImportError as error:
        raise EngineUnavailable(
            f"engine {engine} cannot be imported ({error}): {install(engine)}"
        ) from error


def _exact(run: Run, artefact: Artefact, manifest: Manifest) -> Callable[[Prepared], Answer]:
    """The adapter's `run` as N,C,H,W to float32 maps that the next run does not overwrite."""

    def answer(tensor: Prepared) -> Answer:
        shapes = _answered(_shown(manifest, tensor.shape[2], tensor.shape[3]))
        if artefact.layout == "NHWC":
            tensor = tensor.transpose(0, 2, 3, 1)
        outputs = run(np.ascontiguousarray(tensor))  # copies nothing where there is one channel
        if len(outputs) != len(shapes):
            raise ValueError(
                f"it has {len(outputs)} output{'s'[: len(outputs) > 1]}, and the manifest "
                f"{len(shapes)}"
            )
        placed = zip(outputs, shapes, strict=True)
        return Answer(*(_in_place(output, shape, artefact.layout) for output, shape in placed))

    return answer


def _shown(manifest: Manifest, height: int, width: int) -> Manifest:
    is_own = (height, width) == (manifest.input.height, manifest.input.width)
    return manifest if is_own else manifest.at(height, width)


def _answered(manifest: Manifest) -> list[tuple[int, ...]]:
    """The shapes of a network's maps."""
    shapes: list[tuple[int, ...]] = [(1, 1, manifest.output.height, manifest.output.width)]
    if manifest.names is not None:
        shapes.append((1, manifest.named_channels, manifest.names.height, manifest.names.width))
    return shapes


def _in_place(output: NDArray[Any], shape: tuple[int, ...], layout: str) -> Tensor:
    """A copy of an output as N,C,h,w."""
    # One channel is the same memory in either layout, and converters differ in which they say.
    if shape[1] == 1 and output.shape in {shape, (1, *shape[2:], 1)}:
        return np.array(output, np.float32).reshape(shape)
    if layout == "NHWC" and output.ndim == 4:
        output = output.transpose(0, 3, 1, 2)
    if output.shape != shape:
        raise ValueError(f"an output of it is {output.shape}, the manifest's {shape}")
    return np.array(output, np.float32, order="C")


class _BundleEngine:
    """A network that runs, behind one check of what goes in and no exception but ours."""

    def __init__(
        self,
        name: str,
        run: Callable[[Prepared], Answer],
        spec: InputSpec,
        *,
        takes_pixels: bool,
        side_by_side: int,
        any_size: bool,
    ) -> None:
        self.name = name
        self.blocks_at_once = side_by_side if any_size else 0
        self._run: Callable[[Prepared], Answer] | None = run
        self._shape = (1, spec.channels, spec.height, spec.width)
        self.takes_pixels = takes_pixels
        self._turns = Semaphore(side_by_side)  # not every vendor's can be run by two at once
        self._pool = ThreadPoolExecutor(side_by_side, "engine") if side_by_side > 1 else None

    def infer(self, tensor: Prepared) -> Answer:
        if self._run is None:
            raise ValueError(f"engine {self.name} is closed: open it again")
        wanted = np.dtype(np.uint8 if self.takes_pixels else np.float32)
        if not self._takes(tensor.shape) or tensor.dtype != wanted:
            raise ValueError(
                f"engine {self.name} takes {wanted} {self._shape}, "
                f"not {tensor.dtype} {tensor.shape}: make it with `prepare`"
            )
        try:
            with self._turns:
                return self._run(tensor)
        except Exception as error:
            raise EngineError(
                f"engine {self.name} failed ({_in_one_line(error)}): check its device and driver, "
                "then start again"
            ) from error

    def _takes(self, shape: tuple[int, ...]) -> bool:
        if shape == self._shape:
            return True
        other = self.blocks_at_once and shape[:2] == self._shape[:2] and len(shape) == 4
        return bool(other) and all(side >= STRIDE and side % STRIDE == 0 for side in shape[2:])

    def infer_all(self, tensors: Sequence[Prepared]) -> list[Answer]:
        each = self._pool.map if self._pool and len(tensors) > 1 else map
        return list(each(self.infer, tensors))

    def close(self) -> None:
        self._run = None
        if self._pool:
            self._pool.shutdown()


def _in_one_line(error: BaseException | None) -> str:
    return " ".join(str(error).split())
