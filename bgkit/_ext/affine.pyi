import numpy as np
from numpy.typing import NDArray

def apply_affine(
    image: NDArray[np.float32],
    grid: NDArray[np.float32],
    upper: NDArray[np.int32],
    down: NDArray[np.float32],
    left: NDArray[np.int32],
    right: NDArray[np.float32],
    wanted: NDArray[np.uint8],
    scratch: NDArray[np.float32],
    out: NDArray[np.float32],
    threads: int,
) -> None: ...
