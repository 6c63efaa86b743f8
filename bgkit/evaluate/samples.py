"""What a data set is made of: pictures, and what is known of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bgkit.errors import ImageError, LayerError
from bgkit.evaluate.mattes import read_matte

__all__ = ["Dataset", "Sample"]

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Sample:
    """One picture of a set and what is known of it."""

    name: str
    image: Path
    truth: Path | None = None
    trimaps: tuple[Path, ...] = ()
    plate: Path | None = None
    foreground: Path | None = None
    kind: str = ""  # the set's own grouping: light and ground of a studio shot, sequence of a video
    instances: bool = False  # the truth numbers objects; every number but 0 is subject

    @property
    def has_truth(self) -> bool:
        """Whether :meth:`read_truth` has something to read."""
        return self.truth is not None

    def read_image(self) -> Array:
        """Return the picture (M, N, 3), 0..1."""
        from bgkit.imagefile import read_picture

        return read_picture(self.image).image

    def read_truth(self) -> Array:
        """Return the true mask or alpha (M, N), 0..1."""
        if self.truth is None:
            raise ImageError(f"{self.name}: the set has no truth for this picture")
        if self.instances:  # a palette's colors: gray would make dark red a weak maybe
            colors = replace(self, image=self.truth).read_image()
            return np.asarray(colors.max(axis=2) > 0, np.float32)
        return read_matte(self.truth, truth=True)

    def read_trimap(self, number: int = 0) -> NDArray[np.uint8] | None:
        """Return a trimap (M, N) of 0, 128, 255, or None where there is none of that number."""
        if number >= len(self.trimaps):
            return None
        from bgkit.imagefile import read_trimap
        from bgkit.layers import as_layer

        path = self.trimaps[number]
        try:
            return as_layer("trimap", read_trimap(path))
        except LayerError as error:
            raise error.at(str(path)) from None

    def read_plate(self) -> Array | None:
        """Return the empty scene (M, N, 3), or None."""
        return None if self.plate is None else replace(self, image=self.plate).read_image()

    def read_foreground(self) -> Array | None:
        """Return the true color of the subject (M, N, 3), or None."""
        return None if self.foreground is None else replace(self, image=self.foreground).read_image()


@dataclass(frozen=True)
class Dataset:
    """The samples of a set, in the order of their names; ``unmatched`` lists files without a partner."""

    name: str
    samples: tuple[Sample, ...]
    unmatched: tuple[Path, ...] = ()

    def __len__(self) -> int:
        return len(self.samples)

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.samples)
