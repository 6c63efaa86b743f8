"""Without a network: GrabCut and saliency

Two classical methods that need nothing but the picture: GrabCut models the colors of border and middle and cuts
between them (Rother 2004); saliency asks which regions cannot be left towards the border without a change of color.
They are a base line, and a fall-back where no network may be used.
"""

from show import show
from skimage import data

from bgkit import stages

photo = data.coffee()
cut, salient, network = stages.grabcut(photo), stages.saliency(photo), stages.cnn_mask(photo)
show(photograph=photo, grabcut=cut, saliency=salient, embedded_network=network)
