"""A product on pure white

The paper behind this vase is light gray and darker towards its corners, as studio paper is.
The pipeline `studio-white` fits that surface from the picture's border, keeps what differs from it, and puts the vase
on 255, 255, 255.
No network is used.
"""

import scenes
from show import show

import bgkit

shot = scenes.photograph(scenes.vase(), scenes.paper())
cut = bgkit.remove(shot.image, "studio-white")
corner = cut.result[0, 0]
print("a corner of the photograph:", (shot.image[0, 0] * 255).round(), "of the result:", corner * 255)
show(photograph=shot.image, alpha=cut.alpha, result=cut.result)
