"""A 16-bit TIFF stays a 16-bit TIFF

Raw developers and scanners deliver 16 bits for each channel, and a soft shadow on paper needs them.
bgkit computes in floats and writes the depth that came in; the profile is sRGB, and the resolution is kept.
"""

import numpy as np
import scenes
import tifffile
from show import show

import bgkit
from bgkit.imagefile import read_picture

shot = scenes.photograph(scenes.vase(), scenes.paper())
tifffile.imwrite(
    "vase.tif",
    np.rint(shot.image * 65535).astype(np.uint16),
    photometric="rgb",
    resolution=(300, 300),
    resolutionunit="INCH",
)
bgkit.remove("vase.tif", "studio-white", background="none").save("cutout.tif")
with tifffile.TiffFile("cutout.tif") as file:
    page = file.pages[0]
    print(page.dtype, page.shape, "resolution", page.get_resolution())
    levels = len(np.unique(page.asarray()[..., 0]))
print("levels of red:", levels)
written = read_picture("cutout.tif")
show(photograph=shot.image, cutout=np.dstack([written.image, written.alpha]))
