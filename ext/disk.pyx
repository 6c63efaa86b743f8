"""Grayscale erosion and dilation with a flat disk. The arithmetic is in disk.h."""

from cython.parallel cimport prange
from libc.stdint cimport int32_t

cdef extern from "disk.h" nogil:
    Py_ssize_t DISK_STRIP
    void disk_band(const float *mask, Py_ssize_t rows, Py_ssize_t cols, Py_ssize_t first, Py_ssize_t last,
                   Py_ssize_t radius, const int32_t *half, Py_ssize_t levels, float sign, float *scratch, float *out)

STRIP = DISK_STRIP


def disk_extreme(const float[:, ::1] mask, const int32_t[::1] half, bint greatest, float[:, :, ::1] scratch,
                 float[:, ::1] out, int threads):
    """Write the least (or greatest) value within the disk whose chords have the half-lengths ``half``.

    ``scratch`` is (bands, levels, STRIP + 2 radius), with 2 ** levels > 2 radius + 1; each band writes its own rows.
    """
    cdef Py_ssize_t band, bands = scratch.shape[0], rows = mask.shape[0], radius = half.shape[0] - 1
    cdef float sign = -1 if greatest else 1
    for band in prange(bands, nogil=True, num_threads=threads, schedule="static"):
        disk_band(&mask[0, 0], rows, mask.shape[1], band * rows // bands, (band + 1) * rows // bands, radius, &half[0],
                  scratch.shape[1], sign, &scratch[band, 0, 0], &out[0, 0])
