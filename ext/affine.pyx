"""Affine functions of color, interpolated from a coarse grid. The arithmetic is in affine.h."""

from cython.parallel cimport prange
from libc.stdint cimport int32_t, uint8_t

cdef extern from "affine.h" nogil:
    void affine_row(const float *above, const float *below, float down, Py_ssize_t grid_cols, const int32_t *left,
                    const float *right, const float *rgb, Py_ssize_t cols, const uint8_t *wanted, float *blend,
                    float *out)


def apply_affine(const float[:, :, ::1] image, const float[:, :, ::1] grid, const int32_t[::1] upper,
                 const float[::1] down, const int32_t[::1] left, const float[::1] right, const uint8_t[:, ::1] wanted,
                 float[:, ::1] scratch, float[:, ::1] out, int threads):
    """Write grid[..., :3] . image + grid[..., 3], clipped to 0..1, the (R, C, 4) grid interpolated bilinearly.

    ``upper`` and ``left`` are the grid's row and column before each of the picture's rows and columns, ``down`` and
    ``right`` how far it is from there towards the next, 0..1. ``wanted`` marks the pixels that
    are to be written, others need not be; (0, 0) wants all. ``scratch`` is (M, 4 C).
    """
    cdef Py_ssize_t row, low, rows = image.shape[0], grid_rows = grid.shape[0]
    for row in prange(rows, nogil=True, num_threads=threads, schedule="static"):
        low = min(upper[row] + 1, grid_rows - 1)
        affine_row(&grid[upper[row], 0, 0], &grid[low, 0, 0], down[row], grid.shape[1], &left[0], &right[0],
                   &image[row, 0, 0], image.shape[1], &wanted[row, 0] if wanted.shape[0] else NULL, &scratch[row, 0],
                   &out[row, 0])
