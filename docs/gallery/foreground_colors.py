"""No fringe of the old background

An edge pixel is a mixture of subject and old background.
Cut out as it is, it brings the old background along: a light fringe around everything that was photographed on white.
`estimate_foreground` finds the color of the subject alone (Germer 2020).
"""

import scenes
from show import show

from bgkit import stages

shot = scenes.photograph(scenes.doll(), scenes.paper())
fringed = stages.composite(shot.image, shot.alpha, background="#15202b")
foreground = stages.estimate_foreground(shot.image, shot.alpha)
clean = stages.composite(shot.image, shot.alpha, foreground, background="#15202b")
detail = (slice(20, 160), slice(20, 160))
show(photograph=shot.image, with_fringe=fringed, estimated=clean)
show(photograph=shot.image[detail], with_fringe=fringed[detail], estimated=clean[detail])
