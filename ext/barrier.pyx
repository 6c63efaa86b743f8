"""Minimum barrier distance to the picture's border, by raster passes (Zhang et al. 2015, algorithm 1).

The barrier of a path is the difference between the highest and the lowest value on it. Passes run alternately
from the first pixel to the last and back; each pixel takes the better of its two earlier neighbors' paths.
The order of the visits is the method, so this runs on one thread.
"""


cdef inline void _visit(const float[:, ::1] values, Py_ssize_t row, Py_ssize_t col, Py_ssize_t from_row,
                        Py_ssize_t from_col, float[:, ::1] distance, float[:, ::1] highest,
                        float[:, ::1] lowest) noexcept nogil:
    cdef float high = max(highest[from_row, from_col], values[row, col])
    cdef float low = min(lowest[from_row, from_col], values[row, col])
    if high - low < distance[row, col]:
        distance[row, col] = high - low
        highest[row, col] = high
        lowest[row, col] = low


def barrier_distance(const float[:, ::1] values, int passes, float[:, ::1] distance, float[:, ::1] highest,
                     float[:, ::1] lowest):
    """Lower ``distance`` (0 on the border, large inside); ``highest`` and ``lowest`` start as the values."""
    cdef Py_ssize_t rows = values.shape[0], cols = values.shape[1], row, col
    cdef int step
    with nogil:
        for step in range(passes):
            if step % 2 == 0:
                for row in range(1, rows - 1):
                    for col in range(1, cols - 1):
                        _visit(values, row, col, row - 1, col, distance, highest, lowest)
                        _visit(values, row, col, row, col - 1, distance, highest, lowest)
            else:
                for row in range(rows - 2, 0, -1):
                    for col in range(cols - 2, 0, -1):
                        _visit(values, row, col, row + 1, col, distance, highest, lowest)
                        _visit(values, row, col, row, col + 1, distance, highest, lowest)
