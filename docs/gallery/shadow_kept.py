"""Keep the natural shadow

A shoe or a cup without the shadow under it floats and looks pasted on.
With `shadow: keep` the composite darkens the new ground as the subject's shadow darkened the old one, in proportion,
so it works on any color.
Without an empty plate the ground is estimated from the picture, which wants an even backdrop.
"""

import scenes
from show import show

import bgkit

shot = scenes.photograph(scenes.vase(), scenes.paper(), shadow=0.12)
drop = bgkit.remove(shot.image, "studio-white", background="#e9d9c0")
keep = bgkit.remove(shot.image, "studio-white", background="#e9d9c0", values={"composite.shadow": "keep"})
deep = bgkit.remove(
    shot.image,
    "studio-white",
    background="#e9d9c0",
    values={"composite.shadow": "keep", "composite.shadow_strength": 2},
)
show(photograph=shot.image, dropped=drop.result, kept=keep.result, twice_as_deep=deep.result)
