"""A portrait on a transparent and on a blurred background

The pipeline `portrait` is for one person or animal: it keeps the largest piece alone, so that the model of the space
shuttle behind the astronaut goes, and leaves a wide band to matting for the hair.
The embedded network finds the person; nothing has to be downloaded.
"""

from show import show
from skimage import data

import bgkit

photo = data.astronaut()
clear = bgkit.remove(photo, "portrait")
blurred = bgkit.remove(photo, "portrait", background="blur")
show(photograph=photo, alpha=clear.alpha, transparent=clear.result, blurred=blurred.result)
