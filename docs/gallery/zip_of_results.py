"""All results in one zip file

For a customer or an upload form: `archive=`, or `--zip` on the command line, puts all results into one file, those of
earlier runs included.
It is written whole, when everything else is done.
"""

import zipfile
from pathlib import Path

import scenes
from show import show

import bgkit
from bgkit.imagefile import read_picture, write_picture

Path("shots/spring").mkdir(parents=True)
for name, color in {"teal": (0.10, 0.42, 0.47), "red": (0.6, 0.12, 0.1)}.items():
    write_picture(f"shots/spring/{name}.png", scenes.photograph(scenes.vase(color=color), scenes.paper()).image)
done = bgkit.remove_many("shots", "cut", "studio-white", archive="cut.zip", workers=1)
with zipfile.ZipFile("cut.zip") as archive:
    print(dict(done.counts), archive.namelist())
    show(**{Path(name).stem: read_picture(archive.read(name)).image for name in archive.namelist()})
