"""A trimap from a mask

No trimap has to be drawn by hand: any mask generates one automatically.
Matting decides only in the trimap's unknown band.
`make_trimap` lays it around the mask's contour, `width` per mille of the subject's diagonal wide: too narrow and hair
lies outside, too wide and matting is slower and freer to err.
"""

import scenes
from show import show

from bgkit import stages

shot = scenes.photograph(scenes.doll(), scenes.paper())
mask = stages.backdrop_key(shot.image)
trimaps = {f"width_{width}": stages.make_trimap(mask, width=width) for width in (3, 12, 40)}
for name, trimap in trimaps.items():
    print(f"{name}: {(trimap == 128).mean():.0%} unknown")
show(photograph=shot.image, mask=mask, **trimaps)
