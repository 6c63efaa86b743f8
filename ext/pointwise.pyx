"""Stages that treat each pixel by itself, in one pass. The arithmetic is in pointwise.h."""

from cython.parallel cimport prange
from libc.stdint cimport int32_t, int64_t, uint8_t

cdef extern from "pointwise.h" nogil:
    void relight_row(const float *rgb, Py_ssize_t cols, const float *above, const float *below, float down, float knee,
                     float *out)
    void levels_row(const float *alpha, Py_ssize_t cols, float clear, float solid, float *out)
    void over_row(const float *subject, const float *alpha, const float *behind, Py_ssize_t step, const float *shade,
                  Py_ssize_t cols, float *out)
    void beside_row(const float *color, const float *alpha, Py_ssize_t cols, float *out)
    void clipped_row(const float *rgb, const float *alpha, Py_ssize_t cols, float full, float faint, float sure,
                     int64_t *counts)
    void shares_row(const uint8_t *samples, Py_ssize_t count, float *out)
    int bytes_row(const float *values, Py_ssize_t count, uint8_t *out)


def relight(const float[:, :, ::1] image, const float[:, :, ::1] slope, const int32_t[::1] upper,
            const float[::1] down, float knee, float[:, :, ::1] out, int threads):
    """Multiply linear light by slope^2.4; ``slope`` is (R, N, 3), as wide as the picture, and interpolated down it.

    ``upper`` is the slope's row before each of the picture's rows, ``down`` how far it is from there to the next, 0..1.
    """
    cdef Py_ssize_t row, low
    for row in prange(image.shape[0], nogil=True, num_threads=threads, schedule="static"):
        low = min(upper[row] + 1, slope.shape[0] - 1)
        relight_row(&image[row, 0, 0], image.shape[1], &slope[upper[row], 0, 0], &slope[low, 0, 0], down[row], knee,
                    &out[row, 0, 0])


def draw_in(const float[:, ::1] alpha, float clear, float solid, float[:, ::1] out, int threads):
    """Take opacity up to ``clear`` to 0, and what lacks no more than ``solid`` to 1; smooth up to three times that."""
    cdef Py_ssize_t row
    for row in prange(alpha.shape[0], nogil=True, num_threads=threads, schedule="static"):
        levels_row(&alpha[row, 0], alpha.shape[1], clear, solid, &out[row, 0])


def over(const float[:, :, ::1] subject, const float[:, ::1] alpha, const float[:, :, ::1] behind,
         const float[:, ::1] shade, float[:, :, ::1] out, int threads):
    """Write alpha subject + (1 - alpha) shade behind; ``behind`` is (M, N, 3) or one color, ``shade`` may be (0, 0)."""
    cdef Py_ssize_t row, cols = alpha.shape[1]
    cdef bint one = behind.shape[0] == 1 and behind.shape[1] == 1
    cdef bint shaded = shade.shape[0] > 0
    for row in prange(alpha.shape[0], nogil=True, num_threads=threads, schedule="static"):
        over_row(&subject[row, 0, 0], &alpha[row, 0], &behind[0, 0, 0] if one else &behind[row, 0, 0], 0 if one else 3,
                 &shade[row, 0] if shaded else NULL, cols, &out[row, 0, 0])


def beside(const float[:, :, ::1] color, const float[:, ::1] alpha, float[:, :, ::1] out, int threads):
    """Write color and alpha into the four channels of ``out``."""
    cdef Py_ssize_t row
    for row in prange(alpha.shape[0], nogil=True, num_threads=threads, schedule="static"):
        beside_row(&color[row, 0, 0], &alpha[row, 0], alpha.shape[1], &out[row, 0, 0])


def to_bytes(const float[:, ::1] values, uint8_t[:, ::1] out):
    """Round values of 0..1 to 8 bits, and return whether one is no number."""
    cdef Py_ssize_t row
    cdef bint nan = False
    with nogil:
        for row in range(values.shape[0]):
            nan |= bytes_row(&values[row, 0], values.shape[1], &out[row, 0])
    return nan


def count_clipped(const float[:, :, ::1] image, const float[:, ::1] alpha, float full, float faint, float sure,
                  int64_t[::1] counts):
    """Count the pixels of alpha below ``faint``, those of them that are white, those above ``sure``, those burnt.

    White are three channels from ``full`` on, burnt two or more.
    """
    cdef Py_ssize_t row
    with nogil:
        for row in range(image.shape[0]):
            clipped_row(&image[row, 0, 0], &alpha[row, 0], image.shape[1], full, faint, sure, &counts[0])


def to_shares(const uint8_t[:, ::1] samples, float[:, ::1] out, int threads):
    """Write samples of 8 bits as 0..1, correctly rounded."""
    cdef Py_ssize_t row
    for row in prange(samples.shape[0], nogil=True, num_threads=threads, schedule="static"):
        shares_row(&samples[row, 0], samples.shape[1], &out[row, 0])
