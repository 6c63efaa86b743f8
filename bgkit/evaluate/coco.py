"""COCO's persons: the union of a picture's person masks, read without COCO's own library.

An annotation holds either polygons, a run-length list, or that list packed into text; runs go down
the columns, ground first. Polygons are filled where they contain a pixel's center, which moves an
outline by up to half a pixel against COCO's own filler.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bgkit.errors import BgkitError, ImageError
from bgkit.evaluate.samples import Dataset, Sample
from bgkit.files import read_json
from bgkit.imagefile import MAX_PIXELS

__all__ = ["Annotations", "fill_polygons", "open_persons", "read_annotations", "runs_to_mask", "unpack_runs"]

_MOST = 1 << 30  # bytes; COCO's largest file of instances has 470 MB
_FAR = 1 << 35  # px, beyond any picture; COCO's run lengths have fewer bits, too


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
        try:
            for drawing in self.drawn:
                if isinstance(drawing, list):
                    mask |= fill_polygons(drawing, self.shape)
                else:
                    counts = drawing["counts"]
                    mask |= runs_to_mask(unpack_runs(counts) if isinstance(counts, str) else counts, self.shape)
        except ImageError as error:
            raise error.at(f"annotation of {self.image.name}") from None
        except (KeyError, TypeError, ValueError, OverflowError):
            raise ImageError(
                f"annotation of {self.image.name}: expected polygons of finite numbers or run lengths"
            ) from None
        return mask.astype(np.float32)


@dataclass(frozen=True)
class Annotations:
    """What a file of instances says: its categories' names, and its pictures with their objects."""

    categories: dict[str, int]
    pictures: list[tuple[str, tuple[int, int], list[dict[str, Any]]]]  # file, rows and columns, objects


def read_annotations(notes: Path, error: type[BgkitError]) -> Annotations:
    """Return what ``instances_PART.json`` holds, checked.

    Raises
    ------
    error
        If it cannot be read, or is something else.
    """
    what = "COCO's instance annotations"
    content = read_json(notes, what, error, _MOST)
    try:
        categories = {str(kind["name"]): int(kind["id"]) for kind in content["categories"]}
        objects: dict[int, list[dict[str, Any]]] = {}
        for one in content["annotations"]:
            if not isinstance(one, dict):
                raise TypeError("an annotation that is no object")
            objects.setdefault(int(one["image_id"]), []).append({**one, "category_id": int(one["category_id"])})
        pictures = []
        for picture in content["images"]:
            name, rows, cols = str(picture["file_name"]), int(picture["height"]), int(picture["width"])
            odd = not name.isprintable() or len(name.encode()) > 255 or any(sign in name for sign in "/\\")
            if odd or name in ("", ".", ".."):
                raise ValueError(f"a picture's name {name[:60]!r}, which is none of its folder")
            if min(rows, cols) < 1 or rows * cols > MAX_PIXELS:
                raise ValueError(f"a picture of {rows} x {cols} pixels")
            pictures.append((name, (rows, cols), objects.get(int(picture["id"]), [])))
    except (KeyError, TypeError, ValueError, OverflowError) as fault:
        found = f"no {fault}" if isinstance(fault, KeyError) else str(fault)
        raise error(f"{notes}: expected {what}, got {found}"[:300]) from None
    return Annotations(categories, pictures)


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
    found = read_annotations(notes, ImageError)
    person, samples = found.categories.get("person"), []
    for name, shape, objects in found.pictures:
        drawn = tuple(one.get("segmentation") for one in objects if one["category_id"] == person)
        if drawn:
            samples.append(PersonSample(Path(name).stem, folder / name, shape=shape, drawn=drawn))
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
        if not (np.abs(corners) < _FAR).all():
            raise ImageError("polygons: expected finite coordinates")
        inside = polygon(corners[:, 1] - 0.5, corners[:, 0] - 0.5, shape)  # type: ignore[no-untyped-call]
        mask[inside] = True
    return mask


def runs_to_mask(counts: Sequence[int], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Draw runs of ground, subject, ground, .. down the columns.

    >>> runs_to_mask([1, 2, 1], (2, 2)).astype(int)
    array([[0, 1],
           [1, 0]])
    """
    if not all(isinstance(count, int) and count >= 0 for count in counts):
        raise ImageError("run lengths: expected whole numbers from 0 up")
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
            if place >= len(text) or not 48 <= ord(text[place]) < 48 + 64 or shift > 35:
                raise ImageError("run lengths: their text is broken")
            bits = ord(text[place]) - 48
            value |= (bits & 31) << shift
            more = bool(bits & 32)
            shift += 5
            place += 1
            if not more and bits & 16:
                value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
    return counts
