"""Framed for a shop

Shops ask for a square of pure white, the product over at least 85 % of it, centered, nothing cut off.
The pipeline `product` evens the light, balances the white, cuts out, frames, and checks every rule.
"""

import scenes
from show import show

import bgkit

shot = scenes.photograph(scenes.vase(480, 400), scenes.paper(480, 400, color=(0.88, 0.86, 0.80)))
cut = bgkit.remove(shot.image, "product", values={"frame.size": 400, "checks.pixels": 400})
for name in ("filled", "pure", "subjects", "touching"):
    finding = cut.facts["findings"][name]
    print(f"{name}: {finding['value']:.4g} {finding['unit']}, {finding['limit']}")
show(photograph=shot.image, for_the_shop=cut.result)
