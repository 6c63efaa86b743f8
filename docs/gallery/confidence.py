"""How far a result can be trusted, without a truth

An undecided mask, an outline along no edge, witnesses that disagree: such signs tell, without a truth, how likely a
result is to be right.
`bgkit compare` uses this to sort the pictures worth a look; here a good and a bad result of the same photograph.
"""

from show import show
from skimage import data

import bgkit
from bgkit.comparison.confidence import confidence, reasons
from bgkit.comparison.signs import signs

photo = data.coffee()
shown = {"photograph": photo}
for name in ("auto", "classical"):
    cut = bgkit.remove(photo, name)
    found = signs(cut)
    print(
        f"{name}: {confidence(found):.0%} likely to have an IoU of 0.9; doubts: {', '.join(reasons(found)) or 'none'}"
    )
    shown[name] = cut.result
show(**shown)
