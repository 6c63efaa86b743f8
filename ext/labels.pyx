"""The areas of labeled pieces, and a value for each pixel by the label of its piece."""

from cython.parallel cimport prange
from libc.stdint cimport int32_t


def add_areas(const int32_t[:, ::1] labels, Py_ssize_t[::1] areas):
    """Add to ``areas`` the pixels of each label, run by run; labels are 0..len(areas) - 1."""
    cdef Py_ssize_t row, col, first
    cdef int32_t label
    with nogil:
        for row in range(labels.shape[0]):
            first = 0
            label = labels[row, 0]
            for col in range(1, labels.shape[1]):
                if labels[row, col] != label:
                    areas[label] += col - first
                    first = col
                    label = labels[row, col]
            areas[label] += labels.shape[1] - first


def look_up(const int32_t[:, ::1] labels, const float[::1] values, float[:, ::1] out, int threads):
    """Write ``values[label]`` for each pixel."""
    cdef Py_ssize_t row, col
    for row in prange(labels.shape[0], nogil=True, num_threads=threads, schedule="static"):
        for col in range(labels.shape[1]):
            out[row, col] = values[labels[row, col]]
