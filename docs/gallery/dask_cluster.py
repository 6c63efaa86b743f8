"""Many machines, with Dask

`engine="dask"` gives the pictures to the workers of a Dask cluster: that of `scheduler="tcp://host:8786"`, or one of
its own on this machine, as here.
Journal, report and resuming are the same as with local processes.
It needs `pip install "bgkit[dask]"`.
"""

from pathlib import Path

import scenes
from show import show

import bgkit
from bgkit.imagefile import read_picture, write_picture

if __name__ == "__main__":  # the workers are processes, and each imports this file
    Path("shots").mkdir()
    colors = {"teal": (0.10, 0.42, 0.47), "red": (0.6, 0.12, 0.1), "blue": (0.15, 0.2, 0.55)}
    for name, color in colors.items():
        write_picture(f"shots/{name}.png", scenes.photograph(scenes.vase(color=color), scenes.paper()).image)
    done = bgkit.remove_many("shots", "cut", "studio-white", engine="dask", workers=1)
    print(dict(done.counts))
    show(**{name: read_picture(f"cut/{name}.png").image for name in colors})
