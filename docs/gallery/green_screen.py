"""A green screen with spill

A green screen throws green light back onto the subject's edges: spill.
The pipeline `green-screen` keys the screen, mattes the hair and takes the spill off.
The last two pictures show the colors of the subject without and with `despill`.
"""

import cv2
import numpy as np
import scenes
from show import show

import bgkit

doll, green = scenes.doll(), np.array([0.10, 0.62, 0.18], np.float32)
near = np.exp(-cv2.distanceTransform((doll.alpha > 0.5).astype(np.uint8), cv2.DIST_L2, 3) / 14)[..., None]
lit = scenes.Subject(doll.color + 0.2 * near * (green - 0.25 * doll.color), doll.alpha)
shot = scenes.photograph(lit, scenes.paper(color=green))
cut = bgkit.remove(shot.image, "green-screen", background="#8a8f98")
before = bgkit.stages.estimate_foreground(shot.image, cut.alpha)
before = bgkit.stages.composite(shot.image, cut.alpha, before, background="#8a8f98")
show(photograph=shot.image, alpha=cut.alpha, with_spill=before, spill_removed=cut.result)
