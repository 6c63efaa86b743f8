"""A film without flicker

A doll sits before a gray wall, in six frames with the noise of a dark room.
Each frame is done by itself, then once more with the frame before at hand: that is what `bgkit video` does.
The last two pictures show flicker: how much the error of alpha changes from the fifth frame to the sixth, fourfold.
"""

from dataclasses import replace

import numpy as np
import scenes
from show import show

import bgkit
from bgkit.evaluate.matting import dtssd
from bgkit.layers import Layers

still = scenes.photograph(scenes.doll(), scenes.paper(color=(0.55, 0.6, 0.7)))
chain = bgkit.load_pipeline("studio-white").steadied()
previous, alone, steadied, truths, frames = None, [], [], [], []
for number in range(6):
    noise = np.random.default_rng(number).normal(0, 0.04, still.image.shape)
    layers = Layers.of(np.clip(still.image + noise, 0, 1))
    alone.append(chain.run(layers).alpha)
    made = chain.run(replace(layers, previous=previous))
    previous = made.as_previous()
    steadied.append(made.alpha)
    truths.append(still.alpha)
    frames.append(layers.image)

for name, alphas in (("alone", alone), ("steady", steadied)):
    figures = [dtssd(alphas[n], truths[n], before=(alphas[n - 1], truths[n - 1])) for n in range(2, 6)]
    print(f"{name}: dtSSD {np.mean(figures):.2f}")


def changes(alphas):
    errors = [alpha - truth for alpha, truth in zip(alphas, truths, strict=True)]
    return np.clip(4 * np.abs(errors[5] - errors[4]), 0, 1)


show(frame=frames[5], each_by_itself=alone[5], steady=steadied[5])
show(change_by_itself=changes(alone), change_steady=changes(steadied))
