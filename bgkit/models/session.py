"""Run a network as its card says: layers in, one float32 map of the picture's size out.

One session per process and file, shared by all threads; ONNX Runtime is imported when the first
one is made. A forked process makes sessions of its own.
"""

from __future__ import annotations

import ctypes
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bgkit.deadline import stopping
from bgkit.errors import ModelError
from bgkit.files import digest_of, mismatch
from bgkit.models.card import Card
from bgkit.models.decode_output import read_instances, read_map, to_picture
from bgkit.models.encode_input import fill, place
from bgkit.models.fitting import check_card, output_names, spatial
from bgkit.models.graph import read_graph
from bgkit.models.second_look import find_window
from bgkit.models.store import check_external_data, how_to_get, resolve
from bgkit.threads import Lock, threads

__all__ = ["PROVIDERS", "Network", "network", "providers_here", "start"]

Array = NDArray[Any]

# What a provider is called here -> in ONNX Runtime.
PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "rocm": "ROCMExecutionProvider",
    "migraphx": "MIGraphXExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
}

FAR = 0.5  # a map this far outside 0..1 is no probability; networks without a last clip overshoot by less

_lock = Lock()
_networks: dict[tuple[Path, str, str], Network] = {}


def network(model: str, *, provider: str = "cpu") -> Network:
    """Return the network ``model`` (a name or a path), ready to run; made once per process.

    Raises
    ------
    ModelError
        If it is unknown, not fetched, damaged, or not what its card says, or the provider is absent.
    """
    card, path = resolve(model)
    state = path.stat()
    stamp = (state.st_size, state.st_mtime_ns, threads())
    with _lock:
        known = _networks.get((path, card.name, provider))
        if known is None or known.stamp != stamp or known.card != card:
            known = _networks[path, card.name, provider] = Network(card, path, provider, stamp)
        return known


def _after_fork() -> None:
    """Forget the parent's sessions without ending them: their threads are not here, and would be waited for."""
    for left in _networks.values():
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(left._session))
    _networks.clear()
    libc: Any = ctypes.CDLL(None) if sys.platform == "linux" else None
    if "onnxruntime" in sys.modules and hasattr(libc, "on_exit"):
        # ONNX Runtime 1.32 waits for a thread of the parent when a child exits; Python has cleaned up by then.
        libc.on_exit(libc._exit, None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def providers_here() -> list[str]:
    """Return the short names of the providers that the installed ONNX Runtime has."""
    import onnxruntime

    available = onnxruntime.get_available_providers()
    return [name for name, full in PROVIDERS.items() if full in available]


class Network:
    """A session with its card. Safe to use from several threads at once."""

    def __init__(self, card: Card, path: Path, provider: str, stamp: tuple[int, ...] = ()) -> None:
        self.card, self.path, self.provider, self.stamp = card, path, provider, stamp
        wrong = mismatch(path, sha256=card.file.sha256, md5=card.file.md5)
        if wrong:
            raise ModelError(f"{path}: {wrong}; the file is damaged or another: {how_to_get(card, path)}")
        self.graph = read_graph(path)
        self.inputs = check_card(card, self.graph, str(path))
        self.outputs = output_names(card, self.graph, str(path))
        check_external_data(path, self.graph)
        self.sha256 = card.file.sha256 or digest_of(path)
        for text in card.inferred:
            warnings.warn(f"{path.name}: {text}", stacklevel=2)
        self._warned = False  # of values far outside 0..1
        # Products of large matrices are cut up by the number of threads, which changes their last bits.
        self._session = start(path, provider, 1 if card.task == "regions" else threads())

    @property
    def facts(self) -> dict[str, str]:
        """What a report should say of a run with this network."""
        return {
            "model": self.card.name,
            **({"version": self.card.version} if self.card.version else {}),
            "sha256": self.sha256,
            "license": self.card.license.name,
            "use": self.card.use,
            "provider": self.provider,
        }

    @property
    def batches(self) -> bool:
        """Whether several pictures of one size may go through at once."""
        shapes = [self.inputs[tensor].shape for tensor in range(len(self.inputs))]
        layouts = (self.card.input.layout, self.card.output_layout)
        return "CHW" not in layouts and all(shape is not None and shape[0] is None for shape in shapes)

    def run(self, layers: Mapping[str, Array]) -> Array:
        """Return the map of one picture: float32 (M, N), 0..1.

        Parameters
        ----------
        layers : mapping of str to array
            The layers that the card asks for, of one size; float32 0..1, a trimap uint8.
        """
        return self.run_batch([layers])[0]

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the feature map that a network that scores regions takes their windows on."""
        rule = self.card.output.regions
        shape = next(value.shape for value in self.graph.inputs if rule is not None and value.name == rule.windows)
        return shape[2], shape[3]  # type: ignore[index, return-value]  # checked with the card

    @property
    def levels(self) -> int:
        """How many segmentations a network that scores regions adds up."""
        rule = self.card.output.regions
        shape = next(value.shape for value in self.graph.outputs if rule is not None and value.name == rule.levels)
        return shape[0]  # type: ignore[index, return-value]  # checked with the card

    def score_regions(self, image: Array, windows: Array) -> tuple[Array, Array, Array]:
        """Return what a network makes of a picture's regions, each given by three windows (R, 3, h, w).

        Returns
        -------
        tuple of ndarray
            Saliency of each region (R,), weight of each level of segmentation, chance that a region is an object (R,).
        """
        placed = place(self.card, image.shape[:2], self._fixed_size())
        feed = fill(self.card, ("image",), {"image": image}, placed)
        mdf, levels, rcnn = self._call([feed], {self.card.output.regions.windows: windows})  # type: ignore[union-attr]
        return mdf, levels, rcnn

    def run_batch(self, pictures: Sequence[Mapping[str, Array]]) -> list[Array]:
        """Return the maps of several pictures of one size, in one call where the graph allows, else one by one."""
        answers = self._look(pictures)
        if self.card.input.closer is not None:
            for layers, answer in zip(pictures, answers, strict=True):
                self._look_closer(layers, answer, self.card.input.closer)
        return answers

    def _look_closer(self, layers: Mapping[str, Array], answer: Array, share: float) -> None:
        """Write into a picture's map what the network makes of the window around what it found."""
        window = find_window(answer, share)
        if window is None:
            return
        part = answer[window.slices]
        closer = self._look([{name: layer[window.slices] for name, layer in layers.items()}])[0]
        closer -= part
        closer *= window.weights
        part += closer

    def _look(self, pictures: Sequence[Mapping[str, Array]]) -> list[Array]:
        rows, cols = pictures[0]["image"].shape[:2]
        placed = place(self.card, (rows, cols), self._fixed_size())
        feeds = [
            [fill(self.card, tensor.layers, layers, placed) for tensor in self.card.tensors] for layers in pictures
        ]
        if self.card.output.instances is not None:
            rule = self.card.output.instances
            return [read_instances(rule, self._call(each), placed, (rows, cols)) for each in feeds]
        if not self.card.input.mirror:
            small = self._maps(feeds)
        else:
            axis = {"NCHW": 3, "NHWC": 2, "CHW": 2}[self.card.input.layout]
            turned = [[np.flip(feed, axis) for feed in each] for each in feeds]
            maps = self._maps(feeds + turned)
            both = zip(maps[: len(feeds)], maps[len(feeds) :], strict=True)
            small = [0.5 * (one + other[:, ::-1]) for one, other in both]
        return [to_picture(self.card, each, placed, (rows, cols)) for each in small]

    def _maps(self, feeds: list[list[Array]]) -> list[Array]:
        """Return the network's map of each set of inputs, at its own size."""
        if not self.batches or len(feeds) == 1:
            return [self._map(self._call([np.ascontiguousarray(feed) for feed in each])[0]) for each in feeds]
        out = self._call([np.concatenate(column) for column in zip(*feeds, strict=True)])[0]
        return [self._map(out[i : i + 1]) for i in range(len(feeds))]

    def _map(self, output: Array) -> Array:
        """Return the map of one picture's output, clipped to 0..1; of values far outside it warns once."""
        answer = read_map(self.card, output, self.path)
        low, high = float(answer.min()), float(answer.max())
        if not self._warned and not self.card.output.stretch and (low < -FAR or high > 1 + FAR):
            self._warned = True
            warnings.warn(
                f"{self.card.name}: expected an output of 0..1, got {low:.3g}..{high:.3g}, which was clipped; "
                'does the card miss output.activation = "sigmoid"?',
                stacklevel=2,
            )
        return np.clip(answer, 0, 1)

    def _call(self, feeds: list[Array], others: Mapping[str, Array] | None = None) -> list[Array]:
        named = {
            value.name: np.rint(feed).astype(value.dtype) if value.dtype == "uint8" else _as(feed, value.dtype)
            for value, feed in zip(self.inputs, feeds, strict=True)
        } | dict(others or {})
        import onnxruntime

        options = onnxruntime.RunOptions()
        options.log_severity_level = 4  # what goes wrong is raised, too; the terminal is not ONNX Runtime's
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")  # some 60 MB, kept for nothing
        with stopping(lambda: setattr(options, "terminate", True)):
            try:
                found: list[Array] = self._session.run(self.outputs, named, options)
            except Exception as error:  # ONNX Runtime raises a dozen kinds, all of its own
                raise ModelError(f"{self.card.name}: the network failed while running: {error}") from error
        return found

    def _fixed_size(self) -> tuple[int | None, int | None]:
        return spatial(self.inputs[0], self.card.input.layout)


def _as(feed: Array, dtype: str) -> Array:
    return feed if feed.dtype == dtype else feed.astype(dtype)


def start(path: Path, provider: str, count: int | None = None) -> Any:
    """Return an ``onnxruntime.InferenceSession`` on ``provider``, by default with as many threads as bgkit may use."""
    import onnxruntime

    here = providers_here()
    if provider not in here:
        raise ModelError(
            f"provider: expected one that this ONNX Runtime has ({', '.join(here)}), got {provider!r}; "
            "install a build of onnxruntime that has it"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = count or threads()
    options.inter_op_num_threads = 1
    # Warnings of old exporters tell a user nothing, and errors are raised, too, but for why a provider did not start.
    options.log_severity_level = 4 if provider == "cpu" else 3
    # Falling back to the processor where an operator is missing is ONNX Runtime's way; a whole
    # provider that fails to start is reported below.
    names = list(dict.fromkeys([PROVIDERS[provider], PROVIDERS["cpu"]]))
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=names)
    except Exception as error:
        raise ModelError(f"{path}: ONNX Runtime cannot load the network: {error}") from error
    if session.get_providers()[0] != PROVIDERS[provider]:
        raise ModelError(
            f"provider: {provider!r} is installed but did not start on this machine "
            f"(ONNX Runtime chose {session.get_providers()[0]}); expected one of {', '.join(here)}"
        )
    return session
