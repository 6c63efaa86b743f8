"""Look at every step

When a result is wrong, look where it went wrong.
`on_step` hands over the layers after each stage; `bgkit remove photo.jpg --save-steps steps/` writes them as
pictures.
"""

from show import show
from skimage import data

import bgkit

steps = {}


def keep(step, layers, seconds):
    steps[f"{step.name}:_{step.stage.gives}"] = getattr(layers, step.stage.gives)


bgkit.remove(data.coffee(), "deep", on_step=keep)
names = list(steps)
show(**{name: steps[name] for name in names[:5]})
show(**{name: steps[name] for name in names[5:]})
