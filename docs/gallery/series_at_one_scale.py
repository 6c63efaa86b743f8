"""A series at one scale

In a shop's list a small vase shall look smaller than a large one, and both shall stand on the same line.
`bgkit align` looks at the first shots of a series from one camera position and prints the settings; with them every
later shot gets the same scale, one by one, in batches, or in a watched folder.
"""

from pathlib import Path

import numpy as np
import scenes
from click.testing import CliRunner
from show import show

from bgkit.cli import app
from bgkit.imagefile import read_picture, write_picture

Path("shots").mkdir()
large = scenes.vase(360, 300)
small = scenes.vase(216, 180, color=(0.55, 0.14, 0.12))
around = ((110, 34), (60, 60))
small = scenes.Subject(np.pad(small.color, (*around, (0, 0))), np.pad(small.alpha, around))
for name, subject in {"large": large, "small": small}.items():
    write_picture(f"shots/{name}.png", scenes.photograph(subject, scenes.paper()).image)


def run(command):
    return CliRunner().invoke(app, command.split(), catch_exceptions=False).output


settings = run("align shots -p product -q").strip()
print(settings)
run(f"remove shots -o alike -q -p product --set frame.size=480 {settings}")
run("remove shots -o filled -q -p product --set frame.size=480 --set frame.enlarge=true")
show(
    **{
        f"{name}_{how}": read_picture(f"{folder}/{name}.png").image
        for folder, how in (("alike", "at_one_scale"), ("filled", "filling_the_frame"))
        for name in ("large", "small")
    }
)
