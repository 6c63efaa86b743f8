"""Command line recipes

Seven commands that answer most questions, run in a folder with `vase.png`.
Each command has `--help` with more of them.
"""

from pathlib import Path

import scenes
from click.testing import CliRunner
from show import show

from bgkit.cli import app
from bgkit.imagefile import read_picture, write_picture

write_picture("vase.png", scenes.photograph(scenes.vase(), scenes.paper(), shadow=0).image)
commands = """
bgkit remove vase.png -p studio-white
bgkit remove vase.png -p studio-white -o on-gray.jpg --background #dddddd
bgkit remove vase.png -p studio-white -o matte.png --layer alpha
bgkit remove vase.png -p studio-white -o wider.png --set make_trimap.width=12
bgkit remove vase.png -p studio-white -o look.jpg --strip
bgkit remove vase.png -p studio-white -o empty.jpg --layer background --set drop_subject.fill=telea
bgkit check --help
"""
for line in commands.strip().splitlines():
    result = CliRunner().invoke(app, line.split()[1:], catch_exceptions=False)
    assert result.exit_code == 0, result.output
print(*sorted(path.name for path in Path().iterdir()), sep="\n")
show(look=read_picture("look.jpg").image, matte=read_picture("matte.png").image, empty=read_picture("empty.jpg").image)
