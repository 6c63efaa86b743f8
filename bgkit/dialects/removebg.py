"""remove.bg's fields as stages and their values (docs/coming-from-removebg.md)."""

from __future__ import annotations

import re
from typing import Any

from bgkit.color import parse_color
from bgkit.errors import ParamError
from bgkit.pipeline import Pipeline, build

__all__ = ["MEGAPIXELS", "background_of", "pipeline_of"]

MEGAPIXELS = {"preview": 0.25, "small": 0.25, "regular": 0.25, "medium": 1.5, "hd": 4.0}  # other sizes: as it is


def pipeline_of(
    base: Pipeline,
    *,
    size: tuple[int, int],
    roi: str = "",
    crop: bool = False,
    crop_margin: str = "",
    scale: str = "original",
    position: str = "",
    add_shadow: bool = False,
    background: str = "none",
) -> Pipeline:
    """Return a pipeline that finds the subject as ``base`` does, then crops, places and composites as remove.bg.

    Parameters
    ----------
    base : Pipeline
        Its steps up to the result.
    size : (int, int)
        Rows and columns of the picture.
    roi, crop, crop_margin, scale, position
        As remove.bg has them, in px or %.
    add_shadow : bool
        Keep the subject's shadow.
    background : str
        What comes behind the subject, in bgkit's words.

    Raises
    ------
    ParamError
        If a text means nothing; it begins with the field's name.
    """
    steps: list[tuple[str, Any]] = [
        (step.name, dict(step.values)) for step in base.steps if step.stage.gives != "result"
    ]
    if roi:
        steps.append(("region", _region(roi, size)))
    values: dict[str, Any] = {"crop": crop, "color": background if parse_color(background) else "white"}
    if crop_margin:
        values |= _margins(crop_margin, size)
    if scale != "original":
        values |= {"scale": _scale(scale), "position": "given"}
    if position == "original":
        values["position"] = "original"
    elif position:
        values |= {"position": "given", **_position(position)}
    composite = {"background": background, "shadow": "keep" if add_shadow else "drop"}
    return build(f"removebg-{base.name}", [*steps, ("composite", composite), ("place", values)])


def background_of(text: str) -> str:
    """Return remove.bg's background color in bgkit's words; hexadecimal may lack its sign.

    >>> background_of("81d4fa"), background_of("81d4faff"), background_of("00000000"), background_of("red")
    ('#81d4fa', '#81d4fa', 'none', 'red')
    """
    color = text if text.startswith("#") or parse_color(text) else "#" + text
    if re.fullmatch(r"#(...0|.{6}00)", color):
        return "none"
    color = re.sub(r"^(#.{6})ff$", r"\1", color, flags=re.IGNORECASE)
    if parse_color(color) is None:
        raise ParamError(f"bg_color: expected a name, or hexadecimal as 81d4fa, got {text[:40]!r}")
    return color


def _lengths(name: str, text: str, sides: tuple[int, ...]) -> list[tuple[float, bool]]:
    """Return shares, of ``sides`` in turn where a number is in px, and for each whether it was in percent."""
    found = []
    for index, part in enumerate(text.replace(",", " ").split()):
        match = re.fullmatch(r"(\d{1,5}(?:\.\d{1,4})?)(px|%)?", part)
        if not match:
            raise ParamError(f"{name}: expected numbers in px or %, got {text[:40]!r}")
        percent = match[2] == "%"
        found.append((float(match[1]) / (100 if percent else sides[index % len(sides)]), percent))
    return found


def _region(text: str, size: tuple[int, int]) -> dict[str, float]:
    edges = [min(share, 1.0) for share, _ in _lengths("roi", text, (size[1], size[0]))]
    if len(edges) != 4 or edges[0] >= edges[2] or edges[1] >= edges[3]:
        raise ParamError(f"roi: expected x1 y1 x2 y2 with x1 < x2 and y1 < y2, got {text[:40]!r}")
    return dict(zip(("left", "top", "right", "bottom"), edges, strict=True))


def _margins(text: str, size: tuple[int, int]) -> dict[str, tuple[float, ...]]:
    """Return shares of the subject (``margin``) and of the picture (``border``): above, right, below, left."""
    found = _lengths("crop_margin", text, size)
    if len(found) not in (1, 2, 4) or any(share > 0.5 for share, _ in found):
        raise ParamError("crop_margin: expected 1, 2 or 4 values, at most 50% of the subject or half the picture")
    if len(found) == 1:  # one number in px is as many rows as columns
        share, percent = found[0]
        found = [(share, percent), (share if percent else share * size[0] / size[1], percent)]
    four = found if len(found) == 4 else found * 2
    return {
        "margin": tuple(share if percent else 0.0 for share, percent in four),
        "border": tuple(0.0 if percent else share for share, percent in four),
    }


def _scale(text: str) -> float:
    shares = _lengths("scale", text, (1,))
    if len(shares) != 1 or not shares[0][1] or not 0.1 <= shares[0][0] <= 1:
        raise ParamError(f"scale: expected 10% to 100%, or original, got {text[:40]!r}")
    return shares[0][0]


def _position(text: str) -> dict[str, float]:
    shares = [(0.5, True)] if text == "center" else _lengths("position", text, (1,))
    if len(shares) not in (1, 2) or not all(percent and share <= 1 for share, percent in shares):
        raise ParamError("position: expected original, center, or one or two percentages")
    return {"col": shares[0][0], "row": shares[-1][0]}
