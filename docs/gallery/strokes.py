"""A few strokes on subject and background

Where no automatic method knows what is meant, a few lines do: white on the subject, black on the background.
They grow along similar colors into a trimap, and only its unknown band is matted.
Where the result is wrong, add one more line there.
"""

import cv2
import numpy as np
from show import show
from skimage import data

import bgkit

photo = data.coffee()
strokes = np.full(photo.shape[:2], 128, np.uint8)
rows, cols = strokes.shape
subject = [  # points as (row, column), in shares of height and width
    [(0.25, 0.35), (0.4, 0.45), (0.3, 0.6)],
    [(0.45, 0.31), (0.6, 0.38), (0.63, 0.5), (0.5, 0.65)],
    [(0.12, 0.35), (0.08, 0.5), (0.12, 0.64)],
    [(0.42, 0.18), (0.6, 0.17), (0.8, 0.3), (0.88, 0.45), (0.8, 0.68), (0.55, 0.78)],
]
ground = [
    [(0.04, 0.04), (0.95, 0.05)],
    [(0.04, 0.2), (0.06, 0.95), (0.6, 0.96)],
    [(0.97, 0.2), (0.97, 0.9)],
    [(0.1, 0.75), (0.45, 0.88)],
    [(0.3, 0.82), (0.6, 0.9)],
    [(0.08, 0.7), (0.2, 0.71), (0.3, 0.74), (0.4, 0.79)],
]
for lines, value in ((subject, 255), (ground, 0)):
    for line in lines:
        points = np.array([(col * cols, row * rows) for row, col in line], np.int32)
        cv2.polylines(strokes, [points], False, value, 5)
cut = bgkit.remove(photo, "strokes", strokes=strokes)
drawn = photo // 2 + 64
drawn[strokes == 255], drawn[strokes == 0] = (255, 220, 30), (30, 80, 255)
show(strokes=drawn, trimap=cut.trimap, alpha=cut.alpha, cutout=cut.result)
