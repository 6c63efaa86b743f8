"""A stage of your own

A stage is a function with a decorator; its keywords are its parameters, with their ranges.
Registered, it is known to YAML, the command line and the checks like those of bgkit; `check_stage` holds it to what
every stage promises.
In a package of its own an entry point registers it.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import scenes
from show import show

import bgkit
from bgkit.layers import Array
from bgkit.params import Range
from bgkit.stage import stage
from bgkit.testing import check_stage


@stage(gives="mask")
def saturated(
    image: Array, *, least: Annotated[float, Range(0, 1, "of full saturation", ui=(0.2, 0.8))] = 0.5
) -> Array:
    """Mark as foreground what is strongly colored.

    Parameters
    ----------
    image : ndarray of shape (M, N, 3), float32, 0..1
        The picture.
    least : float
        Saturation that counts as one half; larger keeps less.

    Returns
    -------
    ndarray of shape (M, N), float32, 0..1
        0 and 1, and a ramp between.
    """
    strongest = image.max(axis=2)
    saturation = (strongest - image.min(axis=2)) / np.maximum(strongest, np.float32(1e-3))
    return np.clip((saturation - np.float32(least)) * 5 + np.float32(0.5), 0, 1)


check_stage(saturated)
bgkit.stages.register(saturated)
Path("mine.yaml").write_text("""
bgkit: 1
stages:
  - saturated: {least: 0.4}
  - closing: {radius: 8}
  - fill_holes: {max_area: 5}
  - make_trimap
  - closed_form_matting
  - estimate_foreground
  - composite: {background: none}
""")
shot = scenes.photograph(scenes.vase(), scenes.paper())
cut = bgkit.remove(shot.image, "mine.yaml")
show(photograph=shot.image, mask=cut.mask, cutout=cut.result)
