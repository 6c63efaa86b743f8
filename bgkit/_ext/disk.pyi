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
