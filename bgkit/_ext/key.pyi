from typing import Any

from numpy.typing import NDArray

def luv_key(
    image: NDArray[Any],
    targets: NDArray[Any],
    tolerance: float,
    softness: float,
    shadow: float,
    mask: NDArray[Any],
    threads: int,
) -> None: ...
def color_difference_key(
    image: NDArray[Any],
    primary: int,
    screen: NDArray[Any],
    black: float,
    white: float,
    mask: NDArray[Any],
    threads: int,
) -> None: ...
