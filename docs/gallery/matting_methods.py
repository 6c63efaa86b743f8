"""Six ways to matte

The same photograph and the same trimap, and the published methods side by side: closed form (Levin 2008), KNN (Chen
2013), learning based (Zheng 2009), random walk (Grady 2005), large kernels (He 2010) and shared sampling (Gastal
2010).
All but the first run through PyMatting: `pip install "bgkit[matting]"`.
"""

import scenes
from show import show

from bgkit import stages

shot = scenes.photograph(scenes.doll(180, 150, strands=220), scenes.paper(180, 150))
trimap = stages.make_trimap(shot.alpha, width=25)
methods = ("closed_form", "knn", "learning", "random_walk", "large_kernel", "shared")
alphas = {name: getattr(stages, f"{name}_matting")(shot.image, trimap) for name in methods}
for name, alpha in alphas.items():
    print(f"{name:12} mean error in the unknown band {abs(alpha - shot.alpha)[trimap == 128].mean():.3f}")
show(photograph=shot.image, trimap=trimap, truth=shot.alpha)
show(**alphas)
