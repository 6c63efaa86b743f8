"""Erosion with a flat disk, of bytes and of floats. The arithmetic is in disk.h."""

from cython.parallel cimport prange
from libc.stdint cimport int32_t, uint8_t

cdef extern from "disk.h" nogil:
    Py_ssize_t DISK_STRIP, DISK_BLOCK
    void disk_band_byte(const uint8_t *mask, Py_ssize_t rows, Py_ssize_t cols, Py_ssize_t first, Py_ssize_t last,
                        Py_ssize_t radius, const int32_t *half, const uint8_t *wanted, Py_ssize_t levels,
                        uint8_t *scratch, uint8_t *out)
    void disk_band_float(const float *mask, Py_ssize_t rows, Py_ssize_t cols, Py_ssize_t first, Py_ssize_t last,
                         Py_ssize_t radius, const int32_t *half, const uint8_t *wanted, Py_ssize_t levels,
                         float *scratch, float *out)

ctypedef fused value:
    uint8_t
    float

STRIP, BLOCK = DISK_STRIP, DISK_BLOCK


def least_in_disk(const value[:, ::1] mask, const int32_t[::1] half, const uint8_t[:, ::1] wanted,
                  value[:, :, ::1] scratch, value[:, ::1] out, int threads):
    """Write the least value within the disk whose chords have the half-lengths ``half``.

    ``wanted`` is (rows, ceil(cols / BLOCK)): blocks of ``out`` with a 0 there are left as they are.
    ``scratch`` is (bands, levels, STRIP + 2 radius), with 2 ** levels > 2 radius + 1; each band writes its own rows.
    """
    cdef Py_ssize_t band, bands = scratch.shape[0], rows = mask.shape[0], radius = half.shape[0] - 1
    for band in prange(bands, nogil=True, num_threads=threads, schedule="static"):
        if value is uint8_t:
            disk_band_byte(&mask[0, 0], rows, mask.shape[1], band * rows // bands, (band + 1) * rows // bands, radius,
                           &half[0], &wanted[0, 0], scratch.shape[1], &scratch[band, 0, 0], &out[0, 0])
        else:
            disk_band_float(&mask[0, 0], rows, mask.shape[1], band * rows // bands, (band + 1) * rows // bands, radius,
                            &half[0], &wanted[0, 0], scratch.shape[1], &scratch[band, 0, 0], &out[0, 0])
