"""Compare pipelines on pictures with a known truth

Which chain of stages is best on *your* pictures?
`bgkit compare` runs several over a folder and writes a page with the ranking, its uncertainty, the time of each
stage, and every picture side by side.
Here three drawn shots have a true alpha, so the mean absolute difference (MAD) ranks; without a truth, predicted
confidence does.
"""

from pathlib import Path

import scenes
from show import show

from bgkit.comparison.comparing import compare
from bgkit.imagefile import read_picture, write_picture

Path("shots").mkdir()
Path("truth").mkdir()
for name, subject in {
    "vase": scenes.vase(240, 200),
    "doll": scenes.doll(240, 200, strands=350),
    "red-vase": scenes.vase(240, 200, color=(0.6, 0.1, 0.1)),
}.items():
    shot = scenes.photograph(subject, scenes.paper(*subject.alpha.shape))
    write_picture(f"shots/{name}.png", shot.image)
    write_picture(f"truth/{name}.png", shot.alpha)
scores = compare(["studio-white", "classical", "fast"], "shots", "report", truth="truth", metrics=["mad"], workers=1)
print(scores["verdict"])
for row in scores["ranking"]["mad"]:
    print(f"{row['rank']}. {row['name'].rpartition('-')[0]}: {row['mean']:.4f} ({row['low']:.4f} to {row['high']:.4f})")
shown = {"photograph": read_picture("shots/doll.png").image, "truth": read_picture("truth/doll.png").image}
for pipeline in scores["pipelines"]:
    alpha = Path("report/layers", pipeline["id"], "doll", "alpha.png")
    shown[pipeline["name"].replace("-", "_")] = read_picture(alpha).image
show(**shown)
