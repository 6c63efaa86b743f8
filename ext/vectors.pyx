"""Inner products of colors, and extreme values, of long arrays. The arithmetic is in vectors.h.

By one thread: both are asked for between steps of one thread, and others that wait for their next turn would cost more
processor time than they save.
"""

cdef extern from "vectors.h" nogil:
    void dot_colors(const float *a, const float *b, Py_ssize_t step, Py_ssize_t count, float *out)
    void find_extremes(const float *values, Py_ssize_t count, float *found)


def dot(const float[:, ::1] a, const float[:, ::1] b, float[::1] out):
    """Write the inner product of each color of ``a`` with that of ``b``, or with its only one."""
    with nogil:
        dot_colors(&a[0, 0], &b[0, 0], 3 if b.shape[0] > 1 else 0, a.shape[0], &out[0])


def extremes(const float[::1] values, float[::1] found):
    """Write the least and the greatest value; NaN where one is."""
    with nogil:
        find_extremes(&values[0], values.shape[0], &found[0])
