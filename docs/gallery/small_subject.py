"""A second look at small subjects

A network of fixed size sees a small subject in few pixels.
The card of the embedded network has `closer = 0.8`: what the first look found is seen again, enlarged, where it takes
less than that share of the picture.
Here a copy of the network with a card that lacks the line answers beside it.
"""

import shutil
from importlib.resources import files
from pathlib import Path

import numpy as np
import scenes
from show import show

from bgkit import stages

models = files("bgkit") / "models"
shutil.copy(models / "weights/coarse.onnx", "once.onnx")
lines = (models / "cards/coarse.toml").read_text().replace("coarse", "once").splitlines()
Path("once.toml").write_text("\n".join(line for line in lines if not line.startswith(("closer", "sha256", "bytes"))))

doll = scenes.doll(160, 134, strands=250)
around = ((300, 340), (150, 516))
small = scenes.Subject(np.pad(doll.color, (*around, (0, 0))), np.pad(doll.alpha, around))
shot = scenes.photograph(small, scenes.paper(800, 800, color=(0.45, 0.55, 0.60)))
detail = (slice(290, 470), slice(140, 310))
answers = {}
for name, model in {"one_look": "once.onnx", "two_looks": "coarse"}.items():
    mask = stages.cnn_mask(shot.image, model=model)
    print(f"{name}: mean error around the subject {abs(mask - shot.alpha)[detail].mean():.3f}")
    answers[name] = mask[detail]
show(photograph=shot.image, detail=shot.image[detail], **answers)
