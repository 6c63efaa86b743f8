"""Move a coarse mask onto the picture's edges: dense CRF

A network knows the contour to about one in 320 steps.
A fully connected conditional random field (Krähenbühl and Koltun 2011) looks at the colors of the whole picture and
moves the mask's edge to the edges it sees.
"""

from show import show
from skimage import data

from bgkit import stages

photo = data.coffee()
coarse = stages.cnn_mask(photo)
refined = stages.dense_crf(photo, coarse, color_std=4, bilateral_weight=4)
detail = (slice(20, 220), slice(320, 480))
show(photograph=photo, network=coarse, after_dense_CRF=refined)
show(detail=photo[detail], network=coarse[detail], after_dense_CRF=refined[detail])
