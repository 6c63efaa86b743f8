from typing import Any

from numpy import float32
from numpy.typing import NDArray

Array = NDArray[float32]

class Lattice:
    rows: int
    cols: int
    vertices: int
    simplices: int
    def __init__(self, image: NDArray[Any], position_std: float, color_std: float, threads: int) -> None: ...
    def filter(self, values: Array, out: Array, threads: int) -> None: ...
    def filter_onto(self, image: NDArray[Any], values: Array, out: Array, threads: int) -> None: ...

class AllPairs:
    rows: int
    cols: int
    def __init__(self, image: NDArray[Any], position_std: float, color_std: float, threads: int) -> None: ...
    def filter(self, values: Array, out: Array, threads: int) -> None: ...

class Gaussian:
    rows: int
    cols: int
    radius: int
    def __init__(self, rows: int, cols: int, std: float) -> None: ...
    def filter(self, values: Array, out: Array, threads: int) -> None: ...

def mean_field_two(
    lattice: Lattice,
    gaussian: Gaussian,
    unary: Array,
    bilateral_weight: float,
    spatial_weight: float,
    iterations: int,
    tolerance: float,
    balance: Array,
    threads: int,
) -> tuple[int, float]: ...
