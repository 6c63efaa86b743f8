"""Color keys: one pass from float32 sRGB to a soft mask, no picture in between. The arithmetic is in luv.h."""

from cython.parallel cimport prange

cdef extern from "luv.h" nogil:
    void luv_key_row(const float *rgb, Py_ssize_t cols, const float *targets, Py_ssize_t count, float r, float first_c,
                     float step_c, float tolerance, float per_de, float darkest, float *mask)
    void color_difference_row(const float *rgb, Py_ssize_t cols, int primary, const float *screen, float r,
                              float first_c, float step_c, float black, float per_unit, float *mask)


def luv_key(const float[:, :, ::1] image, const float[:, :, ::1] targets, float tolerance, float softness,
            float shadow, float[:, ::1] mask, int threads):
    """Write 0 within ``tolerance`` dE*uv of a target, 1 from ``softness`` further on; targets are (T, 3, 6).

    A color up to ``shadow`` (0..1) darker than a target counts as the target.
    """
    cdef Py_ssize_t row, rows = image.shape[0], cols = image.shape[1]
    cdef float step = 2.0 / max(rows, cols)
    for row in prange(rows, nogil=True, num_threads=threads, schedule="static"):
        luv_key_row(&image[row, 0, 0], cols, &targets[0, 0, 0], targets.shape[0], (row + 0.5 - rows / 2.0) * step,
                    (0.5 - cols / 2.0) * step, step, tolerance, 1 / softness, 1 - shadow, &mask[row, 0])


def color_difference_key(const float[:, :, ::1] image, int primary, const float[::1] screen, float black, float white,
                         float[:, ::1] mask, int threads):
    """Write 0 up to ``black`` and 1 from ``white`` of the share of the screen's color difference that is gone."""
    cdef Py_ssize_t row, rows = image.shape[0], cols = image.shape[1]
    cdef float step = 2.0 / max(rows, cols)
    for row in prange(rows, nogil=True, num_threads=threads, schedule="static"):
        color_difference_row(&image[row, 0, 0], cols, primary, &screen[0], (row + 0.5 - rows / 2.0) * step,
                             (0.5 - cols / 2.0) * step, step, black, 1 / (white - black), &mask[row, 0])
