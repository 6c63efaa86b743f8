"""Several witnesses, one mask

A color key and a network err in different places.
`merge` says how a stage's mask joins the one before: `mean`, `max`, `min`, or `odds`, which multiplies the odds as
for independent witnesses, so that one that is sure decides and one that is not abstains.
"""

from pathlib import Path

import scenes
from show import show

import bgkit

shot = scenes.photograph(scenes.doll(), scenes.paper())
masks = {}
for merge in ("mean", "max", "min", "odds"):
    Path("chain.yaml").write_text(f"bgkit: 1\nstages: [cnn_mask, luv_threshold: {{merge: {merge}}}, composite]")
    masks[merge] = bgkit.remove(shot.image, "chain.yaml").mask
    print(f"{merge}: mean error {abs(masks[merge] - shot.alpha).mean():.3f}")
network, key = bgkit.stages.cnn_mask(shot.image), bgkit.stages.luv_threshold(shot.image)
show(photograph=shot.image, network=network, color_key=key)
show(**masks)
