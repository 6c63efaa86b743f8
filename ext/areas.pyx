"""A picture made smaller by areas: each new pixel is the mean of what it covers. The arithmetic is in areas.h."""

from cython.parallel cimport prange, threadid
from libc.stdint cimport int32_t
from libc.string cimport memset

cdef extern from "areas.h" nogil:
    void narrow_row(const float *rgb, Py_ssize_t count, const int32_t *first, const int32_t *end, const float *weight,
                    float *out)
    void narrow_gray_row(const float *gray, Py_ssize_t count, const int32_t *first, const int32_t *end,
                         const float *weight, float *out)
    void add_row(const float *row, float weight, Py_ssize_t count, float *sum)

cdef enum:
    ROWS = 16  # of the smaller picture, for a thread at a time


def reduce(const float[:, :, :] image, const int32_t[::1] first_row, const int32_t[::1] end_row,
           const float[::1] row_weight, const int32_t[::1] first_col, const int32_t[::1] end_col,
           const float[::1] col_weight, float[:, ::1] scratch, float[:, :, ::1] out, int threads):
    """Write the means, of one channel or three.

    Row k is made of the rows from ``first_row[k]`` on, by weights that end at ``end_row[k]``; columns likewise. The
    picture's rows may lie anywhere, their pixels side by side. ``scratch`` has a row for each thread, as wide as that
    of ``out``.
    """
    cdef Py_ssize_t part, parts = (out.shape[0] + ROWS - 1) // ROWS
    for part in prange(parts, nogil=True, num_threads=threads, schedule="dynamic", chunksize=1):
        _reduce_rows(&image[0, 0, 0], image.strides[0] // <Py_ssize_t>sizeof(float), part * ROWS,
                     min(out.shape[0], (part + 1) * ROWS), &first_row[0], &end_row[0], &row_weight[0],
                     &first_col[0], &end_col[0], &col_weight[0], &scratch[threadid(), 0], &out[0, 0, 0], out.shape[1],
                     out.shape[2])


cdef void _reduce_rows(const float *image, Py_ssize_t step, Py_ssize_t start, Py_ssize_t stop,
                       const int32_t *first_row, const int32_t *end_row, const float *row_weight,
                       const int32_t *first_col, const int32_t *end_col, const float *col_weight, float *narrow,
                       float *out, Py_ssize_t cols, Py_ssize_t channels) noexcept nogil:
    cdef Py_ssize_t row, source, last = -1
    cdef int32_t at
    memset(out + channels * start * cols, 0, (stop - start) * channels * cols * sizeof(float))
    for row in range(start, stop):
        source = first_row[row]
        for at in range(end_row[row - 1] if row else 0, end_row[row]):
            if source != last:  # else both rows share it
                if channels == 1:
                    narrow_gray_row(image + source * step, cols, first_col, end_col, col_weight, narrow)
                else:
                    narrow_row(image + source * step, cols, first_col, end_col, col_weight, narrow)
                last = source
            add_row(narrow, row_weight[at], channels * cols, out + channels * row * cols)
            source += 1
