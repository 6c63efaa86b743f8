"""Attribute opening by union-find: what is left when every too light component of every level is taken away.

A component of a level is a connected set of pixels that are at least that high. Pixels arrive from the highest
to the lowest and join the components they touch, as in Wilkinson and Roerdink (2000), "Fast morphological
attribute operations using Tarjan's union-find algorithm". A component that has reached the weight asked for
keeps its height and is joined no more, except by pixels of its own height.
"""


cdef inline int _root(int[::1] parent, int pixel) noexcept nogil:
    """Find the root of a pixel's tree, and halve the path to it on the way."""
    while parent[pixel] != pixel:
        parent[pixel] = parent[parent[pixel]]
        pixel = parent[pixel]
    return pixel


def open_by_weight(const float[::1] values, const int[::1] order, Py_ssize_t width, bint diagonal,
                   int[::1] weight, int limit, float ground, int[::1] parent, float[::1] out):
    """Write into ``out`` the height to which each pixel of ``order`` falls.

    ``order`` lists pixels from the first level to the last, whichever way is up; pixels it leaves out are not
    touched. ``weight`` is each pixel's own, 0..limit, and is used up. ``parent`` must be -1 throughout.
    ``ground`` is the value of components that never reach ``limit``.
    """
    cdef Py_ssize_t step, count = order.shape[0], height = values.shape[0] // width
    cdef Py_ssize_t row, col, near_row, near_col
    cdef int pixel, near, root
    with nogil:
        for step in range(count):
            pixel = order[step]
            parent[pixel] = pixel
            row = pixel // width
            col = pixel % width
            for near_row in range(max(row - 1, 0), min(row + 2, height)):
                for near_col in range(max(col - 1, 0), min(col + 2, width)):
                    if not diagonal and near_row != row and near_col != col:
                        continue
                    near = <int>(near_row * width + near_col)
                    if parent[near] < 0:
                        continue
                    root = _root(parent, near)
                    if root == pixel:
                        continue
                    if values[root] == values[pixel] or weight[root] < limit:
                        parent[root] = pixel
                        weight[pixel] = min(weight[pixel] + min(weight[root], limit - weight[pixel]), limit)
                    else:
                        weight[pixel] = limit
        for step in range(count - 1, -1, -1):
            pixel = order[step]
            if parent[pixel] != pixel:
                out[pixel] = out[parent[pixel]]
            elif weight[pixel] >= limit:
                out[pixel] = values[pixel]
            else:
                out[pixel] = ground
