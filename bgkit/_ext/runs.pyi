import numpy as np
from numpy.typing import NDArray

LANES: int
AROUND: int

def unfold(
    matrix: NDArray[np.float64],
    numbers: NDArray[np.int32],
    at: NDArray[np.int32],
    lane: NDArray[np.int32],
    values: NDArray[np.float32],
) -> None: ...
def multiply_runs(
    values: NDArray[np.float32],
    place: NDArray[np.int64],
    length: NDArray[np.int32],
    group: NDArray[np.int32],
    x: NDArray[np.float32],
    out: NDArray[np.float32],
    grid: NDArray[np.float32],
    threads: int,
) -> None: ...
