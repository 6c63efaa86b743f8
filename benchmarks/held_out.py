"""The pictures of the training sets that the embedded network never saw: those that training sets aside."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.quality import data_folder
from bgkit.imagefile import read_picture

__all__ = ["HeldOut", "held_out"]

HELD = 400  # by the permutation of seed 0


@dataclass(frozen=True)
class HeldOut:
    """A picture and its mask, read as :class:`bgkit.evaluate.samples.Sample` reads them."""

    name: str
    kind: str
    image: bytes
    mask: bytes

    def read_image(self) -> NDArray[np.float32]:
        """Return the picture (M, N, 3), 0..1."""
        return read_picture(io.BytesIO(self.image)).image

    def read_truth(self) -> NDArray[np.float32]:
        """Return the mask (M, N), 0..1."""
        mask = cv2.imdecode(np.frombuffer(self.mask, np.uint8), cv2.IMREAD_GRAYSCALE)
        return mask.astype(np.float32) / 255


def held_out() -> list[HeldOut]:
    """Return these pictures, in the order in which training drew them.

    Raises
    ------
    FileNotFoundError
        If the training pictures are not there: a fit without them would be another one.
    """
    files: dict[str, bytes] = {}
    for shard in sorted((data_folder() / "train").glob("train-*.tar")):
        with tarfile.open(shard) as archive:
            files |= {member.name: archive.extractfile(member).read() for member in archive if member.isfile()}
    if not files:
        raise FileNotFoundError(f"{data_folder() / 'train'}: expected train-*.tar, of which training holds some out")
    names = sorted({name.rsplit(".", 1)[0] for name in files})
    return [
        HeldOut(
            name,
            "full-body persons, held out" if name.startswith("ccp-") else "DUTS, held out",
            files[name + ".webp"],
            files[name + ".png"],
        )
        for name in (names[index] for index in np.random.default_rng(0).permutation(len(names))[:HELD])
    ]
