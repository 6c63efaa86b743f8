"""Failure modes, each as a rule: which pictures are cases of it, and when a result has failed there.

A case is told from the picture and its truth, never from a result, so that every chain is asked about
the same pictures. Where the trouble has a place (light clothes, a hole), the result is judged in that
place alone; where it is in all of the picture (poor light, noise), by the whole mask.

Colors are CIELUV (D65). Everything is looked at on a copy of at most 320 px on the long side.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bgkit.color import luv_from_srgb

__all__ = ["MODES", "SIDE", "Mode", "Scene", "cases", "failed"]

Array = NDArray[Any]

SIDE = 320  # px
GOOD = 0.8  # the IoU below which a result has failed as a whole

LIKE = 20.0  # dE*uv to the ground nearby: the color key's tolerance and half of its rise
GRAY = 25.0  # C*uv up to which clothes count as white, gray or black
LIGHT, DARK = 75.0, 30.0  # L*
PATCH = 0.05  # of the subject that has to be so
SKIN = 0.5  # of the ground that has to be skin-like
SPILT = 0.1  # of the skin-like ground that may be marked
BARE = 0.02  # of the subject that is skin-like before it counts
HOLE = 0.001  # of the picture
POOR = 30.0  # L*, median of the picture
NOISE = 5.0  # dE*uv, root mean square of a pixel's difference from its neighbors, in the ground


@dataclass(frozen=True)
class Scene:
    """What the rules look at."""

    image: Array  # sRGB (m, n, 3), 0..1
    luv: Array  # CIELUV (m, n, 3)
    subject: NDArray[np.bool_]
    ground: NDArray[np.bool_]

    @classmethod
    def of(cls, image: Array, truth: Array) -> Scene:
        """Make the small copy; pixels that are neither subject nor ground for certain belong to neither."""
        image, truth = reduced(image), reduced(truth)
        return cls(image, luv_from_srgb(image), truth > 0.95, truth < 0.05)


@dataclass(frozen=True)
class Mode:
    """One way to fail.

    ``where`` returns the pixels (m, n) that make a picture a case, or None if it is none; ``wrong`` tells
    of a mask (m, n) whether it failed there; ``rule`` says both in words.
    """

    title: str
    rule: str
    where: Callable[[Scene], NDArray[np.bool_] | None]
    wrong: Callable[[Array, NDArray[np.bool_], Scene], bool]


def cases(scene: Scene) -> dict[str, NDArray[np.bool_]]:
    """Return the modes that a picture is a case of, with the place of each."""
    found = {name: mode.where(scene) for name, mode in MODES.items()}
    return {name: place for name, place in found.items() if place is not None}


def failed(name: str, alpha: Array, place: NDArray[np.bool_], scene: Scene) -> bool:
    """Tell whether a result, of any size, failed in the manner of a mode."""
    return MODES[name].wrong(reduced(alpha), place, scene)


def reduced(array: Array) -> Array:
    """Return a copy of at most ``SIDE`` px, by areas."""
    scale = min(1.0, SIDE / max(array.shape[:2]))
    size = max(1, round(array.shape[1] * scale)), max(1, round(array.shape[0] * scale))
    return np.clip(cv2.resize(array, size, interpolation=cv2.INTER_AREA), 0, 1)


def like_ground(scene: Scene) -> NDArray[np.bool_]:
    """Return the subject's pixels that are gray and near the color of the true ground around them."""
    weight = scene.ground.astype(np.float32)
    spread = 0.1 * float(np.hypot(*weight.shape))
    near = cv2.GaussianBlur(weight, (0, 0), spread)
    around = cv2.GaussianBlur(scene.luv.astype(np.float32) * weight[..., None], (0, 0), spread)
    around = around / np.maximum(near, 1e-4)[..., None]
    close = np.linalg.norm(scene.luv - around, axis=2) < LIKE
    plain = np.hypot(scene.luv[..., 1], scene.luv[..., 2]) < GRAY
    return scene.subject & close & plain & (near > 1e-3)


def clothes(light: bool) -> Callable[[Scene], NDArray[np.bool_] | None]:
    def where(scene: Scene) -> NDArray[np.bool_] | None:
        level = scene.luv[..., 0]
        place = like_ground(scene) & (level > LIGHT if light else level < DARK)
        return place if place.sum() > PATCH * max(1, scene.subject.sum()) else None

    return where


def skin_ground(scene: Scene) -> NDArray[np.bool_] | None:
    """Return all that has skin's chrominance (Chai and Ngan 1999), if much of the ground has it."""
    ycc = cv2.cvtColor(np.rint(scene.image * 255).astype(np.uint8), cv2.COLOR_RGB2YCrCb)
    red, blue = ycc[..., 1], ycc[..., 2]
    place = (red >= 133) & (red <= 173) & (blue >= 77) & (blue <= 127)
    return place if (place & scene.ground).sum() > SKIN * max(1, scene.ground.sum()) else None


def holes(scene: Scene) -> NDArray[np.bool_] | None:
    """Return the true ground that no way leads to from the frame, in pieces that are no specks."""
    count, labels, facts, _ = cv2.connectedComponentsWithStats(scene.ground.astype(np.uint8), connectivity=4)
    frame = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    inner = set(range(1, count)) - set(frame.tolist())
    large = [one for one in inner if facts[one, cv2.CC_STAT_AREA] > HOLE * labels.size]
    place = np.isin(labels, large)
    return place if large else None


def poor_light(scene: Scene) -> NDArray[np.bool_] | None:
    return scene.subject if np.median(scene.luv[..., 0]) < POOR else None


def noise(scene: Scene) -> float:
    """Return how much pixels of the ground differ from the median of their 3 x 3 neighbors, dE*uv."""
    luv = np.ascontiguousarray(scene.luv, np.float32)
    smooth = np.dstack([cv2.medianBlur(np.ascontiguousarray(luv[..., one]), 3) for one in range(3)])
    off = np.sum((luv - smooth) ** 2, axis=2)[scene.ground]
    return float(np.sqrt(off.mean())) if off.size else 0.0


def noisy(scene: Scene) -> NDArray[np.bool_] | None:
    return scene.ground if noise(scene) > NOISE else None


def missed(alpha: Array, place: NDArray[np.bool_], scene: Scene) -> bool:
    return bool(alpha[place].mean() < 0.5)


def filled(alpha: Array, place: NDArray[np.bool_], scene: Scene) -> bool:
    return bool(alpha[place].mean() > 0.5)


def confused(alpha: Array, place: NDArray[np.bool_], scene: Scene) -> bool:
    """Tell whether much skin-like ground is marked, or most of the subject's skin-like part is not."""
    bare = place & scene.subject
    lost = bare.sum() > BARE * scene.subject.sum() and alpha[bare].mean() < 0.5
    return bool(lost or (alpha[place & scene.ground] >= 0.5).mean() > SPILT)


def poor(alpha: Array, place: NDArray[np.bool_], scene: Scene) -> bool:
    solid, known = alpha >= 0.5, scene.subject | scene.ground
    both, either = solid & scene.subject, (solid | scene.subject) & known
    return bool(both.sum() < GOOD * max(1, either.sum()))


MODES: Mapping[str, Mode] = MappingProxyType(
    {
        "light": Mode(
            "light clothes taken for backdrop",
            f"more than {PATCH:.0%} of the subject is light (L* above {LIGHT:.0f}), gray (C*uv below {GRAY:.0f}) and "
            f"within {LIKE:.0f} dE*uv of the true ground around it; failed: mean alpha there below 0.5",
            clothes(light=True),
            missed,
        ),
        "dark": Mode(
            "dark clothes taken for backdrop",
            f"the same with L* below {DARK:.0f}",
            clothes(light=False),
            missed,
        ),
        "skin": Mode(
            "skin-like ground",
            f"more than {SKIN:.0%} of the true ground has skin's chrominance (Cb 77 to 127, Cr 133 to 173: Chai and "
            f"Ngan 1999); failed: more than {SPILT:.0%} of that ground is marked, or, where more than {BARE:.0%} of "
            "the subject has it too, mean alpha there is below 0.5",
            skin_ground,
            confused,
        ),
        "hole": Mode(
            "holes between limbs",
            f"true ground that the subject encloses, in pieces above {HOLE:.1%} of the picture; failed: mean alpha "
            "there above 0.5",
            holes,
            filled,
        ),
        "dim": Mode(
            "poor light",
            f"the picture's median L* is below {POOR:.0f}; failed: IoU below {GOOD}",
            poor_light,
            poor,
        ),
        "noise": Mode(
            "noisy backdrop",
            f"pixels of the true ground differ from the median of their 3 x 3 neighbors by more than {NOISE:.0f} dE*uv "
            f"(root mean square); failed: IoU below {GOOD}",
            noisy,
            poor,
        ),
    }
)
