import numpy as np
from numpy.typing import NDArray

STRIP: int

def disk_extreme(
    mask: NDArray[np.float32],
    half: NDArray[np.int32],
    greatest: bool,
    scratch: NDArray[np.float32],
    out: NDArray[np.float32],
    threads: int,
) -> None: ...
