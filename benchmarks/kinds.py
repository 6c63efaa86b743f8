"""Kinds of picture that masks are known to fail on, each as a rule of picture and truth, and the place of the trouble.

Rules look at a copy of at most 320 px. What is like its ground is the study's (``benchmarks/study/modes.py``).
Only glass is told by name: no rule sees it, so all pictures were looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.study.modes import MODES, Scene, reduced

__all__ = ["GLASS", "WHERE", "kinds"]

Place = NDArray[np.bool_]

RIM = 0.1  # of the frame's rim that a cut subject touches
NEAR_RIM = 0.05  # of the short side
PIECE = 0.1  # of the subject that a piece has to be to be a subject of its own
THIN = 1 / 40  # of the long side: narrower is thin
MUCH = 0.05  # of the subject that has to be thin
GLASS = frozenset(  # drinking glass, crystal, spectacles, a bowl; a salt shaker, a case, sunglasses
    ("0454", "0531", "0675", "0936", "duts-n04131690_10733", "duts-n04019541_3888", "duts-n04356056_5074")
)


def cut(subject: Place) -> Place | None:
    """Return what lies next to the frame of a subject that it cuts."""
    rim = np.concatenate([subject[0], subject[-1], subject[:, 0], subject[:, -1]])
    if rim.mean() < RIM:
        return None
    wide = max(1, round(NEAR_RIM * min(subject.shape)))
    place = subject.copy()
    place[wide:-wide, wide:-wide] = False
    return place


def several(subject: Place) -> Place | None:
    """Return the smallest of several subjects."""
    count, labels, facts, _ = cv2.connectedComponentsWithStats(subject.astype(np.uint8), connectivity=8)
    area = facts[1:, cv2.CC_STAT_AREA]
    large = [one for one in range(1, count) if facts[one, cv2.CC_STAT_AREA] >= PIECE * area.sum()]
    return labels == min(large, key=lambda one: facts[one, cv2.CC_STAT_AREA]) if len(large) > 1 else None


def thin(subject: Place) -> Place | None:
    """Return legs, stems and the like: what an opening by a disk takes from the subject."""
    side = max(3, round(THIN * max(subject.shape)) | 1)
    wide = np.pad(subject, side, mode="edge").astype(np.uint8)  # what the frame cuts is not thin there
    kept = cv2.morphologyEx(wide, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    place = subject & (kept[side:-side, side:-side] == 0)
    return place if place.sum() > MUCH * max(1, subject.sum()) else None


WHERE: Mapping[str, str] = MappingProxyType(
    {
        "cut by the frame": "within a twentieth of the short side of the frame",
        "several subjects": "the smallest of them",
        "thin legs, stems": "what is thin",
        "light parts like their ground": "these",
        "dark parts like their ground": "these",
        "glass": "the subject",
    }
)


def kinds(name: str, image: NDArray[np.float32], truth: NDArray[np.float32]) -> dict[str, Place]:
    """Return which kinds a picture is of, and where in a copy of at most 320 px its trouble lies."""
    subject, scene = reduced(truth) > 0.5, Scene.of(image, truth)
    places = (
        cut(subject),
        several(subject),
        thin(subject),
        MODES["light"].where(scene),
        MODES["dark"].where(scene),
        subject if name in GLASS else None,
    )
    return {kind: place for kind, place in zip(WHERE, places, strict=True) if place is not None and place.any()}
