"""For each pixel, the best of the foreground samples that its block tries. The arithmetic is in sampling.h."""

from cython.parallel cimport prange
from libc.stdint cimport int32_t

cdef extern from "sampling.h" nogil:
    float best_sample(const float *pixel, const float *behind, const int32_t *index, const float *penalty,
                      Py_ssize_t tried, const float *colors, float mixed, float solid, float *chosen,
                      float *least_solid)


def choose_samples(const float[:, ::1] pixel, const float[:, ::1] behind, const int32_t[::1] block,
                   const int32_t[:, ::1] index, const float[:, ::1] penalty, const float[:, ::1] colors, float mixed,
                   float solid, float[:, ::1] chosen, float[::1] cost_mixed, float[::1] cost_solid, int threads):
    """Write the chosen color and both costs of every pixel.

    ``block`` names the row of ``index`` and ``penalty``, (blocks, tried), that a pixel tries.
    """
    cdef Py_ssize_t i
    for i in prange(pixel.shape[0], nogil=True, num_threads=threads, schedule="static"):
        cost_mixed[i] = best_sample(&pixel[i, 0], &behind[i, 0], &index[block[i], 0], &penalty[block[i], 0],
                                    index.shape[1], &colors[0, 0], mixed, solid, &chosen[i, 0], &cost_solid[i])
