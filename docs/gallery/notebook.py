"""In a notebook

A result shows itself in a notebook: the last line of a cell may be `cut`.
`np.asarray(cut)` is the finished picture, `cut.to_pil("alpha")` any layer as a PIL image, and `on_step` hears of each
step, for a progress bar or to look at what happens between.
"""

import numpy as np
from show import show
from skimage import data

import bgkit

times = {}


def remember(step, layers, seconds):
    times[step.name] = seconds


cut = bgkit.remove(data.coffee(), on_step=remember)
print(repr(cut))
print("steps:", ", ".join(times))
print(np.asarray(cut).shape, cut.to_pil("alpha").mode)
shown = bgkit.imagefile.read_picture(cut._repr_png_())
show(what_the_notebook_shows=np.dstack([shown.image, shown.alpha]))
