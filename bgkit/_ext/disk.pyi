from typing import Any

import numpy as np
from numpy.typing import NDArray

STRIP: int
BLOCK: int

def least_in_disk(
    mask: NDArray[Any],
    half: NDArray[np.int32],
    wanted: NDArray[np.uint8],
    scratch: NDArray[Any],
    out: NDArray[Any],
    threads: int,
) -> None: ...
def all_in_disk(
    mask: NDArray[np.uint8],
    half: NDArray[np.int32],
    reach: NDArray[np.uint16],
    out: NDArray[np.uint8],
    threads: int,
) -> None: ...
