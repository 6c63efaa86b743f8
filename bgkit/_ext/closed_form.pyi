import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Ints = NDArray[np.int32]
Longs = NDArray[np.int64]

ROOM: int

def laplacian(
    image: Floats,
    trimap: NDArray[np.uint8],
    index: Ints,
    top: int,
    left: int,
    epsilon: float,
    values: Doubles,
    right: Doubles,
    threads: int,
) -> None: ...
def multiply(values: Doubles, index: Ints, at: Ints, x: Doubles, out: Doubles, threads: int) -> None: ...
def dissect(
    row: Ints, col: Ints, order: Ints, spare: Ints, in_row: Ints, in_col: Ints, tree: Ints, leaf: int
) -> int: ...

class Tree:
    def __init__(
        self,
        values: Doubles,
        index: Ints,
        at: Ints,
        order: Ints,
        position: Ints,
        tree: Ints,
        border_at: Longs,
        factor_at: Longs,
        border: Ints,
        place: Ints,
        factor: Floats,
    ) -> None: ...
    def find_borders(self, node: int, nodes: int, mark: Ints, room: int) -> int: ...
    def stack_room(self, node: int) -> int: ...
    def factor_subtrees(
        self,
        roots: Ints,
        rests: Floats,
        rest_at: Longs,
        stack: Floats,
        where: Ints,
        least: Floats,
        room: Floats,
        threads: int,
    ) -> None: ...
    def factor_node(
        self,
        node: int,
        left: Floats,
        right: Floats,
        rest: Floats,
        where: Ints,
        least: Floats,
        room: Floats,
        threads: int,
    ) -> None: ...
    def solve(
        self,
        roots: Ints,
        above: Ints,
        right: Doubles,
        out: Doubles,
        x: Floats,
        sums: Floats,
        front: Floats,
        threads: int,
    ) -> None: ...
