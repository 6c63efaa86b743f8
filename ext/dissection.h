/* Nested dissection of a set of pixels (George 1973), and the shape of the factor that follows from it.
 *
 * A set is cut by a strip of two rows or columns, for pixels further apart than two do not touch in the
 * matting Laplacian: first come the pixels on either side, then those of the strip. A node of the tree is a
 * strip, or a set too small to be cut. Nodes stand in postorder; a node's pixels are `begin..end` in the order
 * of elimination, and its border are the later pixels that elimination of its subtree ties together.
 */
#ifndef BGKIT_DISSECTION_H
#define BGKIT_DISSECTION_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    const int32_t *row, *col;     /* of each pixel, from 0 in the bounding box */
    int32_t *order, *spare;       /* the pixels in the order of elimination; room for as many */
    int32_t *in_row, *in_col;     /* how many pixels a row, a column holds; zero between cuts */
    int32_t *first;               /* the first node of each node's subtree */
    int32_t *begin, *end;         /* the pixels of each node, as positions in `order` */
    int32_t *left, *right;        /* children or -1 */
    int32_t nodes, leaf;          /* how many nodes; sets of up to `leaf` pixels are not cut */
} Dissection;

/* Find the cheapest strip along one axis: few pixels in it, and the rest in halves that are not too unlike. */
static double best_cut(const int32_t *counts, int32_t low, int32_t high, int32_t total, int32_t *cut)
{
    double best = 1e300;
    int32_t before = counts[low];
    for (int32_t at = low + 1; at + 2 <= high; at++) {
        const int32_t strip = counts[at] + counts[at + 1], after = total - before - strip;
        const double tilt = (double)(before > after ? before - after : after - before) / total;
        const double cost = (strip + 0.25) * (1 + 2 * tilt * tilt) + (tilt > 0.6 ? total * tilt : 0);
        if (cost < best)
            best = cost, *cut = at;
        before += counts[at];
    }
    return best;
}

static int32_t dissect(Dissection *d, int32_t low, int32_t high)
{
    const int32_t first = d->nodes;
    int32_t left = -1, right = -1, begin = low;
    if (high - low > d->leaf) {
        int32_t row_low = INT32_MAX, row_high = -1, col_low = INT32_MAX, col_high = -1;
        for (int32_t k = low; k < high; k++) {
            const int32_t row = d->row[d->order[k]], col = d->col[d->order[k]];
            d->in_row[row]++, d->in_col[col]++;
            row_low = row < row_low ? row : row_low, row_high = row > row_high ? row : row_high;
            col_low = col < col_low ? col : col_low, col_high = col > col_high ? col : col_high;
        }
        int32_t row_cut = 0, col_cut = 0;
        const double row_cost = best_cut(d->in_row, row_low, row_high, high - low, &row_cut);
        const double col_cost = best_cut(d->in_col, col_low, col_high, high - low, &col_cut);
        memset(d->in_row + row_low, 0, (size_t)(row_high - row_low + 1) * sizeof(int32_t));
        memset(d->in_col + col_low, 0, (size_t)(col_high - col_low + 1) * sizeof(int32_t));
        const int32_t *coordinate = row_cost <= col_cost ? d->row : d->col;
        const int32_t cut = row_cost <= col_cost ? row_cut : col_cut;
        /* 10 or more pixels do not fit in 3 x 3, so there is a cut with pixels on both sides. */
        int32_t before = low, after = 0, strip = 0;
        for (int32_t k = low; k < high; k++) {
            const int32_t pixel = d->order[k], at = coordinate[pixel];
            if (at < cut)
                d->order[before++] = pixel;
            else if (at > cut + 1)
                d->spare[low + after++] = pixel;
            else
                d->spare[high - ++strip] = pixel;
        }
        memcpy(d->order + before, d->spare + low, (size_t)after * sizeof(int32_t));
        begin = before + after;
        for (int32_t k = 0; k < strip; k++)
            d->order[begin + k] = d->spare[high - 1 - k];
        left = dissect(d, low, before);
        right = dissect(d, before, begin);
    }
    const int32_t node = d->nodes++;
    d->first[node] = first, d->begin[node] = begin, d->end[node] = high;
    d->left[node] = left, d->right[node] = right;
    return node;
}

static void sort(int32_t *items, ptrdiff_t count)
{
    while (count > 24) {
        const int32_t a = items[0], b = items[count / 2], c = items[count - 1];
        const int32_t pivot = a < b ? (b < c ? b : a < c ? c : a) : (a < c ? a : b < c ? c : b);
        ptrdiff_t low = -1, high = count;
        for (;;) {
            while (items[++low] < pivot) {}
            while (items[--high] > pivot) {}
            if (low >= high)
                break;
            const int32_t item = items[low];
            items[low] = items[high], items[high] = item;
        }
        sort(items, high + 1);
        items += high + 1, count -= high + 1;
    }
    for (ptrdiff_t k = 1; k < count; k++) {
        const int32_t item = items[k];
        ptrdiff_t at = k;
        for (; at > 0 && items[at - 1] > item; at--)
            items[at] = items[at - 1];
        items[at] = item;
    }
}

/* Merge two rising lists, leaving out what is below `from` and what is double; return the length. */
static ptrdiff_t merge(const int32_t *a, ptrdiff_t a_count, const int32_t *b, ptrdiff_t b_count, int32_t from,
                       int32_t *out)
{
    ptrdiff_t count = 0, i = 0, j = 0;
    while (i < a_count && a[i] < from)
        i++;
    while (j < b_count && b[j] < from)
        j++;
    while (i < a_count && j < b_count) {
        const int32_t left = a[i], right = b[j];
        out[count++] = left < right ? left : right;
        i += left <= right, j += right <= left;
    }
    while (i < a_count)
        out[count++] = a[i++];
    while (j < b_count)
        out[count++] = b[j++];
    return count;
}

#endif
