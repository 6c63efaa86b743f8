import numpy as np
from numpy.typing import NDArray

def barrier_distance(
    values: NDArray[np.float32],
    passes: int,
    distance: NDArray[np.float32],
    highest: NDArray[np.float32],
    lowest: NDArray[np.float32],
) -> None: ...
