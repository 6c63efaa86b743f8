"""Erosion with a flat disk, of bytes, of floats, and of masks of 0 and 1. The arithmetic is in disk.h."""

from cython.parallel cimport prange
from libc.stdint cimport int32_t, uint8_t, uint16_t

cdef extern from "disk.h" nogil:
    Py_ssize_t DISK_STRIP, DISK_BLOCK
    void disk_band_byte(const uint8_t *mask, Py_ssize_t rows, Py_ssize_t cols, Py_ssize_t first, Py_ssize_t last,
                        Py_ssize_t radius, const int32_t *half, const uint8_t *wanted, Py_ssize_t levels,
                        uint8_t *scratch, uint8_t *out)
    void disk_band_float(const float *mask, Py_ssize_t rows, Py_ssize_t cols, Py_ssize_t first, Py_ssize_t last,
                         Py_ssize_t radius, const int32_t *half, const uint8_t *wanted, Py_ssize_t levels,
                         float *scratch, float *out)
    void disk_across(const uint8_t *mask, Py_ssize_t cols, Py_ssize_t first, Py_ssize_t last, Py_ssize_t radius,
                     const int32_t *half, uint16_t *reach)
    void disk_along(const uint16_t *reach, Py_ssize_t rows, Py_ssize_t cols, Py_ssize_t left, Py_ssize_t right,
                    uint8_t *out)

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


def all_in_disk(const uint8_t[:, ::1] mask, const int32_t[::1] half, uint16_t[:, ::1] reach, uint8_t[:, ::1] out,
                int threads):
    """Write 1 where the disk whose chords have the half-lengths ``half`` holds no 0 of ``mask``, elsewhere 0.

    ``reach`` is scratch of the mask's shape. The radius, and with it each half-length, is below 65535.
    """
    cdef Py_ssize_t part, rows = mask.shape[0], cols = mask.shape[1], radius = half.shape[0] - 1
    cdef Py_ssize_t bands = (rows + 63) // 64, strips = (cols + DISK_STRIP - 1) // DISK_STRIP
    for part in prange(bands, nogil=True, num_threads=threads, schedule="static"):
        disk_across(&mask[0, 0], cols, part * rows // bands, (part + 1) * rows // bands, radius, &half[0], &reach[0, 0])
    for part in prange(strips, nogil=True, num_threads=threads, schedule="static"):
        disk_along(&reach[0, 0], rows, cols, part * DISK_STRIP, min((part + 1) * DISK_STRIP, cols), &out[0, 0])
