"""Attribute opening by union-find: what is left when every too light component of every level is taken away.

A component of a level is a connected set of pixels that are at least that high. Pixels arrive from the highest
to the lowest and join the components they touch, as in Wilkinson and Roerdink (2000), "Fast morphological
attribute operations using Tarjan's union-find algorithm". A component that has reached the weight asked for
keeps its height: its pixels are settled and need no root any more, which in most masks is nearly all of them.

One number says all of a pixel: in ``state``, which has a frame of one pixel around the mask so that every pixel
has all its neighbors, 0 and up is the place of the pixel it hangs on, ``UNSEEN`` and ``SETTLED`` are what they
say, and the root of a light component of weight w has -1 - w.
"""

from cython.parallel cimport prange
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

cdef extern from *:
    """
    #if defined(__GNUC__)
    #define PREFETCH(address) __builtin_prefetch(address, 1)
    #else
    #define PREFETCH(address) ((void)0)
    #endif
    """
    void PREFETCH(const void *address) nogil

cdef enum:
    C_UNSEEN = -2147483648
    C_SETTLED = -2147483647
    AHEAD = 16  # pixels; they arrive from all over the mask, so that each one's three rows are fetched in time

UNSEEN, SETTLED = C_UNSEEN, C_SETTLED


def sort_keys(const uint32_t[:, ::1] heights, const uint8_t[:, ::1] pending, const Py_ssize_t[::1] start,
              bint highest_first, uint64_t[::1] keys, int threads):
    """Write height and place in ``state`` of each pending pixel as one number, those of row r from ``start[r]`` on.

    ``heights`` are the mask's floats as whole numbers: from 0 up, their order is the same. There must be a pending
    pixel.
    """
    cdef Py_ssize_t row, width = heights.shape[1]
    cdef uint64_t *first = &keys[0]
    cdef uint32_t flip = 0x7FFFFFFF if highest_first else 0
    for row in prange(heights.shape[0], nogil=True, num_threads=threads, schedule="static"):
        _row_keys(&heights[row, 0], &pending[row, 0], width, (row + 1) * (width + 2) + 1, flip, first + start[row])


cdef void _row_keys(const uint32_t *heights, const uint8_t *pending, Py_ssize_t width, Py_ssize_t place, uint32_t flip,
                    uint64_t *keys) noexcept nogil:
    cdef Py_ssize_t col, count = 0
    for col in range(width):
        if pending[col]:
            keys[count] = <uint64_t>(heights[col] & 0x7FFFFFFF ^ flip) << 32 | <uint64_t>(place + col)  # -0.0 is 0.0
            count += 1


def join_levels(const uint64_t[::1] keys, bint diagonal, int unit, int limit, int32_t[:, ::1] state):
    """Let the pixels of ``keys`` arrive in order, each of weight ``unit``, and settle components from ``limit`` on."""
    cdef Py_ssize_t width = state.shape[1], count = keys.shape[0], step, ahead
    cdef int32_t *at = &state[0, 0]
    cdef Py_ssize_t[8] offsets = [-1, 1, -width, width, -width - 1, -width + 1, width - 1, width + 1]
    cdef int way, ways = 8 if diagonal else 4
    cdef int32_t pixel, near, root
    cdef Py_ssize_t weight
    cdef bint settled
    with nogil:
        for step in range(count):
            ahead = <uint32_t>keys[min(step + AHEAD, count - 1)]
            PREFETCH(at + ahead - width)
            PREFETCH(at + ahead)
            PREFETCH(at + ahead + width)
            pixel = <int32_t>(<uint32_t>keys[step])
            at[pixel] = -1
            weight = unit
            settled = False
            for way in range(ways):
                near = pixel + <int32_t>offsets[way]
                if at[near] == C_UNSEEN:
                    continue
                root = _root(at, near)
                if at[root] == C_SETTLED:
                    settled = True
                elif root != pixel:
                    weight += -1 - at[root]
                    at[root] = pixel
            at[pixel] = C_SETTLED if settled or weight >= limit else <int32_t>(-1 - weight)


cdef inline int32_t _root(int32_t *at, int32_t pixel) noexcept nogil:
    """Find the root of a pixel's tree, and halve the path to it on the way."""
    cdef int32_t next
    while at[pixel] >= 0:
        next = at[pixel]
        if at[next] >= 0:
            at[pixel] = at[next]
        pixel = next
    return pixel


def spread_levels(const float[:, ::1] mask, float ground, int32_t[:, ::1] state, float[:, ::1] out):
    """Write the height to which each pixel falls: its own, that of the settled pixel it hangs on, or ``ground``."""
    cdef Py_ssize_t row, col, width = state.shape[1]
    cdef int32_t *at = &state[0, 0]
    cdef int32_t root
    with nogil:
        for row in range(mask.shape[0]):
            for col in range(mask.shape[1]):
                root = at[(row + 1) * width + col + 1]
                if root >= 0:
                    root = _root(at, root)
                    out[row, col] = mask[root // width - 1, root % width - 1] if at[root] == C_SETTLED else ground
                else:
                    out[row, col] = mask[row, col] if root == C_SETTLED else ground
