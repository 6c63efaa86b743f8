import numpy as np
from numpy.typing import NDArray

def choose_samples(
    pixel: NDArray[np.float32],
    behind: NDArray[np.float32],
    block: NDArray[np.int32],
    index: NDArray[np.int32],
    penalty: NDArray[np.float32],
    colors: NDArray[np.float32],
    mixed: float,
    solid: float,
    chosen: NDArray[np.float32],
    cost_mixed: NDArray[np.float32],
    cost_solid: NDArray[np.float32],
    threads: int,
) -> None: ...
