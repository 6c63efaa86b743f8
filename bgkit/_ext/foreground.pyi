import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

PLANES: int
LONGEST: int

def color_sums(image: Floats, alpha: Floats, sums: NDArray[np.float64], threads: int) -> None: ...
def mixed_boxes(alpha: Floats, side: int, boxes: NDArray[np.int32], threads: int) -> None: ...
def fit_level(
    image: Floats,
    alpha: Floats,
    coarse: Floats,
    coarse_at: NDArray[np.int32],
    coarse_rows: int,
    coarse_cols: int,
    rows: int,
    cols: int,
    boxes: NDArray[np.int32],
    halo: int,
    sweeps: int,
    regularization: float,
    gradient_weight: float,
    scratch: Floats,
    level: Floats,
    out: Floats,
    first: int,
    threads: int,
) -> None: ...
def spread(
    image: Floats,
    alpha: Floats,
    coarse: Floats,
    top: NDArray[np.int32],
    down: Floats,
    left: NDArray[np.int32],
    along: Floats,
    scratch: Floats,
    out: Floats,
    threads: int,
) -> None: ...
