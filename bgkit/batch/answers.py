"""What a finished picture is turned into where it was made, when its caller is elsewhere: files in memory."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bgkit.batch.jobs import Job, Outcome
from bgkit.batch.strips import thumbnail
from bgkit.imagefile import write_picture
from bgkit.layers import Layers
from bgkit.pipeline import Pipeline

__all__ = ["OPACITY", "Encode", "Thumbnail", "describe", "small_picture"]

OPACITY = "opacity"  # as a layer to encode: the result's own
SIDE = 480  # px of a thumbnail


@dataclass(frozen=True)
class Encode:
    """Turn finished layers into files, where they were made; ``opacity`` is the result's own, in its frame."""

    layers: tuple[str, ...]
    format: str

    def __call__(self, job: Job, layers: Layers) -> dict[str, Any]:
        contents, sizes = {}, {}
        for name in self.layers:
            array = getattr(layers, "result" if name == OPACITY else name)
            if name == OPACITY:
                array = array[:, :, 3] if array.shape[2] == 4 else layers.alpha
            like = layers.facts.get("input", {})
            contents[name] = _archive(array, like) if self.format == "zip" else _file(array, like, self.format)
            sizes[name] = list(array.shape[:2])
        return {"contents": contents, "sizes": sizes}


def _file(array: Any, like: Mapping[str, Any], form: str) -> bytes:
    file = io.BytesIO()
    write_picture(file, array, like=like, format=form)
    return file.getvalue()


def _archive(array: Any, like: Mapping[str, Any]) -> bytes:
    """Return a zip file of color and alpha apart, as remove.bg's: a JPEG and a gray PNG are smaller than one PNG."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        if array.ndim == 3:
            archive.writestr("color.jpg", _file(array[:, :, :3], like, "jpg"))
        if array.ndim == 2 or array.shape[2] == 4:
            archive.writestr("alpha.png", _file(array if array.ndim == 2 else array[:, :, 3], like, "png"))
    return file.getvalue()


@dataclass(frozen=True)
class Thumbnail:
    """Make a small copy of a result where it was made; with ``picture`` of the picture, too."""

    side: int = SIDE
    picture: bool = False

    def __call__(self, job: Job, layers: Layers) -> Mapping[str, Any]:
        result = layers.result if layers.result is not None else layers.alpha
        small = {"thumbnail": self._file(result)}
        return small | {"picture": self._file(layers.image)} if self.picture else small

    def _file(self, array: Any) -> bytes:
        file = io.BytesIO()
        if array is not None:
            write_picture(file, thumbnail(array, self.side), format="webp")
        return file.getvalue()


def small_picture() -> bytes:
    """Return a small picture as a file, for a process's first job."""
    file = io.BytesIO()
    write_picture(file, np.tile(np.linspace(0, 1, 64, dtype=np.float32)[:, None, None], (1, 64, 3)))
    return file.getvalue()


def describe(pipeline: Pipeline, outcome: Outcome) -> dict[str, Any]:
    """Return what there is to say of a picture that is done, in plain values."""
    facts = dict(outcome.facts)
    findings, read = facts.pop("findings", {}), facts.pop("input", {})
    ran = [each for each in facts.values() if isinstance(each, dict) and {"model", "sha256"} <= set(each)]
    return {
        "pipeline": {"name": pipeline.name, "sha256": pipeline.digest()},
        "models": [{name: each[name] for name in ("model", "sha256", "license", "provider")} for each in ran],
        "size": list(outcome.size or ()),
        "seconds": {name: round(seconds, 4) for name, seconds in outcome.seconds.items()},
        "findings": findings,
        "flags": outcome.flags,
        "warnings": list(outcome.warnings),
        "facts": facts,
        "input": {name: value for name, value in read.items() if name != "path"},
    }
