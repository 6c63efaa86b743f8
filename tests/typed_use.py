"""What a type checker says of a program that uses bgkit: mypy reads this file, and an unused ignore is an error.

A misspelled keyword, a wrong type and a missing layer are found before the program runs.
"""

from __future__ import annotations

import numpy as np

import bgkit
from bgkit.layers import Array

image: Array = np.zeros((8, 8, 3), np.float32)
trimap: Array = np.full((8, 8), 128, np.uint8)

alpha: Array = bgkit.stages.closed_form_matting(image, trimap, epsilon=1e-6)
bgkit.stages.closed_form_matting(image, trimap, epsilom=1e-6)  # type: ignore[call-arg]
bgkit.stages.closed_form_matting(image, trimap, epsilon="small")  # type: ignore[arg-type]
bgkit.stages.closed_form_matting(image)  # type: ignore[call-arg]

cut: bgkit.Layers = bgkit.remove("photo.jpg", background="white")
png: bytes = cut.to_bytes("png")
bgkit.remove_many("shots", "cut", "product", worker=2)  # type: ignore[call-arg]
