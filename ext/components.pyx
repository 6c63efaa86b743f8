"""Attribute opening by union-find: what is left when every too light component of every level is taken away.

A component of a level is a connected set of pixels that are at least that high. Pixels arrive from the highest
to the lowest and join the components they touch, as in Wilkinson and Roerdink (2000), "Fast morphological
attribute operations using Tarjan's union-find algorithm". A component that has reached the weight asked for
keeps its height: its pixels are settled and need no root any more, which in most masks is nearly all of them.

Bands of rows are worked on side by side. What a band knows of its own pixels holds for the whole mask, with one
exception: a light component that touches a neighboring band is open, for it may be heavier there. The pixels that
joined open components, and those in the rows where bands meet, are put off and arrive once more, in a second round
over all bands; with them come the closed components that hang on them, as weight alone.

One number says all of a pixel: its ``state``, in an array with a frame of one pixel around the mask so that every
pixel has all its neighbors.

    0 and up    the place of the pixel it hangs on; with the bit PUT_OFF set, one that will be put off
    -1 - w      the root of a light component of weight w
    OPEN - w    in the first round the root of an open component of weight w; then a pixel of weight w put off
    SETTLED     in a component that is heavy enough
    UNSEEN      not arrived yet, or never to arrive

Hence masks have fewer than 2**30 pixels, frame included.
"""

from cython.parallel cimport prange
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

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
    OPEN = -1073741824
    PUT_OFF = 1073741824
    AHEAD = 16  # pixels; they arrive from all over the mask, so that each one's three rows are fetched in time

UNSEEN, SETTLED = C_UNSEEN, C_SETTLED


def sort_keys(const uint32_t[:, ::1] heights, const uint8_t[:, ::1] pending, const Py_ssize_t[::1] start,
              const Py_ssize_t[::1] rows, bint highest_first, uint64_t[::1] scratch, uint64_t[::1] keys, int threads):
    """Write height and place in ``state`` of each pending pixel as one number, sorted in each band of rows.

    Band b has the rows ``rows[b]`` to ``rows[b + 1]`` - 1, and row r the numbers from ``start[r]`` on. ``heights`` are
    the mask's floats as whole numbers: from 0 up, their order is the same. There must be a pending pixel.
    """
    cdef Py_ssize_t row, band, first, width = heights.shape[1]
    cdef uint64_t *unsorted = &scratch[0]
    cdef uint64_t *key = &keys[0]
    cdef uint32_t flip = 0x7FFFFFFF if highest_first else 0
    for row in prange(heights.shape[0], nogil=True, num_threads=threads, schedule="static"):
        _row_keys(&heights[row, 0], &pending[row, 0], width, (row + 1) * (width + 2) + 1, flip, unsorted + start[row])
    for band in prange(rows.shape[0] - 1, nogil=True, num_threads=threads, schedule="static"):
        first = start[rows[band]]
        _sort(unsorted + first, key + first, start[rows[band + 1]] - first)


cdef void _row_keys(const uint32_t *heights, const uint8_t *pending, Py_ssize_t width, Py_ssize_t place, uint32_t flip,
                    uint64_t *keys) noexcept nogil:
    cdef Py_ssize_t col, count = 0
    for col in range(width):
        if pending[col]:
            keys[count] = <uint64_t>(heights[col] & 0x7FFFFFFF ^ flip) << 32 | <uint64_t>(place + col)  # -0.0 is 0.0
            count += 1


cdef void _sort(uint64_t *keys, uint64_t *out, Py_ssize_t count) noexcept nogil:
    """Sort by height, three times by eleven of its bits, from the lowest; places are in order. ``keys`` is scratch."""
    cdef Py_ssize_t[3][2048] place
    cdef Py_ssize_t step, digit, before, here
    cdef int turn
    cdef uint64_t *swapped
    memset(place, 0, sizeof(place))
    for step in range(count):
        for turn in range(3):
            place[turn][keys[step] >> (32 + 11 * turn) & 2047] += 1
    for turn in range(3):
        before = 0
        for digit in range(2048):
            here = place[turn][digit]
            place[turn][digit] = before
            before += here
        for step in range(count):
            digit = keys[step] >> (32 + 11 * turn) & 2047
            out[place[turn][digit]] = keys[step]
            place[turn][digit] += 1
        swapped = keys
        keys = out
        out = swapped


def join_bands(uint64_t[::1] keys, const Py_ssize_t[::1] start, const Py_ssize_t[::1] rows, bint diagonal, int unit,
               int limit, int32_t[:, ::1] state, int32_t[::1] weights, Py_ssize_t[::1] put_off, int threads):
    """Let the pixels of each band arrive in order, each of weight ``unit``, and settle components from ``limit`` on.

    Band b has the rows ``rows[b]`` to ``rows[b + 1]`` - 1 of ``state`` and the sorted ``keys`` from ``start[b]`` on.
    The first ``put_off[b]`` of those are then the pixels put off. ``weights`` is scratch, one for each key.
    """
    cdef Py_ssize_t band, width = state.shape[1]
    cdef uint64_t *key = &keys[0]
    cdef int32_t *weight = &weights[0]
    for band in prange(rows.shape[0] - 1, nogil=True, num_threads=threads, schedule="static"):
        put_off[band] = _join_band(key + start[band], start[band + 1] - start[band], rows[band] * width,
                                   rows[band + 1] * width, diagonal, unit, limit, width, &state[0, 0],
                                   weight + start[band])


cdef Py_ssize_t _join_band(uint64_t *keys, Py_ssize_t count, Py_ssize_t first, Py_ssize_t last, bint diagonal,
                           int unit, int limit, Py_ssize_t width, int32_t *at, int32_t *weights) noexcept nogil:
    cdef Py_ssize_t step, weight, own, waiting = 0
    cdef Py_ssize_t[8] offsets = [-1, 1, -width, width, -width - 1, -width + 1, width - 1, width + 1]
    cdef int way, ways = 8 if diagonal else 4
    cdef int32_t pixel, near, root, found
    cdef bint settled, open_
    for step in range(count):
        _fetch(at, keys[min(step + AHEAD, count - 1)], width)
        pixel = <int32_t>(<uint32_t>keys[step])
        open_ = pixel - width < first or pixel + width >= last  # the frame's rows belong to the outer bands
        settled = False
        own = weight = unit
        at[pixel] = -1
        for way in range(ways):
            near = pixel + <int32_t>offsets[way]
            if near < first or near >= last or at[near] == C_UNSEEN:
                continue
            root = _root(at, near)
            found = at[root]
            if found == C_SETTLED:
                settled = True
            elif found <= OPEN:
                weight += OPEN - found
                at[root] = pixel | PUT_OFF
                open_ = True
            elif root != pixel:
                weight += -1 - found
                own += -1 - found
                at[root] = pixel
        settled = settled or weight >= limit
        at[pixel] = C_SETTLED if settled else <int32_t>((OPEN if open_ else -1) - weight)
        if open_:
            keys[waiting] = keys[step]
            weights[waiting] = <int32_t>(limit if settled else own)
            waiting += 1
    for step in range(waiting):
        at[<uint32_t>keys[step]] = OPEN - weights[step]
    return waiting


def join_rest(const uint64_t[::1] keys, const float[:, ::1] mask, bint highest_first, bint diagonal, int limit,
              int32_t[:, ::1] state):
    """Let the pixels that were put off arrive, all in order, with the weights that ``state`` has."""
    cdef Py_ssize_t step, weight, width = state.shape[1], count = keys.shape[0]
    cdef Py_ssize_t[8] offsets = [-1, 1, -width, width, -width - 1, -width + 1, width - 1, width + 1]
    cdef int way, ways = 8 if diagonal else 4
    cdef int32_t pixel, near, root
    cdef int32_t *at = &state[0, 0]
    cdef bint settled
    with nogil:
        for step in range(count):
            _fetch(at, keys[min(step + AHEAD, count - 1)], width)
            pixel = <int32_t>(<uint32_t>keys[step])
            weight = OPEN - at[pixel]
            settled = False
            at[pixel] = -1
            for way in range(ways):
                near = pixel + <int32_t>offsets[way]
                if at[near] == C_SETTLED:  # by the first round, maybe before its turn
                    settled = settled or _has_come(mask, near, pixel, highest_first)
                    continue
                if at[near] <= OPEN:
                    continue
                root = _root(at, near)
                if at[root] == C_SETTLED:
                    settled = True
                elif root != pixel:
                    weight += -1 - at[root]
                    at[root] = pixel
            at[pixel] = C_SETTLED if settled or weight >= limit else <int32_t>(-1 - weight)


cdef inline bint _has_come(const float[:, ::1] mask, int32_t near, int32_t pixel, bint highest_first) noexcept nogil:
    """Tell whether a pixel that is settled has its turn before another; the frame always has."""
    cdef Py_ssize_t width = mask.shape[1] + 2
    cdef Py_ssize_t near_row = near // width - 1, near_col = near % width - 1
    cdef float here = mask[pixel // width - 1, pixel % width - 1]
    if near_row < 0 or near_row == mask.shape[0] or near_col < 0 or near_col == mask.shape[1]:
        return True
    return mask[near_row, near_col] >= here if highest_first else mask[near_row, near_col] <= here


cdef inline void _fetch(int32_t *at, uint64_t key, Py_ssize_t width) noexcept nogil:
    cdef int32_t *around = at + <uint32_t>key
    PREFETCH(around - width)
    PREFETCH(around)
    PREFETCH(around + width)


cdef inline int32_t _root(int32_t *at, int32_t pixel) noexcept nogil:
    """Find the root of a pixel's tree, and halve the path to it; what hangs on a pixel put off stays there."""
    cdef int32_t above, next
    while at[pixel] >= 0:
        above = at[pixel] & ~PUT_OFF
        next = at[above]
        if next >= 0 and (at[pixel] & PUT_OFF or not next & PUT_OFF):
            at[pixel] = next
        pixel = above
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
                    out[row, col] = mask[row, col] if root <= C_SETTLED else ground  # or nothing was asked of it
