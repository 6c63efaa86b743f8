"""A folder that is watched

`bgkit watch incoming -o shop -p product` processes every picture that arrives in a folder, once, also after a crash.
With `--once` it ends when all that is there is done, which suits a timer.
Where the disk is full it ends with status 1, and goes on next time.
Beside each result stands a JSON file with all that is needed to make it again.
"""

import json
from pathlib import Path

import scenes
from click.testing import CliRunner
from show import show

from bgkit.cli import app
from bgkit.imagefile import read_picture, write_picture

Path("incoming/monday").mkdir(parents=True)
write_picture("incoming/monday/vase.png", scenes.photograph(scenes.vase(), scenes.paper()).image)
command = "watch incoming -o white -p studio-white --once --settle 0 --every 0.02"
CliRunner().invoke(app, command.split(), catch_exceptions=False)
for path in sorted(Path("white").rglob("*.*")):
    print(path.as_posix())
print(sorted(json.loads(Path("white/monday/vase.png.json").read_text())))
show(arrived=read_picture("incoming/monday/vase.png").image, result=read_picture("white/monday/vase.png").image)
