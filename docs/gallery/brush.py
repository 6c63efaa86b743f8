"""Correct a finished result with one stroke

The pipeline `auto` keeps the model of the space shuttle behind the astronaut.
One black stroke on it goes to the stage `retouch`, which takes away what looks like the pixels under the stroke and
solves alpha anew around it.
Everything out of the stroke's reach, 60 per mille of the diagonal, keeps its bits.
"""

import cv2
import numpy as np
from show import show
from skimage import data

import bgkit

photo = data.astronaut()
cut = bgkit.remove(photo)
stroke = np.full(photo.shape[:2], 128, np.uint8)
cv2.line(stroke, (418, 4), (412, 112), 0, 14)
fixed = bgkit.remove(photo, alpha=cut.alpha, strokes=stroke, values={"retouch.reach": 60})
drawn = photo.copy()
drawn[stroke == 0] = 30, 80, 255
show(automatic=cut.result, stroke=drawn, corrected=fixed.result)
