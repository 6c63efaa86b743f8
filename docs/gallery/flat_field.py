"""Even light

One lamp lights a backdrop unevenly, and every shot differently.
`flat_field` fits the backdrop's surface from the picture, or takes an empty plate, and divides by it, subject
included.
"""

import numpy as np
import scenes
from show import show

from bgkit import stages

row, col = np.mgrid[:360, :300]
light = (0.55 + 0.42 * np.exp(-(((col - 40) / 220) ** 2) - ((row - 60) / 330) ** 2)).astype(np.float32)
shot = scenes.photograph(scenes.vase(), light[..., None] * np.float32([1, 1, 0.99]))
even = stages.flat_field(shot.image)
border = np.ones(shot.alpha.shape, bool)
border[20:-20, 20:-20] = False
for name, image in {"before": shot.image, "after": even}.items():
    low, high = np.percentile(image[border], [2, 98]) * 255
    print(f"{name}: the border lies between {low:.0f} and {high:.0f}")
show(photograph=shot.image, evened=even)
