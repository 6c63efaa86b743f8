"""The background without its subject

`drop_subject` is the other half of the picture: the subject goes and a hole stays, or is filled from its border.
On smooth ground the filling is hardly seen; on a busy one it is a blur, for inpainting knows nothing of what stood
behind.
"""

import scenes
from show import show

from bgkit import stages

shot = scenes.photograph(scenes.vase(), scenes.paper(color=(0.72, 0.80, 0.84)), shadow=0)
hole = stages.drop_subject(shot.image, shot.alpha)
filled = stages.drop_subject(shot.image, shot.alpha, fill="telea")
print(f"mean difference from the empty scene: {abs(filled[..., :3] - shot.plate).mean() * 255:.1f} levels of 255")
show(photograph=shot.image, hole=hole, filled=filled[..., :3], truth=shot.plate)
