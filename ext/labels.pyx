"""The boxes and areas of labeled pieces, and a value for each pixel by the label of its piece."""

from cython.parallel cimport prange
from libc.stdint cimport int32_t


def measure(const int32_t[:, ::1] labels, int32_t[:, ::1] boxes):
    """Write first column and row, width, height and area of each label, run by run; labels are 0..len(boxes) - 1."""
    cdef Py_ssize_t row, col, label, first, cols = labels.shape[1]
    with nogil:
        for label in range(boxes.shape[0]):
            boxes[label, 0] = <int32_t>cols
            boxes[label, 1] = -1
            boxes[label, 2] = boxes[label, 3] = boxes[label, 4] = 0
        for row in range(labels.shape[0]):
            col = 0
            while col < cols:
                first = col
                label = labels[row, col]
                while col < cols and labels[row, col] == label:
                    col += 1
                boxes[label, 0] = <int32_t>min(boxes[label, 0], first)
                boxes[label, 2] = <int32_t>max(boxes[label, 2], col)  # the end, until all are seen
                if boxes[label, 1] < 0:
                    boxes[label, 1] = <int32_t>row
                boxes[label, 3] = <int32_t>(row + 1)
                boxes[label, 4] += <int32_t>(col - first)
        for label in range(boxes.shape[0]):
            boxes[label, 2] -= boxes[label, 0]
            boxes[label, 3] -= boxes[label, 1]


def look_up(const int32_t[:, ::1] labels, const float[::1] values, float[:, ::1] out, int threads):
    """Write ``values[label]`` for each pixel."""
    cdef Py_ssize_t row, col
    for row in prange(labels.shape[0], nogil=True, num_threads=threads, schedule="static"):
        for col in range(labels.shape[1]):
            out[row, col] = values[labels[row, col]]
