"""Another background: a color, a picture, a blur

`background` takes a color, a picture's path, `blur` for the old background out of focus, or `none`.
A picture is scaled to cover the frame and cut evenly on both sides.
"""

from show import show
from skimage import data

import bgkit
from bgkit.imagefile import write_picture

write_picture("sky.jpg", data.hubble_deep_field())
photo = data.astronaut()
cut = bgkit.remove(photo, "portrait")
show(
    **{
        name.partition(".")[0]: bgkit.remove(photo, "portrait", alpha=cut.alpha, background=name).result
        for name in ("teal", "sky.jpg", "blur", "none")
    }
)
