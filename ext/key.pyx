"""Color keys: one pass from float32 sRGB to a soft mask, no picture in between. The arithmetic is in luv.h."""

from cython.parallel cimport prange
from libc.stdint cimport int32_t

cdef extern from "luv.h" nogil:
    void luv_row(const float *rgb, Py_ssize_t cols, float *out)
    void luv_key_row(const float *rgb, Py_ssize_t cols, const float *targets, Py_ssize_t count, float r, float first_c,
                     float step_c, float tolerance, float per_de, float darkest, float *mask)
    void luv_shades_row(const float *rgb, Py_ssize_t cols, const float *surface, float r, float first_c, float step_c,
                        float darkest, float weight, float *lit, float *shaded, float *far, float *off)
    void shadowed_row(float *lit, const float *shaded, const float *allowed, const float *weight, Py_ssize_t taps,
                      Py_ssize_t cols, float tolerance, float per_de)
    void color_difference_row(const float *rgb, Py_ssize_t cols, int primary, const float *screen, float r,
                              float first_c, float step_c, float black, float per_unit, float *mask)


def to_luv(const float[:, :, ::1] image, float[:, :, ::1] out):
    """Write CIELUV of sRGB, which is clipped to 0..1."""
    cdef Py_ssize_t row
    with nogil:
        for row in range(image.shape[0]):
            luv_row(&image[row, 0, 0], image.shape[1], &out[row, 0, 0])


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


def luv_shades(const float[:, :, ::1] part, Py_ssize_t first, Py_ssize_t start, Py_ssize_t stop,
               const float[:, ::1] surface, float shadow, float[:, ::1] lit, float[:, ::1] shaded, float[:, ::1] far,
               float[:, ::1] off, int threads):
    """Write the distance from a surface, (3, 6), as it is lit, and up to ``shadow`` (0..1) darker, dE*uv.

    ``far`` and ``off`` have fewer rows: each gets the mean over the picture's rows that it stands for of the distance
    from the surface as it is lit, and in any darkness. Rows ``start`` to ``stop`` of these are written, and what begins
    in them of ``lit`` and ``shaded``; ``part`` holds these rows of the picture, from row ``first`` on.
    """
    cdef Py_ssize_t each
    for each in prange(start, stop, nogil=True, num_threads=threads, schedule="static"):
        _shades(part, first, each, surface, 1 - shadow, lit, shaded, far, off)


cdef void _shades(const float[:, :, ::1] part, Py_ssize_t first, Py_ssize_t each, const float[:, ::1] surface,
                  float darkest, float[:, ::1] lit, float[:, ::1] shaded, float[:, ::1] far,
                  float[:, ::1] off) noexcept nogil:
    cdef Py_ssize_t rows = lit.shape[0], cols = lit.shape[1], row
    cdef double height = <double>rows / far.shape[0], top = each * height, bottom = (each + 1) * height
    cdef float step = 2.0 / max(rows, cols)
    cdef bint begins
    far[each, :] = 0
    off[each, :] = 0
    for row in range(<Py_ssize_t>top, rows):
        if row >= bottom:
            break
        begins = row >= top
        luv_shades_row(&part[row - first, 0, 0], cols, &surface[0, 0], (row + 0.5 - rows / 2.0) * step,
                       (0.5 - cols / 2.0) * step, step, darkest, (min(row + 1, bottom) - max(row, top)) / height,
                       &lit[row, 0] if begins else NULL, &shaded[row, 0], &far[each, 0], &off[each, 0])


def shadowed(float[:, ::1] lit, const float[:, ::1] shaded, const float[:, ::1] allowed, const int32_t[::1] upper,
             const float[:, ::1] weight, float tolerance, float softness, int threads):
    """Turn ``lit`` into the mask of the distance in which ``shaded`` counts as far as shadow is ``allowed``.

    The share of shadow in a row is the sum of rows of ``allowed`` from ``upper`` on, times the row's ``weight``.
    The mask is as that of :func:`luv_key`; with a ``softness`` of 0 the distance is left.
    """
    cdef Py_ssize_t row
    cdef float per_de = 1 / softness if softness > 0 else 0
    for row in prange(lit.shape[0], nogil=True, num_threads=threads, schedule="static"):
        shadowed_row(&lit[row, 0], &shaded[row, 0], &allowed[upper[row], 0], &weight[row, 0], weight.shape[1],
                     lit.shape[1], tolerance, per_de)


def color_difference_key(const float[:, :, ::1] image, int primary, const float[::1] screen, float black, float white,
                         float[:, ::1] mask, int threads):
    """Write 0 up to ``black`` and 1 from ``white`` of the share of the screen's color difference that is gone."""
    cdef Py_ssize_t row, rows = image.shape[0], cols = image.shape[1]
    cdef float step = 2.0 / max(rows, cols)
    for row in prange(rows, nogil=True, num_threads=threads, schedule="static"):
        color_difference_row(&image[row, 0, 0], cols, primary, &screen[0], (row + 0.5 - rows / 2.0) * step,
                             (0.5 - cols / 2.0) * step, step, black, 1 / (white - black), &mask[row, 0])
