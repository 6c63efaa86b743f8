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
from bgkit.imagefile import read_picture, write_picture

Path("shots").mkdir()
paper = scenes.paper(720, 600)
shot = scenes.photograph(scenes.vase(720, 600), paper).image
for name, image in {
    "good": shot,
    "empty": scenes.photograph(scenes.vase(720, 600), paper).plate,
    "cut-off": shot[:, 260:],
    "blurred": cv2.GaussianBlur(shot, None, 6),
}.items():
    write_picture(f"shots/{name}.png", image)
done = bgkit.remove_many("shots", "shop", "product", values={"frame.size": 500, "checks.pixels": 300}, workers=1)
print(dict(done.counts))
for outcome in done.flagged:
    print(Path(outcome.job.name).name, *outcome.flags, sep="\n    ")
names = ["good", "empty", "cut-off", "blurred"]
show(**{name: read_picture(f"shop/{name}.png").image for name in names})
