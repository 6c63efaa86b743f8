"""The matting Laplacian times a vector, by runs of pixels. The arithmetic is in runs.h."""

from cython.parallel cimport prange
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy

cdef extern from "runs.h" nogil:
    int c_lanes "LANES"
    int c_around "AROUND"
    void run_times(const float *values, Py_ssize_t groups, Py_ssize_t stride, const float *x, float *out)
    void c_unfold "unfold"(const double *own, const int32_t *at, Py_ssize_t stride, const int32_t *lane, float *values)

LANES, AROUND = c_lanes, c_around


def unfold(const double[:, ::1] matrix, const int32_t[:, ::1] numbers, const int32_t[::1] at, const int32_t[::1] lane,
           float[:, :, ::1] values):
    """Write the 13 values of each pixel into (groups, AROUND, LANES), which is 0: both halves of the matrix."""
    cdef Py_ssize_t pixel
    with nogil:
        for pixel in range(at.shape[0]):
            c_unfold(&matrix[pixel, 0], &numbers[0, 0] + at[pixel], numbers.shape[1], &lane[0], &values[0, 0, 0])


def multiply_runs(const float[:, :, ::1] values, const int64_t[::1] place, const int32_t[::1] length,
                  const int32_t[::1] group, const float[::1] x, float[::1] out, float[:, ::1] grid, int threads):
    """Compute out = matrix x, lane by lane; the grid is 0 where pixels are known.

    Run k has ``length[k]`` pixels, stands at ``place[k]`` of the grid, and its groups begin at ``group[k]``.
    """
    cdef Py_ssize_t run, runs = place.shape[0]
    for run in prange(runs, nogil=True, num_threads=threads, schedule="static"):
        memcpy(&grid[0, 0] + place[run], &x[0] + group[run] * c_lanes, length[run] * sizeof(float))
    for run in prange(runs, nogil=True, num_threads=threads, schedule="static"):
        run_times(&values[0, 0, 0] + <Py_ssize_t> group[run] * c_around * c_lanes, group[run + 1] - group[run],
                  grid.shape[1], &grid[0, 0] + place[run], &out[0] + group[run] * c_lanes)
