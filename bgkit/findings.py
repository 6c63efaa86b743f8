"""Findings: what can be measured on a finished picture without its truth, and when it should be looked at.

A finding is a figure with a unit; a pipeline file sets thresholds for those that count, and the runner compares::

    checks: {touching: 0, subjects: 1, blur: 0.5}

The figures are in ``layers.facts["findings"]``: value, limit, unit, whether it is ``flagged``, and what to do. A figure
that a picture does not have (a framing without the stage ``frame``) is left out and flags nothing.
"""

from __future__ import annotations

import functools
import math
import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np

from bgkit._ext.pointwise import count_clipped
from bgkit.errors import PipelineError, did_you_mean
from bgkit.layers import Array, Layers
from bgkit.logistic import Logistic
from bgkit.params import Param, Range
from bgkit.pieces import find_pieces
from bgkit.resizing import reduced
from bgkit.stage import collect_notes
from bgkit.threads import Lock, threads

__all__ = [
    "FINDINGS",
    "TRUST",
    "Finding",
    "check_thresholds",
    "flag_lines",
    "flagged",
    "measure",
    "read_threshold",
    "trust_signs",
]

T = TypeVar("T")
Measure = Callable[[Array, Layers], float | None]
SURE, FAINT = 0.9, 0.1  # of alpha
RESTLESS = 4.0  # dE*uv of noise, from which on a backdrop is none; up to 1 less it counts in full
PLAIN = 2.5  # dE*uv of noise; a busier backdrop says nothing of missing parts
UNLIKELY = 0.3  # of a color key to be right: below, what looks like a plain backdrop is none
BOXED = 0.2  # of the sign ``boxed`` of evidence, from which on the key kept a rectangle
BAND = 64  # rows at a time, so that what is made of them stays in the cache
DIM = 0.07  # of excess of a green or blue screen's color, in its middle, up to which it says little of opacity
PIECE = 0.01  # of the largest piece: what is smaller is a speck

# Fitted by benchmarks/findings.py; see docs/reference/findings.md for what it was fitted on.
TRUST = Logistic(
    4.428,
    {
        "unsure": -12.315,
        "doubt": -0.227,
    },
)


@dataclass(frozen=True)
class Finding:
    """A figure: ``limit`` says on which side of its threshold it is good. ``measure`` takes the picture as it came."""

    name: str
    limit: Literal["at most", "at least"]
    range: Range
    meaning: str
    advice: str
    measure: Measure

    def flags(self, value: float, threshold: float) -> bool:
        """Tell whether a value is on the wrong side; one that is no number is."""
        return not (value <= threshold if self.limit == "at most" else value >= threshold)


def measure(checks: Mapping[str, float], picture: Array, layers: Layers) -> dict[str, dict[str, Any]]:
    """Return the findings of a picture that ``checks`` asks for, by name.

    Parameters
    ----------
    checks : mapping
        Name of a finding to its threshold.
    picture : ndarray of shape (M, N, 3), float32
        As it came, before any stage.
    layers : Layers
        As the last stage left them.
    """
    with ThreadPoolExecutor(threads()) as pool:  # most of them are passes of NumPy and OpenCV over the picture
        values = list(pool.map(lambda name: FINDINGS[name].measure(picture, layers), checks))
    found = {}
    for (name, threshold), value in zip(checks.items(), values, strict=True):
        if value is not None:
            finding = FINDINGS[name]
            found[name] = {
                "value": round(float(value), 4),
                "limit": f"{finding.limit} {threshold:g}",
                "unit": finding.range.unit,
                "flagged": finding.flags(float(value), threshold),
                "do": finding.advice,
            }
    return found


def _once(measure: Callable[[Array, Layers], T]) -> Callable[[Array, Layers], T]:
    """Return ``measure`` with a memory of the layers that it saw last: ``trust`` is made of other findings."""
    last: tuple[weakref.ref[Layers], weakref.ref[Array], T] | None = None
    lock = Lock()

    @functools.wraps(measure)
    def measured(picture: Array, layers: Layers) -> T:
        nonlocal last
        with lock:
            if last is None or last[0]() is not layers or last[1]() is not picture:
                last = weakref.ref(layers), weakref.ref(picture), measure(picture, layers)
            return last[2]

    return measured


def flag_lines(findings: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return a line for each finding that is flagged, the most severe first.

    >>> flag_lines({"subjects": {"value": 2.0, "limit": "at most 1", "unit": "pieces", "flagged": True, "do": "look"}})
    ['subjects 2 pieces (at most 1): look']
    """
    lines = []
    for name in flagged(findings):
        each = findings[name]
        value = f"{_figure(each['value'])} {each['unit']}".rstrip()
        lines.append(f"{name} {value} ({each['limit']}): {each['do']}")
    return lines


def flagged(findings: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the names of the findings that are flagged, the most severe first: the order of :data:`FINDINGS`."""
    return [name for name in FINDINGS if name in findings and findings[name]["flagged"]]


def _figure(value: float) -> str:
    """Return a figure as people write it.

    >>> _figure(1361.0), _figure(0.0625)
    ('1,361', '0.0625')
    """
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def check_thresholds(checks: Mapping[str, Any]) -> dict[str, float]:
    """Return thresholds checked by name and range.

    Raises
    ------
    PipelineError, ParamError
        With the name, what was expected and what was given.
    """
    return {name: _param(name).check(value) for name, value in checks.items()}


def read_threshold(name: str, text: Any) -> dict[str, float]:
    """Return one threshold from text (``--set checks.blur=0.5``) or a number, checked."""
    return {name: _param(name).read(text)}


def _param(name: str) -> Param:
    if name not in FINDINGS:
        raise PipelineError(f"checks.{name}: no such finding{did_you_mean(str(name), FINDINGS)}")
    return Param(f"checks.{name}", float, 0.0, FINDINGS[name].range)


def _ground_share(picture: Array, layers: Layers) -> float | None:
    """Return how much of the border shows the backdrop; a noisy one, as a wall of bricks is, counts for less.

    None where the key of the backdrop was overruled by a network, and the result does not hang on it.
    """
    from bgkit.backdrop import estimate_backdrop

    if any(facts.get("overruled") for facts in layers.facts.values()):
        return None
    backdrop = estimate_backdrop(picture)
    return 100 * backdrop.border_share * min(max(RESTLESS - backdrop.noise, 0.0), 1.0)


def _unevenness(picture: Array, layers: Layers) -> float:
    """Return the range of L* over the smooth backdrop: shadows are no part of it."""
    from bgkit.backdrop import estimate_backdrop

    lightness = estimate_backdrop(picture).luv((48, max(1, 48 * picture.shape[1] // picture.shape[0])))[..., 0]
    return float(np.ptp(lightness))


def _ground_cut(picture: Array, layers: Layers) -> float | None:
    counts = _clipped(picture, layers)
    return None if counts is None else 100 * counts[1] / max(1, counts[0])


def _subject_cut(picture: Array, layers: Layers) -> float | None:
    counts = _clipped(picture, layers)
    return None if counts is None else 100 * counts[3] / max(1, counts[2])


@_once
def _clipped(picture: Array, layers: Layers) -> list[int] | None:
    """Return the pixels of the ground, those of them at full, the same of the subject.

    A ground is white, a colored highlight loses two channels first.
    """
    if layers.alpha is None:
        return None
    counts = np.zeros(4, np.int64)
    count_clipped(np.ascontiguousarray(picture), np.ascontiguousarray(layers.alpha), 254.5 / 255, FAINT, SURE, counts)
    return [int(count) for count in counts]


@_once
def _subject_share(picture: Array, layers: Layers) -> float | None:
    return None if layers.alpha is None else 100 * float(layers.alpha.mean(dtype=np.float64))


def _covered(picture: Array, layers: Layers) -> float | None:
    """Return the share of the subject in the picture, or in what stands in it as a photograph within a margin may."""
    around = layers.facts.get("perhaps_margin")
    if around is None or layers.alpha is None or layers.alpha.shape != picture.shape[:2]:
        return _subject_share(picture, layers)
    rows, cols = layers.alpha.shape
    part = layers.alpha[around["top"] : rows - around["bottom"], around["left"] : cols - around["right"]]
    return 100 * float(part.mean(dtype=np.float64))


@_once
def _missing(picture: Array, layers: Layers) -> float | None:
    """Return what differs clearly from a plain backdrop and was left out, in percent of the subject; None if busy.

    Busy is also what a merge by evidence left mostly to the network, unless the key kept a rectangle: a photograph on
    its page, or a box of which the network knows the label alone. Clearly: by 15 dE*uv and five times the
    backdrop's noise, from its color in any light above two thirds. Pieces narrower than three of 256 pixels do not
    count: contours are soft.
    """
    import cv2

    from bgkit.backdrop import estimate_backdrop
    from bgkit.color import dot, luv_from_srgb

    if layers.alpha is None:
        return None
    backdrop = estimate_backdrop(picture)
    busy = max(_chances(layers), default=1) < UNLIKELY and _boxed(layers) < BOXED
    if busy or backdrop.noise > PLAIN or backdrop.border_share < 0.25:
        return None
    scale = min(1.0, 256 / int(max(picture.shape[:2])))
    rows, cols = (max(1, round(side * scale)) for side in picture.shape[:2])
    small, alpha = (reduced(each, (rows, cols)) for each in (picture, layers.alpha))
    color, behind = luv_from_srgb(small), backdrop.luv((rows, cols))
    lit = np.clip(dot(color, behind) / np.maximum(dot(behind, behind), 1), 0.67, 1)
    differs: Array = np.sqrt(((color - lit[..., None] * behind) ** 2).sum(-1)) > max(15.0, 5 * backdrop.noise)
    left_out = (differs & (alpha < FAINT)).astype(np.uint8)
    left_out = cv2.morphologyEx(left_out, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    return float(100 * left_out.sum() / max(float((alpha > 0.5).sum()), 0.01 * alpha.size))


def _unsolved(picture: Array, layers: Layers) -> float | None:
    """Return the largest error of opacity that a solver says is left."""
    left = [float(facts["error"]) for facts in layers.facts.values() if "error" in facts]
    return 100 * max(left) if left else None


def _chances(layers: Layers) -> list[float]:
    """Return the chances that a color key is right, of merges by evidence."""
    return [float(facts["chance"]) for facts in layers.facts.values() if "chance" in facts]


def _boxed(layers: Layers) -> float:
    """Return how nearly a color key kept a rectangle of which a network knows little, of merges by evidence."""
    return max((float(facts["evidence"]["boxed"]) for facts in layers.facts.values() if "evidence" in facts), default=0)


def trust_signs(picture: Array, layers: Layers) -> dict[str, float]:
    """Return the signs of which ``trust`` is made; larger is worse.

    How ``unsure`` a network is of what it marks, as far as it is believed (0..1), and parts ``missing`` and ``doubt``
    (logarithms of 1 + percent).
    """
    sure = [float(facts["sure"]) for facts in layers.facts.values() if "sure" in facts]
    return {
        "unsure": (1 - min(sure, default=1.0)) * (1 - max(_chances(layers), default=0.0)),
        "missing": math.log1p(_missing(picture, layers) or 0.0),
        "doubt": math.log1p(_doubt(picture, layers) or 0.0),
    }


def _trust(picture: Array, layers: Layers) -> float | None:
    return None if layers.alpha is None else 100 * TRUST.chance(trust_signs(picture, layers))


def _touching(picture: Array, layers: Layers) -> float | None:
    if layers.alpha is None:
        return None
    a = layers.alpha
    return 100 * float((np.concatenate([a[0], a[-1], a[:, 0], a[:, -1]]) > 0.5).mean())


def _subjects(picture: Array, layers: Layers) -> float | None:
    if layers.alpha is None:
        return None
    areas = _areas(layers.alpha > 0.5)
    return float((areas >= PIECE * areas.max()).sum()) if len(areas) else 0.0


def _holes(picture: Array, layers: Layers) -> float | None:
    """Return the area of what is enclosed by the subject, in percent of the subject's."""
    if layers.alpha is None:
        return None
    solid = np.pad(layers.alpha > 0.5, 1)
    return 100 * float(_areas(~solid)[1:].sum()) / max(1.0, float(solid.sum()))  # the first is the outside


def _areas(where: Array) -> Array:
    """Return the areas of the 8-connected pieces, in the order of their first pixels."""
    return find_pieces(where, connectivity=8).area[1:].astype(np.float64)


@_once
def _doubt(picture: Array, layers: Layers) -> float | None:
    """Return how far alpha is from 0 and 1, summed, in percent of the subject's area."""
    if layers.alpha is None:
        return None
    total = float(layers.alpha.sum(dtype=np.float64))
    bands = (layers.alpha[top : top + BAND] for top in range(0, len(layers.alpha), BAND))
    return 200 * sum(float(np.minimum(band, 1 - band).sum(dtype=np.float64)) for band in bands) / max(total, 1.0)


def _dim_doubt(picture: Array, layers: Layers) -> float | None:
    """Return the doubt before a dim screen: the slightest share of a bright subject hides its color."""
    facts = layers.facts.get("chroma_key")
    return _doubt(picture, layers) if facts is not None and facts["excess"] <= DIM else None


def _veiled(picture: Array, layers: Layers) -> float | None:
    """Return how much of what is solid shows the color of a screen in part, on a copy of 512 px."""
    facts = layers.facts.get("chroma_key")
    if facts is None or layers.alpha is None:
        return None

    from bgkit.stages import chroma_key

    scale = min(1.0, 512 / int(max(picture.shape[:2])))
    rows, cols = (max(1, round(side * scale)) for side in picture.shape[:2])
    small, alpha = (reduced(each, (rows, cols)) for each in (picture, layers.alpha))
    with collect_notes():
        key = chroma_key(small, screen=facts["screen"])
    solid = alpha > SURE
    return 100 * float(((key > FAINT) & (key < SURE) & solid).sum()) / max(1.0, float(solid.sum()))


def _disagreement(picture: Array, layers: Layers) -> float | None:
    """Return the largest disagreement of two masks that met by ``merge``."""
    seen = [facts["disagreement"] for facts in layers.facts.values() if "disagreement" in facts]
    return 100 * max(seen) if seen else None


def _unexplained(picture: Array, layers: Layers) -> float | None:
    facts = layers.facts.get("clean_plate")
    return None if facts is None else 100 * facts["unexplained"] if facts["fits"] else 100.0


def _plate_shift(picture: Array, layers: Layers) -> float | None:
    facts = layers.facts.get("clean_plate")
    return None if facts is None else 100 * facts["farthest"] / math.hypot(*picture.shape[:2])


def _kept(picture: Array, layers: Layers) -> float | None:
    facts = layers.facts.get("clean_plate")
    return None if facts is None else 100 * facts["kept"]


def _blur(picture: Array, layers: Layers) -> float | None:
    """Return how little a blur changes the subject, 0 sharp to 1 blurred (Crete et al., SPIE 6492, 2007)."""
    import cv2

    if layers.alpha is None:
        return None
    solid = layers.alpha > SURE
    rows, cols = (np.flatnonzero(solid.any(axis)) for axis in (1, 0))
    if not len(rows):
        return None
    part = np.s_[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
    color, inside = picture[part], solid[part].view(np.uint8)
    height, length = min(9, len(color)), min(9, color.shape[1])  # of the blurs down and along
    total, lost = [0.0, 0.0], [0.0, 0.0]
    for top in range(0, len(color), BAND):
        first, end = max(0, top - height // 2), min(len(color), top + BAND + 1)
        gray = cv2.cvtColor(color[first : end + height // 2], cv2.COLOR_RGB2GRAY)
        here = slice(top - first, end - first)
        for axis, kernel in enumerate(((1, height), (length, 1))):
            one, other = (np.s_[1:], np.s_[:-1]) if axis == 0 else (np.s_[:BAND, 1:], np.s_[:BAND, :-1])
            both = inside[top:end][one] & inside[top:end][other]
            if both.any():
                steps, smooth = (
                    cv2.absdiff(each[here][one], each[here][other]) for each in (gray, cv2.blur(gray, kernel))
                )
                total[axis] += cv2.norm(steps, cv2.NORM_L1, both)  # the sum, for none is negative
                lost[axis] += cv2.norm(cv2.max(cv2.subtract(steps, smooth), 0), cv2.NORM_L1, both)
    return max(1 - lost[axis] / total[axis] if total[axis] > 0 else 1.0 for axis in (0, 1))


def _framed(name: str, factor: float = 1.0) -> Measure:
    def measure(picture: Array, layers: Layers) -> float | None:
        facts = layers.facts.get("frame", {})
        return factor * facts[name] if name in facts else None

    return measure


def _merging(name: str) -> Measure:
    """Return the measure that reads a share off the facts of merges by evidence."""

    def measure(picture: Array, layers: Layers) -> float | None:
        shares = [float(facts[name]) for facts in layers.facts.values() if {"chance", name} <= facts.keys()]
        return 100 * max(shares) if shares else None

    return measure


def _shade(picture: Array, layers: Layers) -> float | None:
    """Return the share that may be a shadow, where a color key may be right: a busy scene has no backdrop."""
    return None if max(_chances(layers), default=1) < UNLIKELY else _merging("shade")(picture, layers)


_PERCENT = Range(0, 100, "%")
FINDINGS: Mapping[str, Finding] = {
    each.name: each
    for each in (
        Finding("subject", "at least", _PERCENT,
                "share of the picture that the subject takes; near 0 if nothing was found",
                "see whether there is a subject, and go nearer", _subject_share),
        Finding("covered", "at most", _PERCENT,
                "share of the picture, or of what a margin surrounds, that the subject takes; near 100 if the backdrop "
                "was kept",
                "see whether the background is still there", _covered),
        Finding("missing", "at most", Range(0, math.inf, "%"),
                "area that differs clearly from the backdrop and was left out, in percent of the subject",
                "see whether a part of the subject is gone", _missing),
        Finding("dropped", "at most", _PERCENT,
                "share of what a network is sure of that a color key called backdrop, and the result leaves out",
                "see whether a part of the subject is gone that looks like the backdrop", _merging("dropped")),
        Finding("shade", "at most", _PERCENT,
                "share of the mask that may be a deep shadow with an edge: darker backdrop, which a network denies or "
                "which is evenly dark",
                "see whether a shadow was kept; use a larger lamp, or one from farther away", _shade),
        Finding("trust", "at least", _PERCENT,
                "estimated chance that the result is not a failure, from signs in the picture and the result",
                "look at it: it may be wrong altogether", _trust),
        Finding("unsolved", "at most", _PERCENT,
                "error of alpha that is left where matting stopped before it was exact",
                "raise max_iterations, or narrow the unknown band", _unsolved),
        Finding("disagreement", "at most", Range(0, 100, "%"),
                "share of the subject on which two merged masks (a color key, a network) contradict each other",
                "see which of the two is right", _disagreement),
        Finding("touching", "at most", _PERCENT, "share of the picture's border that the subject touches",
                "shoot again with room around it, if it is cut off", _touching),
        Finding("subjects", "at most", Range(0, math.inf, "pieces"), "number of separate pieces larger than a speck",
                "see what else is in the picture", _subjects),
        Finding("holes", "at most", _PERCENT, "area of the holes, in percent of the subject",
                "see whether they belong to it; fill_holes closes them", _holes),
        Finding("doubt", "at most", Range(0, 200,
                "%"), "how far alpha is from 0 and 1, added up, in percent of the subject",
                "look at the edge", _doubt),
        Finding("dim", "at most", Range(0, 200, "%"), "doubt, before a green or blue screen that is dim",
                "look at the hair: gaps may be filled; put more light on the screen", _dim_doubt),
        Finding("backdrop", "at least", _PERCENT, "share of the picture's border that shows an even backdrop",
                "widen the backdrop or the shot, or take a pipeline with a network", _ground_share),
        Finding("veiled", "at most", _PERCENT,
                "share of the solid subject through which the color of a green or blue screen shows",
                "see whether smoke, glass or cloth is solid that should be clear; light the screen better", _veiled),
        Finding("unevenness", "at most", Range(0, 100,
                "L*"), "difference in lightness across the backdrop, without shadows",
                "even out the lamps, or use flat_field", _unevenness),
        Finding("backdrop_clipping", "at most", _PERCENT, "share of the background that is pure white in the shot",
                "expose less: light edges of the subject may be gone", _ground_cut),
        Finding("subject_clipping", "at most", _PERCENT,
                "share of the subject with two or more channels at their maximum in the shot",
                "expose less: its highlights are gone", _subject_cut),
        Finding("plate", "at most", _PERCENT,
                "share of the border that the plate does not explain; 100 if it did not fit",
                "see whether the plate is of this scene; shoot it again", _unexplained),
        Finding("plate_shift", "at most", _PERCENT,
                "how far the camera moved between plate and picture, seen at a corner, in percent of the diagonal",
                "the network decided where the background is busy: look at the contour; use a tripod",
                _plate_shift),
        Finding("kept", "at most", _PERCENT,
                "share of the border that shows the plate and was kept all the same",
                "see whether the background is gone; raise clean_plate.tolerance", _kept),
        Finding("blur", "at most", Range(0, 1), "blur of the subject, from 0 (sharp) to 1",
                "focus, and shoot again", _blur),
        Finding("filled", "at least", _PERCENT, "share of the frame that the subject fills",
                "shoot larger, or raise frame.fill, or lower frame.size",
                _framed("filled", 100)),
        Finding("outside", "at most", _PERCENT, "share of the subject's bounding box that lies beyond the frame",
                "lower frame.fill, or raise frame.reach", _framed("outside", 100)),
        Finding("pixels", "at least", Range(0, math.inf, "px"), "longer side of the frame",
                "shoot larger, or raise frame.size", _framed("pixels")),
        Finding("enlarged", "at most", Range(0, math.inf,
                "times"), "how much the picture was enlarged to make the frame",
                "shoot larger", _framed("scale")),
        Finding("pure", "at least", _PERCENT, "share of the frame's rim that is pure white, or transparent",
                "see what is left at the rim: a shadow, a part of the ground", _framed("pure", 100)),
    )
}  # fmt: skip
