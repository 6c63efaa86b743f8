"""Loops of multi-level foreground estimation."""

from cython.parallel cimport prange, threadid
from libc.stdint cimport int32_t


cdef extern from "foreground.h" nogil:
    int COLORS, ALPHA, IMAGE, SOUGHT
    int c_planes "PLANES"
    enum: C_LONGEST "LONGEST"
    void sum_colors(const float *, const float *, Py_ssize_t, double *)
    void tile_weights(float *, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t, float, float)
    void tile_sweep(float *, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t, float *)
    void fill_row(const float *, const float *, Py_ssize_t, const float *, const int32_t *, const float *, float, float *)

cdef float C_NEARLY = 0.5 / 255

PLANES, LONGEST = c_planes, C_LONGEST


def color_sums(const float[:, :, ::1] image, const float[:, ::1] alpha, double[:, ::1] sums, int threads):
    """Sum color and count, row by row, where alpha is over 0.9 (columns 0 to 3) and below 0.1 (4 to 7)."""
    cdef Py_ssize_t row
    for row in prange(image.shape[0], nogil=True, num_threads=threads, schedule="static"):
        sum_colors(&image[row, 0, 0], &alpha[row, 0], image.shape[1], &sums[row, 0])


def mixed_boxes(const float[:, ::1] alpha, Py_ssize_t side, int32_t[:, :, ::1] boxes, int threads):
    """Find in each tile of side x side pixels those whose alpha is over half a step of 8 bits away from 0 and 1.

    ``boxes`` has first and last row and column of each tile's, both with what follows the last as end; 0 where none is.
    """
    cdef Py_ssize_t row
    for row in prange(boxes.shape[0], nogil=True, num_threads=threads, schedule="static"):
        _box_row(alpha, side, row, boxes)


cdef inline bint _is_mixed(float alpha) noexcept nogil:
    return C_NEARLY < alpha < 1 - C_NEARLY


cdef inline void _box_row(const float[:, ::1] alpha, Py_ssize_t side, Py_ssize_t tile_row,
                          int32_t[:, :, ::1] boxes) noexcept nogil:
    cdef Py_ssize_t row, tile_col, first, last, end
    cdef int32_t *box
    for row in range(tile_row * side, min(tile_row * side + side, alpha.shape[0])):
        for tile_col in range(boxes.shape[1]):
            first, end = tile_col * side, min(tile_col * side + side, alpha.shape[1])
            while first < end and not _is_mixed(alpha[row, first]):
                first += 1
            if first == end:
                continue
            last = end - 1
            while not _is_mixed(alpha[row, last]):
                last -= 1
            box = &boxes[tile_row, tile_col, 0]
            if box[2] == 0:
                box[0], box[1], box[3] = <int32_t> row, <int32_t> first, <int32_t> last + 1
            box[1], box[2], box[3] = min(box[1], <int32_t> first), <int32_t> row + 1, max(box[3], <int32_t> last + 1)


def fit_level(const float[:, :, ::1] image, const float[:, ::1] alpha, const float[:, :, :, ::1] coarse,
              const int32_t[:, ::1] coarse_at, Py_ssize_t coarse_rows, Py_ssize_t coarse_cols, Py_ssize_t rows,
              Py_ssize_t cols, const int32_t[:, ::1] boxes, Py_ssize_t halo, int sweeps, float regularization,
              float gradient_weight, float[:, ::1] scratch, float[:, :, :, ::1] level, float[:, :, ::1] out,
              Py_ssize_t first, int threads):
    """Fit the colors of one level of ``rows`` and ``cols``: into ``level``, or, where that is empty, into ``out``.

    A level is tiles of (side, side, 6); ``coarse_at`` has the number of each tile of the coarser one. ``boxes`` are first
    row and column, and those behind the last: of each tile of ``level``, or any within a tile. ``out`` begins with row
    ``first`` of the picture and gets the foreground. side + halo + sweeps is at most LONGEST. ``scratch`` has a row for
    each thread.
    """
    cdef Py_ssize_t box
    for box in prange(boxes.shape[0], nogil=True, num_threads=threads, schedule="dynamic", chunksize=1):
        _fit_box(image, alpha, coarse, coarse_at, coarse_rows, coarse_cols, rows, cols, &boxes[box, 0], halo, sweeps,
                 regularization, gradient_weight, &scratch[threadid(), 0], box, level, out, first)


cdef inline void _fit_box(const float[:, :, ::1] image, const float[:, ::1] alpha, const float[:, :, :, ::1] coarse,
                          const int32_t[:, ::1] coarse_at, Py_ssize_t coarse_rows, Py_ssize_t coarse_cols,
                          Py_ssize_t level_rows, Py_ssize_t level_cols, const int32_t *box, Py_ssize_t halo, int sweeps,
                          float regularization, float gradient_weight, float *t, Py_ssize_t number,
                          float[:, :, :, ::1] level, float[:, :, ::1] out, Py_ssize_t first) noexcept nogil:
    cdef bint last = level.shape[0] == 0
    cdef Py_ssize_t side = coarse.shape[1]
    # What is wrong in the halo dies out at a third or faster for each pixel, against the raster order in `sweeps`.
    cdef Py_ssize_t top = max(0, box[0] - halo), bottom = min(level_rows, box[2] + sweeps)
    cdef Py_ssize_t left = max(0, box[1] - halo), right = min(level_cols, box[3] + sweeps)
    cdef Py_ssize_t rows = bottom - top, cols = right - left, step = side + halo + sweeps + 1
    cdef Py_ssize_t plane = step * step, row, col, from_row, tile_row, channel, at
    cdef int _sweep
    cdef Py_ssize_t[C_LONGEST] fine_col, coarse_col, coarse_tile
    cdef const float *colors
    for col in range(cols):
        fine_col[col] = (left + col) * alpha.shape[1] // level_cols
        coarse_col[col] = (left + col) * coarse_cols // level_cols
        coarse_tile[col] = coarse_col[col] // side
        coarse_col[col] = coarse_col[col] % side
    for row in range(rows):
        from_row = (top + row) * alpha.shape[0] // level_rows
        at = row * step
        for col in range(cols):
            t[at + col] = alpha[from_row, fine_col[col]]
            for channel in range(3):
                t[(IMAGE + channel) * plane + at + col] = image[from_row, fine_col[col], channel]
        from_row = (top + row) * coarse_rows // level_rows
        tile_row = from_row // side
        from_row = from_row % side
        for col in range(cols):
            colors = &coarse[coarse_at[tile_row, coarse_tile[col]], from_row, coarse_col[col], 0]
            for channel in range(COLORS):
                t[(SOUGHT + channel) * plane + at + col] = colors[channel]
    tile_weights(t, plane, rows, cols, step, regularization, gradient_weight)
    for _sweep in range(sweeps):
        tile_sweep(t, plane, rows, cols, step, t + c_planes * plane)
    for row in range(box[0], box[2]):
        for col in range(box[1], box[3]):
            at = SOUGHT * plane + (row - top) * step + col - left
            if not last:
                for channel in range(COLORS):
                    level[number, row - box[0], col - box[1], channel] = t[at + channel * plane]
            elif alpha[row, col] < 1:
                for channel in range(3):
                    out[row - first, col, channel] = t[at + channel * plane]


def spread(const float[:, :, ::1] image, const float[:, ::1] alpha, const float[:, :, ::1] coarse,
           const int32_t[::1] top, const float[::1] down, const int32_t[::1] left, const float[::1] along,
           float[:, ::1] scratch, float[:, :, ::1] out, int threads):
    """Fill ``out`` with the image where alpha is 1 in 8 bits, and with the coarse foreground, bilinear, elsewhere.

    A row lies ``down`` (0..1) of the way from coarse row ``top`` to the next, a column ``along`` from ``left``.
    """
    cdef Py_ssize_t row
    for row in prange(out.shape[0], nogil=True, num_threads=threads, schedule="static"):
        _spread_row(image, alpha, coarse, top[row], down[row], left, along, &scratch[threadid(), 0], row, out)


cdef inline void _spread_row(const float[:, :, ::1] image, const float[:, ::1] alpha, const float[:, :, ::1] coarse,
                             Py_ssize_t top, float down, const int32_t[::1] left, const float[::1] along,
                             float *blended, Py_ssize_t row, float[:, :, ::1] out) noexcept nogil:
    cdef Py_ssize_t bottom = min(top + 1, coarse.shape[0] - 1), end = coarse.shape[1], col, channel
    for col in range(end):
        for channel in range(3):
            blended[3 * col + channel] = (1 - down) * coarse[top, col, channel] + down * coarse[bottom, col, channel]
    for channel in range(4):
        blended[3 * end + channel] = blended[3 * end - 3 + channel]
    fill_row(&image[row, 0, 0], &alpha[row, 0], out.shape[1], blended, &left[0], &along[0], 1 - C_NEARLY,
             &out[row, 0, 0])
