"""rembg's options as a pipeline (docs/how-to/coming-from-rembg.md)."""

from __future__ import annotations

import math
import re
from typing import Any

from bgkit.errors import ParamError
from bgkit.models import list_cards
from bgkit.models.store import path_of
from bgkit.pipeline import Pipeline, build

__all__ = ["DEFAULT", "background_of", "pipeline_of"]

DEFAULT = "u2net"  # what rembg takes where nobody chooses
EMBEDDED = "coarse"
VITMATTE = "vitmatte-small"  # the one that rembg takes where nobody chooses


def pipeline_of(
    model: str,
    *,
    size: tuple[int, int],
    a: bool = False,
    af: int = 240,
    ab: int = 10,
    ae: int = 10,
    ppm: bool = False,
    dc: bool = True,
    vm: bool = False,
    color: str = "none",
) -> Pipeline:
    """Return the pipeline that does what rembg does.

    Parameters
    ----------
    model : str
        A network that is here; where rembg's usual one is not, the embedded one takes its place.
    size : (int, int)
        Rows and columns of the picture.
    a, af, ab, ae
        rembg's alpha matting, the thresholds of its trimap for foreground and background, 0..255, and the side of the
        square that erodes both, px.
    ppm : bool
        Take specks and holes away.
    dc : bool
        Estimate the subject's own colors at soft edges, as matting always does; rembg's default is no.
    vm : bool
        Matting by ViTMatte, in place of ``a``, with the trimap of the same three numbers.
    color : str
        What comes behind the subject.

    Raises
    ------
    ParamError
        If the network is not here.
    ModelError
        If ViTMatte is not.
    """
    here = [card.name for card in list_cards() if card.task == "mask" and path_of(card).is_file()]
    network = EMBEDDED if model == DEFAULT and model not in here else model
    if network not in here:
        raise ParamError(
            f"model: expected one of the networks that are here ({', '.join(here)}) or a pipeline, got {model!r}"
        )
    steps: list[tuple[str, dict[str, Any]]] = [("cnn_mask", {"model": network})]
    if ppm:
        steps += [("opening", {}), ("fill_holes", {}), ("remove_small", {})]
    if a or vm:
        share = min(1000 * ae / 2 / math.hypot(*size), 200.0)  # of the diagonal, per mille
        trimap = {"foreground": af / 255, "background": ab / 255, "erosion": share}
        steps += [("threshold_trimap", trimap)]
        steps += [("cnn_matting", {"model": VITMATTE})] if vm else [("closed_form_matting", {})]
    else:
        steps += [("guided_upsample", {})]
    if dc or a or vm:
        steps += [("estimate_foreground", {})]
    steps += [("composite", {"background": color})]
    return build(f"rembg-{network}", steps)


def background_of(text: str) -> str:
    """Return rembg's background color, "R,G,B,A", in bgkit's words.

    >>> background_of("255, 0, 0, 255"), background_of("0,0,0,0")
    ('#ff0000', 'none')
    """
    match = re.fullmatch(r"(\d{1,3}),(\d{1,3}),(\d{1,3})(?:,(\d{1,3}))?", text.replace(" ", ""), re.ASCII)
    numbers = [int(part or 255) for part in match.groups()] if match else [256]
    if max(numbers) > 255:
        raise ParamError(f"bgc: expected R,G,B,A, each 0..255, got {text[:40]!r}")
    if 0 < numbers[3] < 255:
        raise ParamError(
            f"bgc: expected an opacity of 0 or 255, got {numbers[3]}: a background that is half clear is none"
        )
    return "#" + bytes(numbers[:3]).hex() if numbers[3] else "none"
