"""Glass, from two photographs

One photograph cannot tell gray glass from clear glass before gray paper; two before different grounds can (Smith and
Blinn 1996).
Camera, light and glass must not move between the two.
The pipeline `two-grounds` reads the grounds' colors from the borders and solves for opacity in each pixel, without a
trimap or a network.
"""

import scenes
from show import show
from skimage import data

import bgkit

glass = scenes.glass()
first = scenes.photograph(glass, scenes.paper(color=(0.85, 0.85, 0.85), falloff=0), shadow=0)
second = scenes.photograph(glass, scenes.paper(color=(0.15, 0.45, 0.30), falloff=0), shadow=0, seed=1)
cut = bgkit.remove(first.image, "two-grounds", second=second.image)
bricks = data.brick()[:360, :300, None] / 255 * [1.0, 0.72, 0.55]
opacity = cut.alpha[..., None]
behind = opacity * cut.foreground + (1 - opacity) * bricks
print(f"mean error of alpha: {abs(cut.alpha - first.alpha).mean():.3f}")
show(on_gray=first.image, on_green=second.image, alpha=cut.alpha, before_bricks=behind)
