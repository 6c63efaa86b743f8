from typing import Any

from numpy.typing import NDArray

def to_luv(image: NDArray[Any], out: NDArray[Any]) -> None: ...
def luv_key(
    image: NDArray[Any],
    targets: NDArray[Any],
    tolerance: float,
    softness: float,
    shadow: float,
    mask: NDArray[Any],
    threads: int,
) -> None: ...
def luv_shades(
    part: NDArray[Any],
    first: int,
    start: int,
    stop: int,
    surface: NDArray[Any],
    shadow: float,
    lit: NDArray[Any],
    shaded: NDArray[Any],
    far: NDArray[Any],
    off: NDArray[Any],
    threads: int,
) -> None: ...
def shadowed(
    lit: NDArray[Any],
    shaded: NDArray[Any],
    allowed: NDArray[Any],
    upper: NDArray[Any],
    weight: NDArray[Any],
    tolerance: float,
    softness: float,
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
