"""COCO's pictures as a person network's recipe takes them: few subjects, each a good part of the frame.

Kept are pictures with so many objects of a category that together cover so much of the frame. Crowds are not counted
and not drawn; as one would then be ground in the truth, pictures with a crowd of the category are left out.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bgkit.errors import ImageError, RecipeError, did_you_mean
from bgkit.evaluate.coco import PersonSample, read_annotations
from bgkit.train.recipe import Data

__all__ = ["open_filtered"]

ABSENT, CROWD, COUNT, AREA = "files absent", "a crowd", "count (data.count)", "area (data.area)"


def open_filtered(root: Path, data: Data) -> tuple[tuple[PersonSample, ...], list[str]]:
    """Return the pictures of every ``annotations/instances_PART.json`` below ``root`` that ``data`` lets through.

    With them comes how many were left out for which reason, a line each.

    Raises
    ------
    RecipeError
        If there are no annotations, or none is let through; the message counts what was left out for which reason.
    """
    notes = [path for path in sorted(root.glob("annotations/instances_*.json")) if _pictures_of(path).is_dir()]
    if not notes:
        raise RecipeError(f"{root}: expected annotations/instances_PART.json with the pictures in the folder PART")
    left_out = {ABSENT: 0, CROWD: 0, COUNT: 0, AREA: 0}
    samples = [sample for path in notes for sample in _read(path, data, left_out)]
    if not samples:
        counts = ", ".join(f"{number} for {reason}" for reason, number in left_out.items())
        raise RecipeError(f"{root}: the filter lets no picture through (left out: {counts})")
    counts = [f"{number} pictures for {reason}" for reason, number in left_out.items() if number]
    return tuple(sorted(samples, key=lambda sample: sample.name)), counts


def _pictures_of(notes: Path) -> Path:
    return notes.parent.parent / notes.stem.removeprefix("instances_")


def _read(notes: Path, data: Data, left_out: dict[str, int]) -> list[PersonSample]:
    found = read_annotations(notes, RecipeError)
    if data.category not in found.categories:
        hint = did_you_mean(data.category, found.categories) or f"; it has {', '.join(sorted(found.categories))}"
        raise RecipeError(f"data.category: {notes.name} has no category {data.category!r}{hint}")
    wanted, part, samples = found.categories[data.category], notes.stem.removeprefix("instances_"), []
    for name, shape, objects in found.pictures:
        mine = [one for one in objects if one["category_id"] == wanted]
        drawn = tuple(one.get("segmentation") for one in mine if not one.get("iscrowd"))
        sample = PersonSample(f"{part}/{Path(name).stem}", _pictures_of(notes) / name, shape=shape, drawn=drawn)
        try:
            reason = _reason_against(sample, data, len(drawn) < len(mine))
        except ImageError as error:
            raise RecipeError(f"{notes}: {error}") from None
        if reason:
            left_out[reason] += 1
        else:
            samples.append(sample)
    return samples


def _reason_against(sample: PersonSample, data: Data, crowded: bool) -> str:
    """Return why a picture is left out, or nothing; what costs least is asked first."""
    if crowded:
        return CROWD
    if not data.count[0] <= len(sample.drawn) <= data.count[1]:
        return COUNT
    if not data.area[0] <= 100 * float(np.mean(sample.read_truth())) <= data.area[1]:
        return AREA
    return "" if sample.image.is_file() else ABSENT
