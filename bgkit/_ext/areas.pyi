import numpy as np
from numpy.typing import NDArray

def reduce(
    image: NDArray[np.float32],
    first_row: NDArray[np.int32],
    end_row: NDArray[np.int32],
    row_weight: NDArray[np.float32],
    first_col: NDArray[np.int32],
    end_col: NDArray[np.int32],
    col_weight: NDArray[np.float32],
    scratch: NDArray[np.float32],
    out: NDArray[np.float32],
    threads: int,
) -> None: ...
