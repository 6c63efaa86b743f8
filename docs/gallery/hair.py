"""Hair, strand by strand

Hair is thinner than a pixel, so no hard mask can hold it.
A color key finds it on an even backdrop, a trimap leaves a band around the contour open, and matting decides there
how opaque each pixel is.
The foreground colors are estimated as well: without them the strands would carry the white of the paper onto the dark
ground.
"""

import scenes
from show import show

import bgkit

shot = scenes.photograph(scenes.doll(), scenes.paper())
cut = bgkit.remove(shot.image, "studio-white", background="#1b2a3a")
detail = (slice(20, 160), slice(20, 160))
print(f"mean error of alpha: {abs(cut.alpha - shot.alpha).mean():.3f}")
show(photograph=shot.image, alpha=cut.alpha, on_dark=cut.result)
show(
    detail=shot.image[detail],
    alpha_of_the_detail=cut.alpha[detail],
    truth=shot.alpha[detail],
    on_dark=cut.result[detail],
)
