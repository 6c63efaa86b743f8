"""Measure a result against the truth

The metrics of the field, for masks (IoU, F, S, E, boundary IoU) and for mattes (SAD, MSE, gradient, connectivity), by
their published definitions.
`bgkit evaluate cut truth` does the same for two folders, whichever tool made the results.
"""

import scenes
from show import show

import bgkit
from bgkit.evaluate import METRICS, score

shot = scenes.photograph(scenes.doll(), scenes.paper())
results = {name: bgkit.remove(shot.image, name).alpha for name in ("fast", "studio-white")}
measured = {name: score(alpha, shot.alpha).values for name, alpha in results.items()}
for metric in ("iou", "boundary_iou", "f_max", "sad", "mse", "grad", "conn"):
    values = "".join(f"{measured[name][metric]:>14.4f}" for name in results)
    print(f"{METRICS[metric].title:>14}{values}   {METRICS[metric].better} is better")
print(f"{'':>14}" + "".join(f"{name:>14}" for name in results))
show(photograph=shot.image, truth=shot.alpha, fast=results["fast"], studio_white=results["studio-white"])
