/* Dense steps of the multifrontal Cholesky factorization (Duff and Reid 1983), in float32.
 *
 * A front is a dense symmetric matrix over a node's own pixels (`own` of them) and its border (`border`).
 * Its first `own` columns, stored by columns of own + border, become columns of the factor; the rest, border x border,
 * is what the parent gets. Only the lower triangles hold meaning. Loads may run up to 16 floats beyond an array:
 * the caller leaves room; what they bring is never stored.
 */
#ifndef BGKIT_FRONT_H
#define BGKIT_FRONT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "multiversion.h"

#ifdef _OPENMP
#include <omp.h>
static inline int thread_number(void) { return omp_get_thread_num(); }
#else
static inline int thread_number(void) { return 0; }
#endif

enum { TALL = 16, WIDE = 6, DEEP = 256, PANEL = 16, SHARE = 48, ROOM = DEEP * (DEEP + WIDE) + 64 };

#if defined(__GNUC__)
typedef float Strip __attribute__((vector_size(64), aligned(4), may_alias));
#else
typedef struct { float lane[TALL]; } Strip;
#endif

/* acc[j] = sum over k of a[k][0..16) * b[k][j]; a and b packed. */
#if defined(__GNUC__)
#define TILE_PRODUCT(acc, a, b, depth)                                                                         \
    do {                                                                                                       \
        Strip s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0}, s4 = {0}, s5 = {0};                                      \
        for (ptrdiff_t k = 0; k < (depth); k++) {                                                              \
            const Strip strip = *(const Strip *)((a) + k * TALL);                                              \
            const float *row = (b) + k * WIDE;                                                                 \
            s0 += strip * row[0], s1 += strip * row[1], s2 += strip * row[2];                                  \
            s3 += strip * row[3], s4 += strip * row[4], s5 += strip * row[5];                                  \
        }                                                                                                      \
        acc[0] = s0, acc[1] = s1, acc[2] = s2, acc[3] = s3, acc[4] = s4, acc[5] = s5;                          \
    } while (0)
#else
#define TILE_PRODUCT(acc, a, b, depth)                                                                         \
    do {                                                                                                       \
        memset(acc, 0, sizeof(acc));                                                                           \
        for (ptrdiff_t k = 0; k < (depth); k++)                                                                \
            for (int j = 0; j < WIDE; j++)                                                                     \
                for (int i = 0; i < TALL; i++)                                                                 \
                    acc[j].lane[i] += (a)[k * TALL + i] * (b)[k * WIDE + j];                                   \
    } while (0)
#endif

#if defined(BGKIT_VECTORS)
/* The same by halves, for registers of eight floats: there GCC keeps longer vectors in memory, at ten times the time
   (with SSE alone it is halves that it keeps there). Twelve sums, two halves of a strip and one value fill the sixteen
   registers of AVX2. */
#define TILE_PRODUCT_BY_HALVES(acc, a, b, depth)                                                               \
    do {                                                                                                       \
        Floats8 s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0}, s4 = {0}, s5 = {0};                                    \
        Floats8 t0 = {0}, t1 = {0}, t2 = {0}, t3 = {0}, t4 = {0}, t5 = {0};                                    \
        for (ptrdiff_t k = 0; k < (depth); k++) {                                                              \
            const Floats8 upper = *(const Floats8Anywhere *)((a) + k * TALL);                                  \
            const Floats8 lower = *(const Floats8Anywhere *)((a) + k * TALL + TALL / 2);                       \
            const float *row = (b) + k * WIDE;                                                                 \
            s0 += upper * row[0], s1 += upper * row[1], s2 += upper * row[2];                                  \
            s3 += upper * row[3], s4 += upper * row[4], s5 += upper * row[5];                                  \
            t0 += lower * row[0], t1 += lower * row[1], t2 += lower * row[2];                                  \
            t3 += lower * row[3], t4 += lower * row[4], t5 += lower * row[5];                                  \
        }                                                                                                      \
        Floats8Anywhere *const halves = (Floats8Anywhere *)(acc);                                              \
        halves[0] = s0, halves[2] = s1, halves[4] = s2, halves[6] = s3, halves[8] = s4, halves[10] = s5;       \
        halves[1] = t0, halves[3] = t1, halves[5] = t2, halves[7] = t3, halves[9] = t4, halves[11] = t5;       \
    } while (0)
#else
#define TILE_PRODUCT_BY_HALVES TILE_PRODUCT
#endif

/* c[i][j] -= sum over k < depth of a[i][k] a[j][k], for columns j in [from, to) and rows i in [j, rows).
 * a and c by columns, of steps a_step and c_step. `room` holds ROOM floats. */
MULTIVERSION_BY_LEVEL(void, subtract_product,
             (float *c, ptrdiff_t c_step, const float *a, ptrdiff_t a_step, ptrdiff_t rows, ptrdiff_t from,
              ptrdiff_t to, ptrdiff_t all_depth, float *room),
             (c, c_step, a, a_step, rows, from, to, all_depth, room))
{
    float *tall = room, *wide = room + DEEP * DEEP;
    for (ptrdiff_t k0 = 0; k0 < all_depth; k0 += DEEP) {
        const ptrdiff_t depth = all_depth - k0 < DEEP ? all_depth - k0 : DEEP;
        const float *deep = a + k0 * a_step;
        for (ptrdiff_t i0 = from; i0 < rows; i0 += DEEP) {
            const ptrdiff_t i1 = rows < i0 + DEEP ? rows : i0 + DEEP;
            for (ptrdiff_t i = i0; i < i1; i += TALL) {
                float *packed = tall + (i - i0) * depth;
                for (ptrdiff_t k = 0; k < depth; k++)
                    memcpy(packed + k * TALL, deep + k * a_step + i, TALL * sizeof(float));
            }
            const ptrdiff_t last = to < i1 ? to : i1;
            for (ptrdiff_t j = from; j < last; j += WIDE) {
                for (ptrdiff_t k = 0; k < depth; k++)
                    memcpy(wide + k * WIDE, deep + k * a_step + j, WIDE * sizeof(float));
                const ptrdiff_t columns = to - j < WIDE ? to - j : WIDE;
                ptrdiff_t i = i0;
                if (j > i0)
                    i += (j - i0) / TALL * TALL;
                for (; i < i1; i += TALL) {
                    Strip acc[WIDE];
                    if (level == 3)
                        TILE_PRODUCT_BY_HALVES(acc, tall + (i - i0) * depth, wide, depth);
                    else
                        TILE_PRODUCT(acc, tall + (i - i0) * depth, wide, depth);
                    const ptrdiff_t count = i1 - i < TALL ? i1 - i : TALL;
                    for (ptrdiff_t column = 0; column < columns; column++) {
                        float *target = c + (j + column) * c_step + i;
                        const float *sum = (const float *)&acc[column];
                        if (count == TALL)
                            for (int lane = 0; lane < TALL; lane++)
                                target[lane] -= sum[lane];
                        else
                            for (ptrdiff_t lane = 0; lane < count; lane++)
                                target[lane] -= sum[lane];
                    }
                }
            }
        }
    }
}

/* Make the few columns [from, to) of l factor columns. A pivot lost to rounding is replaced, for the factor is only a preconditioner: `least` of each. */
MULTIVERSION(void, factor_panel,
             (float *l, ptrdiff_t rows, ptrdiff_t from, ptrdiff_t to, const float *least),
             (l, rows, from, to, least))
{
    for (ptrdiff_t k = from; k < to; k++) {
        float *column = l + k * rows;
        const float pivot = column[k] > least[k] ? column[k] : least[k];
        const float root = __builtin_sqrtf(pivot), inverse = 1 / root;
        column[k] = root;
        for (ptrdiff_t i = k + 1; i < rows; i++)
            column[i] *= inverse;
        for (ptrdiff_t j = k + 1; j < to; j++) {
            float *other = l + j * rows;
            const float share = column[j];
            for (ptrdiff_t i = j; i < rows; i++)
                other[i] -= share * column[i];
        }
    }
}

/* The same, cut into ranges of columns among the threads; each of them needs its own room. */
static void share_product(float *c, ptrdiff_t c_step, const float *a, ptrdiff_t a_step, ptrdiff_t rows,
                          ptrdiff_t columns, ptrdiff_t depth, float *room, int threads)
{
    /* Below a quarter of a millisecond of work, waking the threads is not worth it. */
    if (threads == 1 || columns < 2 * SHARE || rows * columns * depth < 8000000) {
        subtract_product(c, c_step, a, a_step, rows, 0, columns, depth, room);
        return;
    }
#ifdef _OPENMP
#pragma omp parallel for num_threads(threads) schedule(dynamic)
#endif
    for (ptrdiff_t from = 0; from < columns; from += SHARE)
        subtract_product(c, c_step, a, a_step, rows, from, columns < from + SHARE ? columns : from + SHARE, depth,
                         room + thread_number() * ROOM);
}

/* Make columns [from, to) of l factor columns, by halves, so that most of the work is products of some depth. */
static void factor_columns(float *l, ptrdiff_t rows, ptrdiff_t from, ptrdiff_t to, const float *least, float *room,
                           int threads)
{
    if (to - from <= PANEL) {
        factor_panel(l, rows, from, to, least);
        return;
    }
    const ptrdiff_t middle = from + (to - from) / 2;
    factor_columns(l, rows, from, middle, least, room, threads);
    share_product(l + middle * (rows + 1), rows, l + from * rows + middle, rows, rows - middle, to - middle,
                  middle - from, room, threads);
    factor_columns(l, rows, middle, to, least, room, threads);
}

/* Add a child's remainder into its parent's front: place[k] is where its k-th border pixel stands there. Pixels that
 * stand side by side there too, as most do, are added as one run. */
static void add_child(const float *restrict child, ptrdiff_t count, const int32_t *place, float *restrict l,
                      ptrdiff_t own, ptrdiff_t border, float *restrict rest)
{
    for (ptrdiff_t begin = 0, end; begin < count; begin = end) {
        for (end = begin + 1; end < count && place[end] - place[begin] == end - begin;)
            end++;
        for (ptrdiff_t j = 0; j < end; j++) {
            const ptrdiff_t column = place[j], shift = place[begin] - begin;
            float *target = (column < own ? l + column * (own + border) : rest + (column - own) * border - own) + shift;
            const float *source = child + j * count;
            for (ptrdiff_t i = j > begin ? j : begin; i < end; i++)
                target[i] += source[i];
        }
    }
}

/* x = [own; border]: solve for the own part, take its effect off the border. */
MULTIVERSION(void, front_forward,
             (const float *l, ptrdiff_t own, ptrdiff_t rows, float *x),
             (l, own, rows, x))
{
    for (ptrdiff_t k = 0; k < own; k++) {
        const float *column = l + k * rows;
        const float value = x[k] / column[k];
        x[k] = value;
        for (ptrdiff_t i = k + 1; i < rows; i++)
            x[i] -= value * column[i];
    }
}

/* x = [own; border] with the border solved: solve for the own part, four columns at a time, whose sums do not wait for
 * one another. The sums have 16 lanes on any processor, so that its bits are the same. */
MULTIVERSION(void, front_backward,
             (const float *l, ptrdiff_t own, ptrdiff_t rows, float *restrict x),
             (l, own, rows, x))
{
    enum { COLUMNS = 4 };
    for (ptrdiff_t last = own; last > 0; last -= COLUMNS) {
        const ptrdiff_t first = last - COLUMNS;
        const float *column[COLUMNS]; /* where fewer are left, the first one again, whose sums are then not used */
        float lanes[COLUMNS][TALL] = {{0}}, sum[COLUMNS] = {0};
        for (int c = 0; c < COLUMNS; c++)
            column[c] = l + (first + c > 0 ? first + c : 0) * rows;
        ptrdiff_t i = last;
#if defined(BGKIT_VECTORS)
        Floats8 s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0}, t0 = {0}, t1 = {0}, t2 = {0}, t3 = {0};
        for (; i + TALL <= rows; i += TALL) {
            const Floats8 upper = *(const Floats8Anywhere *)(x + i);
            const Floats8 lower = *(const Floats8Anywhere *)(x + i + 8);
            s0 += *(const Floats8Anywhere *)(column[0] + i) * upper;
            s1 += *(const Floats8Anywhere *)(column[1] + i) * upper;
            s2 += *(const Floats8Anywhere *)(column[2] + i) * upper;
            s3 += *(const Floats8Anywhere *)(column[3] + i) * upper;
            t0 += *(const Floats8Anywhere *)(column[0] + i + 8) * lower;
            t1 += *(const Floats8Anywhere *)(column[1] + i + 8) * lower;
            t2 += *(const Floats8Anywhere *)(column[2] + i + 8) * lower;
            t3 += *(const Floats8Anywhere *)(column[3] + i + 8) * lower;
        }
        Floats8Anywhere *const all = (Floats8Anywhere *)lanes;
        all[0] = s0, all[2] = s1, all[4] = s2, all[6] = s3, all[1] = t0, all[3] = t1, all[5] = t2, all[7] = t3;
#else
        for (; i + TALL <= rows; i += TALL)
            for (int c = 0; c < COLUMNS; c++)
                for (int lane = 0; lane < TALL; lane++)
                    lanes[c][lane] += column[c][i + lane] * x[i + lane];
#endif
        for (int c = 0; c < COLUMNS; c++) {
            for (int lane = 0; lane < TALL; lane++)
                sum[c] += lanes[c][lane];
            for (ptrdiff_t rest = i; rest < rows; rest++)
                sum[c] += column[c][rest] * x[rest];
        }
        for (ptrdiff_t k = last - 1; k >= 0 && k >= first; k--) {
            const int c = (int)(k - first);
            for (ptrdiff_t j = k + 1; j < last; j++)
                sum[c] += column[c][j] * x[j];
            x[k] = (x[k] - sum[c]) / column[c][k];
        }
    }
}

#endif
