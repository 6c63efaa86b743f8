/* Multifrontal Cholesky factorization of the matting Laplacian, and the solves with it. */
#ifndef BGKIT_MULTIFRONTAL_H
#define BGKIT_MULTIFRONTAL_H

#include "dissection.h"
#include "front.h"
#include "stencil.h"

typedef struct {
    const double *values;            /* the matrix, PLACES for each pixel */
    const int32_t *index, *at;       /* number of each pixel of the box; where in `index` each pixel stands */
    ptrdiff_t stride;                /* of index */
    const int32_t *order, *position; /* the order of elimination, and its inverse */
    const int32_t *first, *begin, *end, *left, *right; /* the tree, as in dissection.h */
    int64_t *border_at, *factor_at;  /* where each node's border and factor columns start */
    int32_t *border, *place;         /* positions of the border's pixels; where they stand in the parent's front */
    float *factor;
} Tree;

static inline ptrdiff_t border_count(const Tree *t, int32_t node)
{
    return node < 0 ? 0 : (ptrdiff_t)(t->border_at[node + 1] - t->border_at[node]);
}

/* Find the borders of the nodes from `node` on, in postorder. Stop before one that `room` may not hold; return it. */
static int32_t find_borders(const Tree *t, int32_t node, int32_t nodes, int64_t room, int32_t *mark)
{
    for (; node < nodes; node++) {
        const int32_t begin = t->begin[node], end = t->end[node], own = end - begin;
        const int32_t children[2] = {t->left[node], t->right[node]};
        const ptrdiff_t counts[2] = {border_count(t, children[0]), border_count(t, children[1])};
        const ptrdiff_t most = counts[0] + counts[1] + 24 * own;
        if (t->border_at[node] + 2 * most > room)
            return node;
        int32_t *out = t->border + t->border_at[node], *inherited = out + most;
        const int32_t *lists[2] = {out, out};
        for (int side = 0; side < 2; side++)
            if (children[side] >= 0)
                lists[side] = t->border + t->border_at[children[side]];
        const ptrdiff_t inherits = merge(lists[0], counts[0], lists[1], counts[1], end, inherited);
        int32_t *found = inherited + inherits;
        ptrdiff_t finds = 0;
        for (ptrdiff_t k = 0; k < inherits; k++)
            mark[inherited[k]] = node;
        for (int32_t k = begin; k < end; k++) {
            const int32_t *center = t->index + t->at[t->order[k]];
            for (int row = -2; row <= 2; row++)
                for (int col = -2; col <= 2; col++) {
                    const int32_t pixel = center[row * t->stride + col];
                    const int32_t position = pixel < 0 ? -1 : t->position[pixel];
                    if (position >= end && mark[position] != node)
                        mark[position] = node, found[finds++] = position;
                }
        }
        sort(found, finds);
        const ptrdiff_t border = merge(inherited, inherits, found, finds, end, out);
        for (int side = 0; side < 2; side++) {
            if (children[side] < 0)
                continue;
            int32_t *place = t->place + t->border_at[children[side]];
            ptrdiff_t rank = 0;
            for (ptrdiff_t k = 0; k < counts[side]; k++) {
                if (lists[side][k] < end) {
                    place[k] = lists[side][k] - begin;
                    continue;
                }
                while (out[rank] != lists[side][k])
                    rank++;
                place[k] = (int32_t)(own + rank);
            }
        }
        t->border_at[node + 1] = t->border_at[node] + border;
        t->factor_at[node + 1] = t->factor_at[node] + (own + border) * own;
    }
    return node;
}

/* Factor one node. `rests` are its children's remainders, `rest` takes its own, border x border.
 * `where` holds a number for each pixel, `least` one for each own pixel. */
static void factor_node(const Tree *t, int32_t node, const float *left_rest, const float *right_rest, float *rest,
                        int32_t *where, float *least, float *room, int threads)
{
    const int32_t begin = t->begin[node], end = t->end[node];
    const ptrdiff_t own = end - begin, border = border_count(t, node), rows = own + border;
    float *l = t->factor + t->factor_at[node];
    const int32_t *list = t->border + t->border_at[node];
    memset(l, 0, (size_t)(own * rows) * sizeof(float));
    memset(rest, 0, (size_t)(border * border) * sizeof(float));
    for (ptrdiff_t k = 0; k < border; k++)
        where[list[k]] = (int32_t)(own + k);
    for (ptrdiff_t k = 0; k < own; k++) {
        const int32_t pixel = t->order[begin + k];
        const int32_t *center = t->index + t->at[pixel];
        const double *values = t->values + (ptrdiff_t)pixel * PLACES;
        float *column = l + k * rows;
        column[k] = (float)values[0];
        least[k] = column[k] * 1e-6f + 1e-30f; /* 1e-6: what float32 leaves of a sum of the diagonal's size */
        for (int row = 0; row <= 2; row++)
            for (int col = row ? -2 : 1; col <= 2; col++) {
                const ptrdiff_t step = row * t->stride + col;
                const int32_t after = center[step], before = center[-step];
                const int32_t after_at = after < 0 ? -1 : t->position[after];
                const int32_t before_at = before < 0 ? -1 : t->position[before];
                if (after_at > begin + k)
                    column[after_at < end ? after_at - begin : where[after_at]] = (float)values[place(row, col)];
                if (before_at > begin + k)
                    column[before_at < end ? before_at - begin : where[before_at]] =
                        (float)t->values[(ptrdiff_t)before * PLACES + place(row, col)];
            }
    }
    const int32_t left = t->left[node], right = t->right[node];
    if (left >= 0) {
        add_child(left_rest, border_count(t, left), t->place + t->border_at[left], l, own, border, rest);
        add_child(right_rest, border_count(t, right), t->place + t->border_at[right], l, own, border, rest);
    }
    factor_columns(l, rows, 0, own, least, room, threads);
    share_product(rest, border, l + own, rows, border, border, own, room, threads);
}

static inline int64_t square(int64_t side) { return side * side; }

/* Return how many floats the stack of remainders of a subtree takes at most. */
static int64_t stack_room(const Tree *t, int32_t node)
{
    int64_t top = 0, most = 0;
    for (int32_t each = t->first[node]; each <= node; each++) {
        const int64_t size = square(border_count(t, each));
        most = top + size > most ? top + size : most;
        top += size - square(border_count(t, t->left[each])) - square(border_count(t, t->right[each]));
    }
    return most;
}

/* Factor a node and all below it; `rest` takes what is left for its parent. */
static void factor_subtree(const Tree *t, int32_t node, float *rest, float *stack, int32_t *where, float *least,
                           float *room)
{
    int64_t top = 0;
    for (int32_t each = t->first[node]; each <= node; each++) {
        const int64_t size = square(border_count(t, each));
        const int64_t right = top - square(border_count(t, t->right[each]));
        const int64_t left = right - square(border_count(t, t->left[each]));
        factor_node(t, each, stack + left, stack + right, each == node ? rest : stack + top, where, least, room, 1);
        if (each != node)
            memmove(stack + left, stack + top, (size_t)size * sizeof(float));
        top = left + size;
    }
}

/* One node's part of the forward solve: x by position, `sums` by border entry, `front` scratch for one front. */
static void forward_node(const Tree *t, int32_t node, float *x, float *sums, float *front)
{
    const ptrdiff_t own = t->end[node] - t->begin[node], border = border_count(t, node);
    const int32_t children[2] = {t->left[node], t->right[node]};
    memcpy(front, x + t->begin[node], (size_t)own * sizeof(float));
    memset(front + own, 0, (size_t)border * sizeof(float));
    for (int side = 0; side < 2; side++) {
        if (children[side] < 0)
            continue;
        const int64_t at = t->border_at[children[side]];
        const ptrdiff_t count = border_count(t, children[side]);
        for (ptrdiff_t k = 0; k < count; k++)
            front[t->place[at + k]] += sums[at + k];
    }
    front_forward(t->factor + t->factor_at[node], own, own + border, front);
    memcpy(x + t->begin[node], front, (size_t)own * sizeof(float));
    memcpy(sums + t->border_at[node], front + own, (size_t)border * sizeof(float));
}

static void backward_node(const Tree *t, int32_t node, float *x, float *front)
{
    const ptrdiff_t own = t->end[node] - t->begin[node], border = border_count(t, node);
    const int32_t *list = t->border + t->border_at[node];
    memcpy(front, x + t->begin[node], (size_t)own * sizeof(float));
    for (ptrdiff_t k = 0; k < border; k++)
        front[own + k] = x[list[k]];
    front_backward(t->factor + t->factor_at[node], own, own + border, front);
    memcpy(x + t->begin[node], front, (size_t)own * sizeof(float));
}

#endif
