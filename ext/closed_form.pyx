"""Loops of closed-form matting: the matrix, its product, its factorization and the solve with that."""

from cython.parallel cimport prange, threadid
from libc.stdint cimport int32_t, int64_t


cdef extern from "multifrontal.h" nogil:
    ctypedef struct Dissection:
        const int32_t *row
        const int32_t *col
        int32_t *order
        int32_t *spare
        int32_t *in_row
        int32_t *in_col
        int32_t *first
        int32_t *begin
        int32_t *end
        int32_t *left
        int32_t *right
        int32_t nodes
        int32_t leaf

    ctypedef struct CTree "Tree":
        const double *values
        const int32_t *index
        const int32_t *at
        Py_ssize_t stride
        const int32_t *order
        const int32_t *position
        const int32_t *first
        const int32_t *begin
        const int32_t *end
        const int32_t *left
        const int32_t *right
        int64_t *border_at
        int64_t *factor_at
        int32_t *border
        int32_t *place
        float *factor

    int c_room "ROOM"
    void add_windows(const float *, const unsigned char *, Py_ssize_t, Py_ssize_t, const int32_t *, Py_ssize_t,
                     Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t, double, double *, double *)
    double row_times(const double *, const int32_t *, Py_ssize_t, const double *)
    int32_t c_dissect "dissect"(Dissection *, int32_t, int32_t)
    int32_t c_find_borders "find_borders"(const CTree *, int32_t, int32_t, int64_t, int32_t *)
    int64_t c_stack_room "stack_room"(const CTree *, int32_t)
    void c_factor_node "factor_node"(const CTree *, int32_t, const float *, const float *, float *, int32_t *, float *,
                                     float *, int)
    void c_factor_subtree "factor_subtree"(const CTree *, int32_t, float *, float *, int32_t *, float *, float *)
    void c_forward_node "forward_node"(const CTree *, int32_t, float *, float *, float *)
    void c_backward_node "backward_node"(const CTree *, int32_t, float *, float *)

ROOM = c_room


def laplacian(const float[:, :, ::1] image, const unsigned char[:, ::1] trimap, const int32_t[:, ::1] index,
              Py_ssize_t top, Py_ssize_t left, double epsilon, double[:, ::1] values, double[::1] right, int threads):
    """Add up the matrix and the right side; rows of the band's box in chunks of 16, disjoint in what they write."""
    cdef Py_ssize_t box_rows = index.shape[0] - 4, box_cols = index.shape[1] - 4, chunk
    for chunk in prange((box_rows + 15) // 16, nogil=True, num_threads=threads, schedule="dynamic"):
        add_windows(&image[0, 0, 0], &trimap[0, 0], image.shape[0], image.shape[1], &index[0, 0], top, left, box_cols,
                    top + chunk * 16, top + min(box_rows, chunk * 16 + 16), epsilon, &values[0, 0], &right[0])


def multiply(const double[:, ::1] values, const int32_t[:, ::1] index, const int32_t[::1] at, const double[::1] x,
             double[::1] out, int threads):
    """Compute out = matrix x."""
    cdef Py_ssize_t pixel
    for pixel in prange(at.shape[0], nogil=True, num_threads=threads, schedule="static"):
        out[pixel] = row_times(&values[0, 0], &index[0, 0] + at[pixel], index.shape[1], &x[0])


def dissect(const int32_t[::1] row, const int32_t[::1] col, int32_t[::1] order, int32_t[::1] spare,
            int32_t[::1] in_row, int32_t[::1] in_col, int32_t[:, ::1] tree, int leaf):
    """Order the pixels by nested dissection; rows of tree: first, begin, end, left, right. Return the nodes."""
    cdef Dissection d
    d.row, d.col, d.order, d.spare = &row[0], &col[0], &order[0], &spare[0]
    d.in_row, d.in_col = &in_row[0], &in_col[0]
    d.first, d.begin, d.end = &tree[0, 0], &tree[1, 0], &tree[2, 0]
    d.left, d.right = &tree[3, 0], &tree[4, 0]
    d.nodes, d.leaf = 0, leaf
    with nogil:
        c_dissect(&d, 0, <int32_t> row.shape[0])
    return d.nodes


cdef class Tree:
    """The arrays of one factorization, as its loops take them."""

    cdef CTree c
    cdef object arrays

    def __init__(self, const double[:, ::1] values, const int32_t[:, ::1] index, const int32_t[::1] at,
                 const int32_t[::1] order, const int32_t[::1] position, const int32_t[:, ::1] tree,
                 int64_t[::1] border_at, int64_t[::1] factor_at, int32_t[::1] border, int32_t[::1] place,
                 float[::1] factor):
        self.arrays = (values, index, at, order, position, tree, border_at, factor_at, border, place, factor)
        self.c.values, self.c.index, self.c.at, self.c.stride = &values[0, 0], &index[0, 0], &at[0], index.shape[1]
        self.c.order, self.c.position = &order[0], &position[0]
        self.c.first, self.c.begin, self.c.end = &tree[0, 0], &tree[1, 0], &tree[2, 0]
        self.c.left, self.c.right = &tree[3, 0], &tree[4, 0]
        self.c.border_at, self.c.factor_at = &border_at[0], &factor_at[0]
        self.c.border, self.c.place, self.c.factor = &border[0], &place[0], &factor[0]

    def find_borders(self, int node, int nodes, int32_t[::1] mark, int64_t room):
        """Find the borders of the nodes from ``node`` on; return the first that there was no room for."""
        with nogil:
            node = c_find_borders(&self.c, node, nodes, room, &mark[0])
        return node

    def stack_room(self, int node):
        """Return how many floats :meth:`factor_subtrees` needs of stack for a subtree."""
        return c_stack_room(&self.c, node)

    def factor_subtrees(self, const int32_t[::1] roots, float[::1] rests, const int64_t[::1] rest_at,
                        float[:, ::1] stack, int32_t[:, ::1] where, float[:, ::1] least, float[:, ::1] room,
                        int threads):
        """Factor the subtrees below ``roots``; scratch has a row for each thread."""
        cdef Py_ssize_t each
        cdef int thread
        for each in prange(roots.shape[0], nogil=True, num_threads=threads, schedule="dynamic", chunksize=1):
            thread = threadid()
            c_factor_subtree(&self.c, roots[each], &rests[rest_at[each]], &stack[thread, 0], &where[thread, 0],
                             &least[thread, 0], &room[thread, 0])

    def factor_node(self, int node, const float[::1] left, const float[::1] right, float[::1] rest,
                    int32_t[:, ::1] where, float[:, ::1] least, float[:, ::1] room, int threads):
        """Factor one node whose children are done."""
        with nogil:
            c_factor_node(&self.c, node, &left[0], &right[0], &rest[0], &where[0, 0], &least[0, 0], &room[0, 0],
                          threads)

    def solve(self, const int32_t[::1] roots, const int32_t[::1] above, const double[::1] right, double[::1] out,
              float[::1] x, float[::1] sums, float[:, ::1] front, int threads):
        """Solve with the factors: the subtrees below ``roots`` in parallel, the nodes ``above`` one by one."""
        cdef Py_ssize_t each, pixel
        cdef int thread
        cdef int32_t node
        for pixel in prange(x.shape[0], nogil=True, num_threads=threads, schedule="static"):
            x[pixel] = <float> right[self.c.order[pixel]]
        for each in prange(roots.shape[0], nogil=True, num_threads=threads, schedule="dynamic", chunksize=1):
            thread = threadid()
            for node in range(self.c.first[roots[each]], roots[each] + 1):
                c_forward_node(&self.c, node, &x[0], &sums[0], &front[thread, 0])
        with nogil:
            for each in range(above.shape[0]):
                c_forward_node(&self.c, above[each], &x[0], &sums[0], &front[0, 0])
            for each in range(above.shape[0] - 1, -1, -1):
                c_backward_node(&self.c, above[each], &x[0], &front[0, 0])
        for each in prange(roots.shape[0], nogil=True, num_threads=threads, schedule="dynamic", chunksize=1):
            thread = threadid()
            for node in range(roots[each], self.c.first[roots[each]] - 1, -1):
                c_backward_node(&self.c, node, &x[0], &front[thread, 0])
        for pixel in prange(x.shape[0], nogil=True, num_threads=threads, schedule="static"):
            out[self.c.order[pixel]] = x[pixel]
