"""Exact alpha from two renderings

A renderer without an alpha channel gives one after all: render once on white and once on black.
The grounds' colors are known here, so they are given, and alpha is exact to the rounding of 8 bits: smoke, too.
"""

import numpy as np
from show import show
from skimage import filters

from bgkit import stages

rng = np.random.default_rng(3)
clouds = sum(filters.gaussian(rng.random((240, 320)), sigma) * sigma for sigma in (3, 6, 12))
clouds = (clouds - clouds.min()) / np.ptp(clouds)
row, col = np.mgrid[:240, :320]
smoke = np.clip(3.5 * clouds - 1.1, 0, 1) * np.exp(-(((col - 160) / 85) ** 2) - ((row - 120) / 75) ** 2)
color = np.stack([0.95 - 0.1 * clouds, 0.45 + 0.5 * clouds, 0.2 + 0.6 * clouds], axis=2)
white, black = (
    np.rint(255 * (smoke[..., None] * color + (1 - smoke[..., None]) * level)).astype(np.uint8) for level in (1, 0)
)
alpha = stages.two_grounds(white, black, ground="colors", colors=("white", "black"))
print(f"largest error of alpha: {abs(alpha - smoke).max():.4f}")
foreground = stages.estimate_foreground(white, alpha)
show(
    on_white=white,
    on_black=black,
    alpha=alpha,
    on_blue=stages.composite(white, alpha, foreground, background="#16425a"),
)
