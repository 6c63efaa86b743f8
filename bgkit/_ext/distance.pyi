import numpy as np
from numpy.typing import NDArray

def measure(
    marks: NDArray[np.uint8],
    farthest: float,
    most: int,
    vertical: NDArray[np.uint16],
    scratch: NDArray[np.int32],
    out: NDArray[np.float32],
    threads: int,
) -> None: ...
