"""Clean a mask: specks, holes, bridges

A mask from a threshold has specks and holes.
`remove_small` and `fill_holes` take areas in percent of the subject's box, `opening` and `closing` radii in per mille
of its diagonal, so the same values serve any size of picture.
"""

import numpy as np
from show import show
from skimage import data

from bgkit import stages

rng = np.random.default_rng(0)
horse = ~data.horse()
noisy = np.where(rng.random(horse.shape) < 0.04, ~horse, horse).astype(np.float32)
closed = stages.closing(noisy, radius=3)
filled = stages.fill_holes(noisy, max_area=0.1)
cleaned = stages.remove_small(filled, area=0.5)
smooth = stages.opening(cleaned, radius=4)
for name, mask in {"noisy": noisy, "cleaned": cleaned, "opened": smooth}.items():
    print(f"{name}: {np.mean((mask > 0.5) != horse):.2%} of the pixels are wrong")
show(noisy=noisy, holes_filled=filled, specks_removed=cleaned, opened=smooth)
