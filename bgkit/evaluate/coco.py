"""COCO's persons: the union of a picture's person masks, read without COCO's own library.

An annotation holds either polygons, a run-length list, or that list packed into text; runs go down
the columns, ground first. Polygons are filled where they contain a pixel's center, which moves an
outline by up to half a pixel against COCO's own filler.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bgkit.errors import ImageError
from bgkit.evaluate.samples import Dataset, Sample

__all__ = ["fill_polygons", "open_persons", "runs_to_mask", "unpack_runs"]


@dataclass(frozen=True)
class PersonSample(Sample):
    """A picture whose truth is drawn from its annotations."""

    shape: tuple[int, int] = (0, 0)
    drawn: tuple[Any, ...] = ()

    @property
    def has_truth(self) -> bool:
        return True

    def read_truth(self) -> NDArray[np.float32]:
        mask = np.zeros(self.shape, np.bool_)
        for drawing in self.drawn:
            if isinstance(drawing, list):
                mask |= fill_polygons(drawing, self.shape)
            else:
                counts = drawing["counts"]
                mask |= runs_to_mask(unpack_runs(counts) if isinstance(counts, str) else counts, self.shape)
        return mask.astype(np.float32)


def open_persons(root: Path, where: str) -> Dataset:
    """Find COCO's pictures with persons under ``root``, validation part first.

    Raises
    ------
    ImageError
        If there is no ``annotations/instances_PART.json`` with a folder ``PART`` (``val2017``, ...).
    """
    for part in ("val2017", "train2017", "val2014", "train2014"):
        notes = root / "annotations" / f"instances_{part}.json"
        if notes.is_file() and (root / part).is_dir():
            return _read(notes, root / part)
    raise ImageError(
        f"coco-person: {root} holds no annotations/instances_val2017.json with the folder val2017 (nor train2017, "
        f"val2014, train2014); get pictures and annotations from {where}"
    )


def _read(notes: Path, folder: Path) -> Dataset:
    try:
        annotated = json.loads(notes.read_text())
        persons = {kind["id"] for kind in annotated["categories"] if kind["name"] == "person"}
        drawn: dict[int, list[Any]] = {}
        for one in annotated["annotations"]:
            if one["category_id"] in persons:
                drawn.setdefault(one["image_id"], []).append(one["segmentation"])
        pictures = [picture for picture in annotated["images"] if picture["id"] in drawn]
        samples = [
            PersonSample(
                Path(picture["file_name"]).stem,
                folder / picture["file_name"],
                shape=(picture["height"], picture["width"]),
                drawn=tuple(drawn[picture["id"]]),
            )
            for picture in pictures
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise ImageError(f"{notes}: expected COCO's instance annotations: {error!r}") from None
    here = tuple(sorted((sample for sample in samples if sample.image.is_file()), key=lambda sample: sample.name))
    return Dataset("coco-person", here, tuple(sample.image for sample in samples if not sample.image.is_file()))


def fill_polygons(polygons: Sequence[Sequence[float]], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Fill polygons ``[x0, y0, x1, y1, ..]``; a pixel is in where its center is.

    >>> fill_polygons([[1, 0, 3, 0, 3, 2, 1, 2]], (3, 4)).astype(int)
    array([[0, 1, 1, 0],
           [0, 1, 1, 0],
           [0, 0, 0, 0]])
    """
    from skimage.draw import polygon

    mask = np.zeros(shape, np.bool_)
    for points in polygons:
        corners = np.asarray(points, np.float64).reshape(-1, 2)
        inside = polygon(corners[:, 1] - 0.5, corners[:, 0] - 0.5, shape)  # type: ignore[no-untyped-call]
        mask[inside] = True
    return mask


def runs_to_mask(counts: Sequence[int], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Draw runs of ground, subject, ground, .. down the columns.

    >>> runs_to_mask([1, 2, 1], (2, 2)).astype(int)
    array([[0, 1],
           [1, 0]])
    """
    if sum(counts) != shape[0] * shape[1]:
        raise ImageError(f"run lengths: expected a sum of {shape[0] * shape[1]} pixels, got {sum(counts)}")
    values = np.arange(len(counts)) % 2 == 1
    return np.repeat(values, counts).reshape(shape[1], shape[0]).T


def unpack_runs(text: str) -> list[int]:
    """Unpack run lengths from COCO's text: 5 bits and a sign in each character, differences to the run before last.

    >>> unpack_runs("121")
    [1, 2, 1]
    """
    counts: list[int] = []
    place = 0
    while place < len(text):
        value, shift, more = 0, 0, True
        while more:
            bits = ord(text[place]) - 48
            value |= (bits & 31) << shift
            more = bool(bits & 32)
            shift += 5
            place += 1
            if not more and bits & 16:
                value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
    return counts
