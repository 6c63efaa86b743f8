"""A white product on white paper

A color key loses what has the color of the paper: the light side of this vase has no edge at all in places.
A network knows shapes and holds them. The pipeline `auto` asks both, sees that the key leaves out what the network is
sure of, and takes the network's mask; matting then finds the edge where there is one.
A light from the side or a gray paper makes such shots easy for every method.
"""

import scenes
from show import show

import bgkit

shot = scenes.photograph(scenes.vase(color=(0.93, 0.92, 0.90)), scenes.paper(), shadow=0.05)
names = ("classical", "studio-white", "auto")
results = {name: bgkit.remove(shot.image, name, background="#335577") for name in names}
for name, cut in results.items():
    print(f"{name}: mean error of alpha {abs(cut.alpha - shot.alpha).mean():.3f}")
show(photograph=shot.image, **{name.replace("-", "_"): cut.result for name, cut in results.items()})
