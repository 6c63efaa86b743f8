import numpy as np
from numpy.typing import NDArray

def relight(
    image: NDArray[np.float32],
    slope: NDArray[np.float32],
    upper: NDArray[np.int32],
    down: NDArray[np.float32],
    knee: float,
    out: NDArray[np.float32],
    threads: int,
) -> None: ...
def draw_in(alpha: NDArray[np.float32], clear: float, solid: float, out: NDArray[np.float32], threads: int) -> None: ...
def over(
    subject: NDArray[np.float32],
    alpha: NDArray[np.float32],
    behind: NDArray[np.float32],
    shade: NDArray[np.float32],
    out: NDArray[np.float32],
    threads: int,
) -> None: ...
def beside(color: NDArray[np.float32], alpha: NDArray[np.float32], out: NDArray[np.float32], threads: int) -> None: ...
def to_bytes(values: NDArray[np.float32], out: NDArray[np.uint8]) -> bool: ...
def count_clipped(
    image: NDArray[np.float32],
    alpha: NDArray[np.float32],
    full: float,
    faint: float,
    sure: float,
    counts: NDArray[np.int64],
) -> None: ...
def to_shares(samples: NDArray[np.uint8], out: NDArray[np.float32], threads: int) -> None: ...
