import numpy as np
from numpy.typing import NDArray

UNSEEN: int
SETTLED: int

def sort_keys(
    heights: NDArray[np.uint32],
    pending: NDArray[np.uint8],
    start: NDArray[np.intp],
    rows: NDArray[np.intp],
    highest_first: bool,
    scratch: NDArray[np.uint64],
    keys: NDArray[np.uint64],
    threads: int,
) -> None: ...
def join_bands(
    keys: NDArray[np.uint64],
    start: NDArray[np.intp],
    rows: NDArray[np.intp],
    diagonal: bool,
    unit: int,
    limit: int,
    state: NDArray[np.int32],
    weights: NDArray[np.int32],
    put_off: NDArray[np.intp],
    threads: int,
) -> None: ...
def join_rest(
    keys: NDArray[np.uint64],
    mask: NDArray[np.float32],
    highest_first: bool,
    diagonal: bool,
    limit: int,
    state: NDArray[np.int32],
) -> None: ...
def spread_levels(
    mask: NDArray[np.float32],
    ground: float,
    state: NDArray[np.int32],
    out: NDArray[np.float32],
) -> None: ...
