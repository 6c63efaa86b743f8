"""A batch that names the pictures to look at

No result should be silently wrong.
Each pipeline has checks, figures that are computed from the picture and its result, and a picture on the wrong side
of one is flagged with what to do.
Of these four shots one is empty paper, one is cut off by the frame, and one is out of focus.
"""

from pathlib import Path

import cv2
import scenes
from show import show

import bgkit
from bgkit.imagefile import write_picture

Path("shots").mkdir()
paper = scenes.paper(480, 400)
shot = scenes.photograph(scenes.vase(480, 400), paper).image
shots = {
    "good": shot,
    "empty": scenes.photograph(scenes.vase(480, 400), paper).plate,
    "cut_off": shot[:, 170:],
    "blurred": cv2.GaussianBlur(shot, None, 4),
}
for name, image in shots.items():
    write_picture(f"shots/{name}.png", image)
done = bgkit.remove_many("shots", "shop", "product", values={"frame.size": 400, "checks.pixels": 400}, workers=1)
print(dict(done.counts))
for outcome in done.flagged:
    print(Path(outcome.job.name).name, *outcome.flags, sep="\n    ")
show(**shots)
