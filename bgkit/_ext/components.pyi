import numpy as np
from numpy.typing import NDArray

def open_by_weight(
    values: NDArray[np.float32],
    order: NDArray[np.int32],
    width: int,
    diagonal: bool,
    weight: NDArray[np.int32],
    limit: int,
    ground: float,
    parent: NDArray[np.int32],
    out: NDArray[np.float32],
) -> None: ...
