"""Mean field in a fully connected CRF (Krähenbühl and Koltun 2011), for two labels in one channel.

Both pairwise kernels are Gaussians, so a message is a Gaussian filter: separable over position alone (`Gaussian`), and
on the permutohedral lattice of Adams, Baek and Davis (2010) over position and color (`Lattice`). Both are normalized
symmetrically, D^-1/2 K D^-1/2 with D the row sums of K.

A picture is cut into bands of rows, each with its own table of simplices. A band is built and filtered by one thread;
where bands meet, in the vertices they share, sums are made in the order of the bands. So the result has the same bits
for any number of threads, and no two threads ever write the same place.
"""

import numpy as np

from cython.parallel cimport prange, threadid
from libc.math cimport ceil, floor, sqrt, sqrtf
from libc.stdint cimport int32_t, uint16_t, uint64_t
from libc.string cimport memset

cdef extern from "dense_crf.h" nogil:
    enum: CORNERS, CHUNK, RANK_BITS, LINE, SUMS
    ctypedef struct Geometry:
        float scale[5]
        float origin[2]
        int32_t lowest[5]
        int32_t shift[5]
    void find_simplices(const float *rgb, Py_ssize_t row, Py_ssize_t col, Py_ssize_t count, const Geometry *geometry,
                        uint64_t *key, uint16_t *weight) noexcept
    void slice_row(const int32_t *simplex, const uint16_t *weight, const float *lines, Py_ssize_t count,
                   float *value) noexcept
    void splat_row(const int32_t *simplex, const uint16_t *weight, const float *value, Py_ssize_t count,
                   float *lines) noexcept
    void blur_row(const float *middle, Py_ssize_t stride, const float *taps, Py_ssize_t above, Py_ssize_t below,
                  Py_ssize_t count, float *out) noexcept
    float update_row(const float *unary, const float *bilateral, const float *norm, float bilateral_weight,
                     const float *spatial, const float *norm_col, float spatial_weight, Py_ssize_t count,
                     float *balance, float *splatted) noexcept
    void sum_pairs(const float *feature, const float *value, Py_ssize_t points, Py_ssize_t start, Py_ssize_t count,
                   float *sum) noexcept

cdef enum:
    FEWEST_BITS = 12
    BAND_PIXELS = 65536  # a band's lines (64 bytes for each of some 13000 simplices) then stay within a 1 MB cache

# A set of 64-bit keys, numbered in the order they came: open addressing, a slot holds number + 1, 0 is free.
ctypedef struct KeySet:
    uint64_t *keys
    int32_t *slots
    Py_ssize_t count
    int bits


cdef inline size_t _home(uint64_t key, int bits) noexcept nogil:
    return (key * <uint64_t>0x9E3779B97F4A7C15) >> (64 - bits)  # Fibonacci hashing (Knuth, TAOCP 3, 6.4)


cdef inline Py_ssize_t _find(const KeySet *known, uint64_t key) noexcept nogil:
    """Return the number of `key`, or -1."""
    cdef size_t slot = _home(key, known.bits), last = (<size_t>1 << known.bits) - 1
    while known.slots[slot] != 0:
        if known.keys[known.slots[slot] - 1] == key:
            return known.slots[slot] - 1
        slot = (slot + 1) & last
    return -1


cdef inline int32_t _number(KeySet *known, uint64_t key) noexcept nogil:
    """Return the number of `key`, the next free one if it is new. There must be slots for twice as many keys."""
    cdef size_t slot = _home(key, known.bits), last = (<size_t>1 << known.bits) - 1
    while known.slots[slot] != 0:
        if known.keys[known.slots[slot] - 1] == key:
            return known.slots[slot] - 1
        slot = (slot + 1) & last
    known.keys[known.count] = key
    known.count += 1
    known.slots[slot] = <int32_t>known.count
    if known.count << 2 > <Py_ssize_t>last:
        _grow(known, known.bits + 1)
    return <int32_t>(known.count - 1)


cdef void _grow(KeySet *known, int bits) noexcept nogil:
    """Use 2**bits slots. Few slots while there are few keys: what is not used stays out of the cache."""
    cdef size_t slot, last = (<size_t>1 << bits) - 1
    cdef Py_ssize_t i
    known.bits = bits
    memset(known.slots, 0, (<size_t>4) << bits)
    for i in range(known.count):
        slot = _home(known.keys[i], bits)
        while known.slots[slot] != 0:
            slot = (slot + 1) & last
        known.slots[slot] = <int32_t>(i + 1)


cdef int _bits_for(Py_ssize_t keys) noexcept nogil:
    """Return how many bits number the slots that a set of `keys` keys may grow to."""
    cdef int bits = FEWEST_BITS
    while (<Py_ssize_t>1 << bits) < 4 * keys + 4:
        bits += 1
    return bits


cdef class Lattice:
    """The permutohedral lattice of one picture over (column, row) / position_std and RGB / color_std.

    Raises ValueError if the standard deviations are so small that lattice points cannot be numbered in 64 bits.
    """

    cdef readonly Py_ssize_t rows, cols, vertices, simplices
    cdef Py_ssize_t band_rows, bands
    cdef Geometry geometry
    cdef int32_t[::1] simplex            # of each pixel, numbered within its band
    cdef uint16_t[::1] weight            # six a pixel
    cdef int32_t[:, ::1] corner          # (simplices, 6): vertices numbered within the band
    cdef int32_t[::1] vertex             # number in the picture, from 1 up, of each band's vertices
    cdef Py_ssize_t[::1] first_simplex   # of each band, and the total
    cdef Py_ssize_t[::1] first_vertex
    cdef int32_t[:, :, ::1] neighbor     # (axis, back or forth, vertex); 0 is nobody
    cdef float[:, ::1] norm              # (M, N): 1 / sqrt(row sums of the kernel)
    cdef float[::1] partial              # what each band splatted to its vertices
    cdef float[:, ::1] value             # (2, vertices + 1): blurred to and fro; value[., 0] is 0
    cdef float[:, ::1] lines             # (threads, 16 * most simplices in a band)

    def __init__(self, const float[:, :, ::1] image, double position_std, double color_std, int threads):
        self.rows, self.cols = image.shape[0], image.shape[1]
        self._set_geometry(position_std, color_std)
        self._find_simplices(image, threads)
        self._number_vertices()
        self._find_neighbors(threads)
        self.partial = np.empty(self.first_vertex[self.bands], np.float32)
        self.value = np.zeros((2, self.vertices + 1), np.float32)
        self.norm = np.ones((self.rows, self.cols), np.float32)
        self._splat(self.norm, threads)
        self._normalize(self, &self.value[0, 0], threads)

    def _set_geometry(self, double position_std, double color_std):
        """Scale features so that the lattice's blur has unit variance (section 3.1), and lay out the packed keys."""
        cdef double low, high, margin
        cdef int i, j, bits, used = RANK_BITS
        per_unit = [1 / position_std, 1 / position_std, 255 / color_std, 255 / color_std, 255 / color_std]
        largest = [self.cols, self.rows, 1, 1, 1]
        for j in range(5):
            self.geometry.scale[j] = per_unit[j] * sqrt(2 / 3. / ((j + 1) * (j + 2)))
        self.geometry.origin[0] = self.geometry.origin[1] = 0
        for i in range(5):
            # Coordinate i of H_5 is the sum of the scaled features from i on, less i times the one before.
            high = sum([self.geometry.scale[j] * largest[j] for j in range(i, 5)])
            low = -i * self.geometry.scale[i - 1] * largest[i - 1] if i > 0 else 0
            # A corner lies up to 2 below or above the point, its neighbors 1 more; filter_onto adds half a pixel.
            margin = 4 + 2 * ceil(self.geometry.scale[0] + self.geometry.scale[1])
            self.geometry.lowest[i] = <int32_t>(floor(low) - margin)
            bits = int(ceil(high) + margin - self.geometry.lowest[i]).bit_length()
            self.geometry.shift[i] = used
            used += bits
        if used > 64:
            raise ValueError(f"expected keys of at most 64 bits, got {used}")

    def _find_simplices(self, const float[:, :, ::1] image, int threads):
        """Find every pixel's simplex and weights, and every band's simplices and vertices.

        How many a band has is not known before: each thread has room for the worst case, a simplex of its own for each
        of the pixels (as in noise), and what was found is copied out.
        """
        self.band_rows = min(self.rows, max(16, BAND_PIXELS // self.cols))
        self.bands = (self.rows + self.band_rows - 1) // self.band_rows
        cdef Py_ssize_t pixels = self.rows * self.cols, band_pixels = self.band_rows * self.cols, band
        self.simplex = np.empty(pixels, np.int32)
        self.weight = np.empty(CORNERS * pixels + 2, np.uint16)
        self.weight[CORNERS * pixels:] = 0  # read with the last pixel's, see splat_row
        cdef int32_t[:, :, ::1] corner = np.empty((threads, band_pixels, CORNERS), np.int32)
        cdef uint64_t[:, ::1] vertex_key = np.empty((threads, band_pixels * CORNERS), np.uint64)
        cdef uint64_t[:, ::1] simplex_key = np.empty((threads, band_pixels), np.uint64)
        cdef int32_t[:, ::1] simplex_slots = np.empty((threads, 1 << _bits_for(band_pixels)), np.int32)
        cdef int32_t[:, ::1] vertex_slots = np.empty((threads, 1 << _bits_for(CORNERS * band_pixels)), np.int32)
        cdef Py_ssize_t[:, ::1] found = np.zeros((self.bands + 1, 2), np.intp)
        cdef const Geometry *geometry = &self.geometry
        cdef int thread
        corners, keys = [None] * self.bands, [None] * self.bands
        for band in prange(self.bands, nogil=True, num_threads=threads, schedule="dynamic"):
            thread = threadid()
            _find_in_band(image, band * self.band_rows, min(self.rows, (band + 1) * self.band_rows), geometry,
                          &self.simplex[0], &self.weight[0], &corner[thread, 0, 0], &vertex_key[thread, 0],
                          &simplex_key[thread, 0], &simplex_slots[thread, 0], &vertex_slots[thread, 0],
                          &found[band + 1, 0])
            with gil:
                corners[band] = np.array(corner[thread, :found[band + 1, 0]])
                keys[band] = np.array(vertex_key[thread, :found[band + 1, 1]])
        firsts = np.cumsum(found, axis=0)
        self.first_simplex, self.first_vertex = np.ascontiguousarray(firsts[:, 0]), np.ascontiguousarray(firsts[:, 1])
        self.simplices = self.first_simplex[self.bands]
        self.corner = np.concatenate(corners)
        self.lines = np.empty((threads, LINE * np.max(found[:, 0])), np.float32)
        self._band_keys = np.concatenate(keys)

    cdef uint64_t[::1] _band_keys, _keys
    cdef int32_t[::1] _slots
    cdef int _slot_bits

    def _number_vertices(self):
        """Give each lattice point one number, in the order of the bands."""
        cdef Py_ssize_t total = self._band_keys.shape[0], i
        self._keys = np.empty(total, np.uint64)
        self._slots = np.empty(1 << _bits_for(total), np.int32)
        self.vertex = np.empty(total, np.int32)
        cdef KeySet known = KeySet(&self._keys[0], &self._slots[0], 0, 0)
        cdef const uint64_t *keys = &self._band_keys[0]
        cdef int32_t *vertex = &self.vertex[0]
        with nogil:
            _grow(&known, FEWEST_BITS)
            for i in range(total):
                vertex[i] = _number(&known, keys[i]) + 1
        self.vertices, self._slot_bits = known.count, known.bits
        self._band_keys = None

    def _find_vertices(self, Lattice other, int threads):
        """Number the vertices as in another lattice, 0 where that has none."""
        cdef Py_ssize_t total = self._band_keys.shape[0], i
        cdef KeySet known = KeySet(&other._keys[0], &other._slots[0], other.vertices, other._slot_bits)
        cdef const uint64_t *keys = &self._band_keys[0]
        self.vertex = np.empty(total, np.int32)
        for i in prange(total, nogil=True, num_threads=threads, schedule="static"):
            self.vertex[i] = <int32_t>(_find(&known, keys[i]) + 1)
        self._band_keys = None

    def _find_neighbors(self, int threads):
        """Look up the two neighbors of each vertex along each of the six axes."""
        cdef Py_ssize_t i, count = self.vertices
        cdef KeySet known = KeySet(&self._keys[0], &self._slots[0], count, self._slot_bits)
        self.neighbor = np.zeros((CORNERS, 2 * (count + 1)), np.int32).reshape(CORNERS, 2, count + 1)
        cdef int32_t *neighbor = &self.neighbor[0, 0, 0]
        cdef const Geometry *geometry = &self.geometry
        for i in prange(count, nogil=True, num_threads=threads, schedule="static"):
            _find_neighbors_of(&known, i, geometry, neighbor)

    def filter(self, const float[:, ::1] values, float[:, ::1] out, int threads):
        """Write the normalized bilateral filter of `values` to `out`, both (M, N)."""
        self._splat(values, threads)
        self._slice(self, out, threads)

    def filter_onto(self, const float[:, :, ::1] image, const float[:, ::1] values, float[:, ::1] out, int threads):
        """Filter `values` of this lattice's picture, and read the result at the pixels of that picture in another size.

        Those pixels find their own simplices among this lattice's vertices, so `out` follows their edges. A pixel of a
        color that this lattice's picture does not have gets 0.
        """
        cdef Lattice strip
        cdef double[2] share = [<double>self.cols / image.shape[1], <double>self.rows / image.shape[0]]
        cdef Py_ssize_t top, rows = max(16, 16 * BAND_PIXELS // image.shape[1])  # in strips: little memory
        cdef float[::1] ones
        cdef int i
        self._splat(1 / np.asarray(self.norm), threads)
        ones = np.array(self.value[0])
        self._splat(values, threads)
        for top in range(0, image.shape[0], rows):
            strip = Lattice.__new__(Lattice)
            strip.rows, strip.cols = min(rows, image.shape[0] - top), image.shape[1]
            strip.geometry = self.geometry
            for i in range(2):  # pixels' middles as when pictures are resized
                strip.geometry.scale[i] = self.geometry.scale[i] * share[i]
                strip.geometry.origin[i] = self.geometry.scale[i] * ((0.5 + top * i) * share[i] - 0.5)
            strip._find_simplices(image[top:top + strip.rows], threads)
            strip._find_vertices(self, threads)
            strip.norm = np.empty((strip.rows, strip.cols), np.float32)
            self._normalize(strip, &ones[0], threads)
            self._slice(strip, out[top:top + strip.rows], threads)

    cdef void _splat(self, const float[:, ::1] values, int threads):
        """Splat `values`, normalized, and blur."""
        cdef Py_ssize_t band
        cdef float[:, ::1] scratch = np.empty((threads, self.cols), np.float32)
        for band in prange(self.bands, nogil=True, num_threads=threads, schedule="dynamic"):
            _splat_band(self, band, values, &scratch[threadid(), 0], &self.lines[threadid(), 0])
        self._blur(threads)

    cdef void _slice(self, Lattice at, float[:, ::1] out, int threads):
        """Read what was blurred at the pixels of `at`, normalized."""
        cdef Py_ssize_t band, row, col
        for band in prange(at.bands, nogil=True, num_threads=threads, schedule="dynamic"):
            _slice_band(at, &self.value[0, 0], band, &at.lines[threadid(), 0], out)
        for row in prange(at.rows, nogil=True, num_threads=threads, schedule="static"):
            for col in range(at.cols):
                out[row, col] *= at.norm[row, col]

    cdef void _normalize(self, Lattice at, const float *ones, int threads):
        """Make the norm of `at`, 1 / sqrt(row sums), from what splatting 1 gave."""
        cdef Py_ssize_t band, row, col
        for band in prange(at.bands, nogil=True, num_threads=threads, schedule="dynamic"):
            _slice_band(at, ones, band, &at.lines[threadid(), 0], at.norm)
        for row in prange(at.rows, nogil=True, num_threads=threads, schedule="static"):
            for col in range(at.cols):
                at.norm[row, col] = 1 / sqrtf(at.norm[row, col] + <float>1e-20)

    cdef void _blur(self, int threads):
        """Sum what the bands splatted, in their order, and blur along the six axes (section 3.3)."""
        cdef Py_ssize_t i, chunk, chunks = self.vertices // 65536 + 1, total = self.vertex.shape[0]
        cdef float *value = &self.value[0, 0]
        cdef float *other = &self.value[1, 0]
        cdef int axis
        with nogil:
            memset(value, 0, (self.vertices + 1) * sizeof(float))
            for i in range(total):
                value[self.vertex[i]] += self.partial[i]
        for axis in range(CORNERS):
            for chunk in prange(chunks, nogil=True, num_threads=min(threads, chunks), schedule="static"):
                _blur_axis(value, other, &self.neighbor[axis, 0, 0], &self.neighbor[axis, 1, 0],
                           max(1, chunk * 65536), min(self.vertices + 1, (chunk + 1) * 65536))
            value, other = other, value
        # Six axes: the result is back in value[0].


cdef void _find_in_band(const float[:, :, ::1] image, Py_ssize_t row, Py_ssize_t stop, const Geometry *geometry,
                        int32_t *simplex, uint16_t *weight, int32_t *corner, uint64_t *vertex_key,
                        uint64_t *simplex_key, int32_t *simplex_slots, int32_t *vertex_slots,
                        Py_ssize_t *found) noexcept nogil:
    """Find the simplices of the rows from `row` to before `stop`, and `found`: how many simplices and vertices."""
    cdef uint64_t key[CHUNK]
    cdef KeySet simplices = KeySet(simplex_key, simplex_slots, 0, 0)
    cdef KeySet vertices = KeySet(vertex_key, vertex_slots, 0, 0)
    cdef Py_ssize_t cols = image.shape[1], col, count, p, pixel, before
    cdef uint64_t last = 0
    cdef int32_t number = -1
    _grow(&simplices, FEWEST_BITS)
    _grow(&vertices, FEWEST_BITS)
    while row < stop:
        col = 0
        while col < cols:
            count = min(<Py_ssize_t>CHUNK, cols - col)
            pixel = row * cols + col
            find_simplices(&image[row, col, 0], row, col, count, geometry, key, weight + CORNERS * pixel)
            for p in range(count):
                if number < 0 or key[p] != last:  # about a third of all pixels share their left neighbor's simplex
                    last = key[p]
                    before = simplices.count
                    number = _number(&simplices, last)
                    if simplices.count > before:
                        _walk(last, geometry, &vertices, corner + CORNERS * <Py_ssize_t>number)
                simplex[pixel + p] = number
            col = col + count
        row = row + 1
    found[0] = simplices.count
    found[1] = vertices.count


cdef inline void _walk(uint64_t key, const Geometry *geometry, KeySet *vertices, int32_t *corner) noexcept nogil:
    """Number the six corners of a simplex.

    Corner k has remainder k, and is corner k - 1 plus (1, ..., 1) less 6 in the coordinate of rank 6 - k (the canonical
    simplex, section 3.1). In keys: the low bits count up, and that coordinate's field counts down.
    """
    cdef uint64_t unit[6]
    cdef uint64_t vertex = key >> RANK_BITS << RANK_BITS
    cdef int i, k
    memset(unit, 0, sizeof(unit))  # the rank left over is that of coordinate 5, which keys do not hold
    for i in range(5):
        unit[key >> (3 * i) & 7] = <uint64_t>1 << geometry.shift[i]
    corner[0] = _number(vertices, vertex)
    for k in range(1, 6):
        vertex += 1 - unit[6 - k]
        corner[k] = _number(vertices, vertex)


cdef inline void _find_neighbors_of(const KeySet *known, Py_ssize_t i, const Geometry *geometry,
                                    int32_t *neighbor) noexcept nogil:
    """Along axis j the next vertex is (1, ..., 1) - 6 e_j on; by symmetry this vertex is that one's previous."""
    cdef uint64_t key = known.keys[i], ones = 0, step
    cdef Py_ssize_t found, size = known.count + 1
    cdef int j
    for j in range(5):
        ones += <uint64_t>1 << geometry.shift[j]
    # From remainder 5 the next is remainder 0 with all coordinates one (times 6) higher.
    step = key + 1 if key & 7 < 5 else key - 5 + ones
    for j in range(6):
        found = _find(known, step - (<uint64_t>1 << geometry.shift[j] if j < 5 else 0))
        if found >= 0:
            neighbor[(2 * j + 1) * size + i + 1] = <int32_t>(found + 1)
            neighbor[2 * j * size + found + 1] = <int32_t>(i + 1)


cdef void _blur_axis(const float *value, float *out, const int32_t *back, const int32_t *forth, Py_ssize_t start,
                     Py_ssize_t stop) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(start, stop):
        out[i] = value[i] + <float>0.5 * (value[back[i]] + value[forth[i]])


cdef void _load(Lattice lattice, const float *value, Py_ssize_t band, float *lines) noexcept nogil:
    """Bring the vertices' values to the lines of a band's simplices."""
    cdef Py_ssize_t s, first = lattice.first_simplex[band], count = lattice.first_simplex[band + 1] - first
    cdef const int32_t *corner = &lattice.corner[first, 0]
    cdef const int32_t *vertex = &lattice.vertex[lattice.first_vertex[band]]
    cdef float *line
    cdef int k
    for s in range(count):
        line = lines + LINE * s
        for k in range(CORNERS):
            line[k] = value[vertex[corner[CORNERS * s + k]]]
        line[6] = line[7] = 0


cdef void _clear(Lattice lattice, Py_ssize_t band, float *lines) noexcept nogil:
    cdef Py_ssize_t s
    for s in range(lattice.first_simplex[band + 1] - lattice.first_simplex[band]):
        memset(lines + LINE * s + SUMS, 0, SUMS * sizeof(float))


cdef void _collect(Lattice lattice, Py_ssize_t band, const float *lines) noexcept nogil:
    """Sum what was splatted to a band's simplices at its vertices."""
    cdef Py_ssize_t s, first = lattice.first_simplex[band], count = lattice.first_simplex[band + 1] - first
    cdef Py_ssize_t first_vertex = lattice.first_vertex[band]
    cdef const int32_t *corner = &lattice.corner[first, 0]
    cdef float *partial = &lattice.partial[first_vertex]
    cdef int k
    memset(partial, 0, (lattice.first_vertex[band + 1] - first_vertex) * sizeof(float))
    for s in range(count):
        for k in range(CORNERS):
            partial[corner[CORNERS * s + k]] += lines[LINE * s + SUMS + k]


cdef void _splat_band(Lattice lattice, Py_ssize_t band, const float[:, ::1] values, float *scratch,
                      float *lines) noexcept nogil:
    cdef Py_ssize_t row, col, pixel, cols = lattice.cols
    _clear(lattice, band, lines)
    for row in range(band * lattice.band_rows, min(lattice.rows, (band + 1) * lattice.band_rows)):
        pixel = row * cols
        for col in range(cols):
            scratch[col] = lattice.norm[row, col] * values[row, col]
        splat_row(&lattice.simplex[pixel], &lattice.weight[CORNERS * pixel], scratch, cols, lines)
    _collect(lattice, band, lines)


cdef void _slice_band(Lattice lattice, const float *value, Py_ssize_t band, float *lines,
                      float[:, ::1] out) noexcept nogil:
    cdef Py_ssize_t row, pixel, cols = lattice.cols
    _load(lattice, value, band, lines)
    for row in range(band * lattice.band_rows, min(lattice.rows, (band + 1) * lattice.band_rows)):
        pixel = row * cols
        slice_row(&lattice.simplex[pixel], &lattice.weight[CORNERS * pixel], lines, cols, &out[row, 0])


cdef class AllPairs:
    """The kernel of `Lattice` with the sums over all pairs of pixels made: exact, in time quadratic in the pixels."""

    cdef readonly Py_ssize_t rows, cols
    cdef float[:, ::1] feature   # (5, M * N)
    cdef float[::1] norm

    def __init__(self, const float[:, :, ::1] image, double position_std, double color_std, int threads):
        self.rows, self.cols = image.shape[0], image.shape[1]
        feature = np.empty((5, self.rows, self.cols), np.float32)
        feature[:2] = np.indices((self.rows, self.cols)) / position_std
        feature[2:] = np.moveaxis(image, 2, 0) * np.float32(255 / color_std)
        self.feature = feature.reshape(5, -1)
        self.norm = np.ones(self.rows * self.cols, np.float32)
        row_sums = np.empty((self.rows, self.cols), np.float32)
        self.filter(np.asarray(self.norm).reshape(self.rows, self.cols), row_sums, threads)
        self.norm = 1 / np.sqrt(row_sums.ravel())

    def filter(self, const float[:, ::1] values, float[:, ::1] out, int threads):
        """Write the normalized bilateral filter of `values` to `out`, both (M, N)."""
        cdef Py_ssize_t points = self.rows * self.cols, chunk, p
        cdef float[::1] normed = np.asarray(self.norm) * np.asarray(values).ravel()
        cdef float *sums = &out[0, 0]
        for chunk in prange((points + CHUNK - 1) // CHUNK, nogil=True, num_threads=threads, schedule="static"):
            sum_pairs(&self.feature[0, 0], &normed[0], points, chunk * CHUNK,
                      min(<Py_ssize_t>CHUNK, points - chunk * CHUNK), sums + chunk * CHUNK)
        for p in range(points):
            sums[p] *= self.norm[p]


cdef class Gaussian:
    """The separable Gaussian over position, cut off at 4 standard deviations (6e-5 of its mass)."""

    cdef readonly Py_ssize_t rows, cols, radius
    cdef float[::1] taps       # from the middle outward
    cdef float[::1] norm_row   # 1 / sqrt(row sums): the sums are a product of one factor per row and one per column
    cdef float[::1] norm_col

    def __init__(self, Py_ssize_t rows, Py_ssize_t cols, double std):
        self.rows, self.cols = rows, cols
        self.radius = <Py_ssize_t>ceil(4 * std)
        taps = np.exp(-0.5 * (np.arange(self.radius + 1) / std) ** 2)
        self.taps = taps.astype(np.float32)
        self.norm_row, self.norm_col = _norm_along(rows, taps), _norm_along(cols, taps)

    def filter(self, const float[:, ::1] values, float[:, ::1] out, int threads):
        """Write the normalized Gaussian filter of `values` to `out`, both (M, N)."""
        cdef float[:, ::1] across = np.empty((self.rows, self.cols), np.float32)
        cdef float[:, ::1] scratch = np.zeros((threads, self.cols + 2 * self.radius), np.float32)
        cdef Py_ssize_t row, col
        for row in prange(self.rows, nogil=True, num_threads=threads, schedule="static"):
            _blur_across(self, row, &values[row, 0], &scratch[threadid(), 0], &across[row, 0])
        for row in prange(self.rows, nogil=True, num_threads=threads, schedule="static"):
            _blur_down(self, row, across, &out[row, 0])
            for col in range(self.cols):
                out[row, col] *= self.norm_col[col]


def _norm_along(length, taps):
    """Return 1 / sqrt(sum of the taps that fall inside) for each place along one direction."""
    total = np.concatenate([[0.0], np.cumsum(taps)])
    reach = len(taps) - 1
    place = np.arange(length)
    sums = total[np.minimum(place, reach) + 1] + total[np.minimum(length - 1 - place, reach) + 1] - taps[0]
    return (1 / np.sqrt(sums)).astype(np.float32)


cdef void _blur_across(Gaussian gaussian, Py_ssize_t row, const float *values, float *scratch,
                       float *out) noexcept nogil:
    """Blur a row, normalized beforehand. Both ends of `scratch`, `radius` floats each, are zero."""
    cdef Py_ssize_t col
    cdef float *padded = scratch + gaussian.radius
    for col in range(gaussian.cols):
        padded[col] = values[col] * gaussian.norm_row[row] * gaussian.norm_col[col]
    blur_row(padded, 1, &gaussian.taps[0], gaussian.radius, gaussian.radius, gaussian.cols, out)


cdef void _blur_down(Gaussian gaussian, Py_ssize_t row, const float[:, ::1] across, float *out) noexcept nogil:
    """Blur down the columns, normalized by the row's factor; the column's is left to the caller."""
    cdef Py_ssize_t col
    blur_row(&across[row, 0], gaussian.cols, &gaussian.taps[0], min(row, gaussian.radius),
             min(gaussian.rows - 1 - row, gaussian.radius), gaussian.cols, out)
    for col in range(gaussian.cols):
        out[col] *= gaussian.norm_row[row]


def mean_field_two(Lattice lattice, Gaussian gaussian, const float[:, ::1] unary, float bilateral_weight,
                   float spatial_weight, Py_ssize_t iterations, float tolerance, float[:, ::1] balance, int threads):
    """Run mean field for two labels on Q1 - Q0, and return (iterations run, largest last change of Q1).

    Filters are linear and Q0 = 1 - Q1, so both labels' messages are half the sum and half the difference of the
    filtered 1 and the filtered Q1 - Q0; the first cancels in the softmax.

    `unary` holds log odds, (M, N); `balance` holds Q1 - Q0 of the unary alone and receives the result.
    """
    cdef Py_ssize_t rows = lattice.rows, cols = lattice.cols, row, band, done = 0
    cdef float[:, ::1] across = np.empty((rows, cols), np.float32)
    cdef float[:, ::1] next_across = np.empty((rows, cols), np.float32)
    cdef float[:, ::1] scratch = np.zeros((threads, 4 * cols + 2 * gaussian.radius), np.float32)
    cdef float[::1] change = np.zeros(lattice.bands, np.float32)
    cdef int thread
    cdef float largest = 0
    if iterations < 1:
        return 0, 0.0
    lattice._splat(balance, threads)
    for row in prange(rows, nogil=True, num_threads=threads, schedule="static"):
        _blur_across(gaussian, row, &balance[row, 0], &scratch[threadid(), 3 * cols], &across[row, 0])
    while True:
        done += 1
        for band in prange(lattice.bands, nogil=True, num_threads=threads, schedule="dynamic"):
            thread = threadid()
            change[band] = _update_band(lattice, gaussian, band, unary, bilateral_weight, spatial_weight, balance,
                                        across, next_across, done == iterations, &scratch[thread, 0],
                                        &lattice.lines[thread, 0])
        across, next_across = next_across, across
        largest = np.max(change) / 2
        if done == iterations or largest < tolerance:
            return done, largest
        lattice._blur(threads)


cdef float _update_band(Lattice lattice, Gaussian gaussian, Py_ssize_t band, const float[:, ::1] unary,
                        float bilateral_weight, float spatial_weight, float[:, ::1] balance,
                        const float[:, ::1] across, float[:, ::1] next_across, bint last, float *scratch,
                        float *lines) noexcept nogil:
    """One iteration for a band's pixels in one pass: both messages, the update, and the splat for the next."""
    cdef Py_ssize_t row, pixel, cols = lattice.cols
    cdef float *bilateral = scratch
    cdef float *spatial = scratch + cols
    cdef float *splatted = scratch + 2 * cols
    cdef float largest = 0
    _load(lattice, &lattice.value[0, 0], band, lines)
    if not last:
        _clear(lattice, band, lines)
    for row in range(band * lattice.band_rows, min(lattice.rows, (band + 1) * lattice.band_rows)):
        pixel = row * cols
        slice_row(&lattice.simplex[pixel], &lattice.weight[CORNERS * pixel], lines, cols, bilateral)
        _blur_down(gaussian, row, across, spatial)
        largest = max(largest, update_row(&unary[row, 0], bilateral, &lattice.norm[row, 0], bilateral_weight, spatial,
                                          &gaussian.norm_col[0], spatial_weight, cols, &balance[row, 0],
                                          splatted))
        if last:
            continue
        splat_row(&lattice.simplex[pixel], &lattice.weight[CORNERS * pixel], splatted, cols, lines)
        _blur_across(gaussian, row, &balance[row, 0], scratch + 3 * cols, &next_across[row, 0])
    if not last:
        _collect(lattice, band, lines)
    return largest
