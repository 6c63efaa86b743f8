"""Any background, with a photograph of the empty scene

When the camera stands still, a photograph of the scene without its subject, a clean plate, replaces both studio and
network.
The pipeline `clean-plate` compares the two pictures pixel by pixel and solves for opacity with the known background.
"""

import cv2
import numpy as np
import scenes
from show import show
from skimage import data

import bgkit

wall = cv2.resize(data.brick()[:240, :200], (300, 360), interpolation=cv2.INTER_CUBIC)
scene = scenes.photograph(scenes.doll(), ((0.45 + wall[..., None] / 450) * [0.75, 0.85, 0.9]).astype(np.float32))
cut = bgkit.remove(scene.image, "clean-plate", plate=scene.plate)
print(f"mean error of alpha: {abs(cut.alpha - scene.alpha).mean():.3f}")
show(photograph=scene.image, plate=scene.plate, alpha=cut.alpha, cutout=cut.result)
