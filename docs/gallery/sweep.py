"""Sweep a parameter

How large should the tolerance of a color key be?
Too small, and noise and the shadow come along; too large, and the subject loses its light and thin parts.
A loop over the stage answers it on one picture; `bgkit compare --sweep luv_threshold.tolerance=2,6,18,40` does so
over a folder, with times and metrics.
"""

import scenes
from show import show

import bgkit

shot = scenes.photograph(scenes.doll(hair=(0.72, 0.55, 0.28)), scenes.paper(), shadow=0.25)
masks = {}
for tolerance in (1, 8, 20, 50):
    mask = bgkit.stages.luv_threshold(shot.image, tolerance=tolerance)
    print(f"tolerance {tolerance:2}: mean error {abs(mask - shot.alpha).mean():.3f}")
    masks[f"tolerance_{tolerance}"] = mask
show(photograph=shot.image, **masks)
