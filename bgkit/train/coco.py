"""COCO's pictures as a person network's recipe takes them: few subjects, each a good part of the frame.

Kept are pictures with so many objects of a category that together cover so much of the frame. Crowds are not counted
and not drawn; as one would then be ground in the truth, pictures with a crowd of the category are left out.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from bgkit.errors import RecipeError, did_you_mean
from bgkit.evaluate.coco import PersonSample
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
    try:
        annotated = json.loads(notes.read_text("utf-8"))
        names = {kind["name"]: kind["id"] for kind in annotated["categories"]}
        if data.category not in names:
            hint = did_you_mean(data.category, names) or f"; it has {', '.join(sorted(names))}"
            raise RecipeError(f"data.category: {notes.name} has no category {data.category!r}{hint}")
        drawn: dict[int, list[Any]] = {}
        crowds = set()
        for one in annotated["annotations"]:
            if one["category_id"] != names[data.category]:
                continue
            if one.get("iscrowd"):
                crowds.add(one["image_id"])
            else:
                drawn.setdefault(one["image_id"], []).append(one["segmentation"])
        samples = []
        for picture in annotated["images"]:
            objects = drawn.get(picture["id"], [])
            sample = PersonSample(
                f"{notes.stem.removeprefix('instances_')}/{Path(picture['file_name']).stem}",
                _pictures_of(notes) / picture["file_name"],
                shape=(picture["height"], picture["width"]),
                drawn=tuple(objects),
            )
            reason = _reason_against(sample, data, picture["id"] in crowds)
            if reason:
                left_out[reason] += 1
            else:
                samples.append(sample)
    except (KeyError, TypeError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise RecipeError(f"{notes}: expected COCO's instance annotations: {error!r}") from None
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
