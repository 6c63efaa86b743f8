"""Sequences of pictures: a folder of them, or a pattern of their names, read as the frames of a film."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from bgkit.errors import VideoError
from bgkit.files import READABLE
from bgkit.imagefile import read_picture
from bgkit.pairing import natural
from bgkit.videofile._clip import Clip, Frame, Reader

__all__ = ["PictureReader", "is_sequence"]

_NUMBER = re.compile(r"%0?\d*d")


def is_sequence(name: str) -> bool:
    """Whether a name is that of a sequence: a folder, or a pattern with ``%04d`` in a picture's name."""
    return Path(name).is_dir() or bool(_NUMBER.search(Path(name).name) and Path(name).suffix.lower() in READABLE)


class PictureReader(Reader):
    """Pictures in the order of their names, numbers by their value."""

    def __init__(self, name: str, rate: Fraction) -> None:
        self.paths = _paths(name)
        self.problem = ""
        first = read_picture(self.paths[0])
        rows, cols = first.image.shape[:2]
        number = re.search(r"(\d+)\D*$", self.paths[0].stem)
        self.clip = Clip(
            name, rows, cols, rate, 1 / rate, len(self.paths), first.depth, (1, 13, 1),
            first=int(number[1]) if number else 1,
        )  # fmt: skip

    def frames(self, start: int = 0) -> Iterator[Frame]:
        size = (self.clip.rows, self.clip.cols)
        for number, path in enumerate(self.paths[start:], start):
            read = read_picture(path)
            if read.image.shape[:2] != size:
                got = f"{read.image.shape[0]} x {read.image.shape[1]}"
                raise VideoError(
                    f"{path}: expected the first picture's {size[0]} x {size[1]} (rows x columns), got {got}"
                )
            yield Frame(number, number, 1, np.asarray(read.image), read.alpha)

    def close(self) -> None:
        """Nothing is open."""


def _paths(name: str) -> list[Path]:
    path = Path(name)
    if path.is_dir():
        found = [each for each in path.iterdir() if each.suffix.lower() in READABLE and not each.name.startswith(".")]
    else:
        before, after = _NUMBER.split(path.name, maxsplit=1)
        form = re.compile(re.escape(before) + r"\d+" + re.escape(after))
        found = [each for each in path.parent.glob("*") if form.fullmatch(each.name)] if path.parent.is_dir() else []
    if not found:
        raise VideoError(f"{name}: expected pictures, the frames of a film, found none")
    return sorted(found, key=lambda each: natural(each.name))
