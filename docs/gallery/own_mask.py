"""A mask of your own

A mask from another tool, a depth camera or a label map replaces the steps that would have made one; trimap, matting
and colors are still bgkit's.
Here a mask of only 60 rows is enough: a wide unknown band lets matting find the hair.
"""

import cv2
import scenes
from show import show

import bgkit

shot = scenes.photograph(scenes.doll(), scenes.paper())
tiny = cv2.resize(shot.alpha, (50, 60), interpolation=cv2.INTER_AREA)
mask = cv2.resize(tiny, (300, 360))
cut = bgkit.remove(shot.image, "deep", mask=mask, values={"make_trimap.width": 40})
print(f"mean error: mask {abs(mask - shot.alpha).mean():.3f}, alpha {abs(cut.alpha - shot.alpha).mean():.3f}")
show(photograph=shot.image, mask=mask, trimap=cut.trimap, alpha=cut.alpha, cutout=cut.result)
