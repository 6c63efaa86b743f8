"""Distances to the nearest marked pixel, up to a greatest one. The arithmetic is in distance.h."""

from cython.parallel cimport prange
from libc.stdint cimport int32_t, uint8_t, uint16_t

cdef extern from "distance.h" nogil:
    void along_columns(const uint8_t *marks, const uint16_t *before, uint16_t most, Py_ssize_t cols, uint16_t *own)
    void back_along_columns(const uint16_t *behind, Py_ssize_t cols, uint16_t *own)
    Py_ssize_t along_row(const uint16_t *vertical, uint16_t most, Py_ssize_t cols, int32_t *stack, int32_t *square)
    void take_roots(const uint16_t *vertical, const int32_t *square, float farthest, Py_ssize_t cols, float *out)

cdef enum:
    WIDE = 512  # columns for a thread at a time, so that its rows stay in the cache


def measure(const uint8_t[:, ::1] marks, float farthest, int most, uint16_t[:, ::1] vertical, int32_t[:, ::1] scratch,
            float[:, ::1] out, int threads):
    """Write each pixel's distance to the nearest one marked, at most ``farthest``.

    ``most`` is a whole number above ``farthest``, at most 32767. ``vertical`` is scratch, and so is ``scratch``, a row
    for each thread of three times the columns.
    """
    cdef Py_ssize_t rows = marks.shape[0], cols = marks.shape[1], row, part, thread
    for part in prange((cols + WIDE - 1) // WIDE, nogil=True, num_threads=threads, schedule="static"):
        _columns(&marks[0, 0], rows, cols, part * WIDE, min(WIDE, cols - part * WIDE), most, &vertical[0, 0])
    for thread in prange(threads, nogil=True, num_threads=threads, schedule="static"):
        for row in range(thread * rows // threads, (thread + 1) * rows // threads):
            _row(&vertical[row, 0], cols, most, farthest, &scratch[thread, 0], &out[row, 0])


cdef void _columns(const uint8_t *marks, Py_ssize_t rows, Py_ssize_t cols, Py_ssize_t first, Py_ssize_t count,
                   uint16_t most, uint16_t *vertical) noexcept nogil:
    cdef Py_ssize_t row
    cdef uint16_t *own
    for row in range(rows):
        own = vertical + row * cols + first
        along_columns(marks + row * cols + first, own - cols if row else NULL, most, count, own)
    for row in range(rows - 2, -1, -1):
        own = vertical + row * cols + first
        back_along_columns(own + cols, count, own)


cdef void _row(const uint16_t *vertical, Py_ssize_t cols, uint16_t most, float farthest, int32_t *scratch,
               float *out) noexcept nogil:
    cdef Py_ssize_t col
    if along_row(vertical, most, cols, scratch + cols, scratch):
        take_roots(vertical, scratch, farthest, cols, out)
    else:
        for col in range(cols):
            out[col] = farthest
