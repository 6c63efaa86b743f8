"""White balance from the backdrop

The backdrop is known to be neutral, so its color is the color of the light.
`white_balance` takes it off the whole picture; `strength` below 1 leaves a part of the mood.
"""

import scenes
from show import show

from bgkit import stages

warm = scenes.photograph(scenes.vase(), scenes.paper(color=(0.93, 0.89, 0.82)))
half = stages.white_balance(warm.image, strength=0.5)
neutral = stages.white_balance(warm.image)
for name, image in {"photograph": warm.image, "half": half, "neutral": neutral}.items():
    print(name, (image[5:25, 5:25].mean((0, 1)) * 255).round())
show(photograph=warm.image, strength_one_half=half, strength_1=neutral)
