/* The loops of the dense CRF that run over the pixels of a row, written so that the compiler vectorizes them.

   Symbols follow Adams, Baek and Davis, "Fast high-dimensional filtering using the permutohedral lattice" (2010), for
   d = 5: a pixel's feature (col, row, r, g, b) is a point of the plane H_5 in R^6 where coordinates sum to zero. */
#ifndef BGKIT_DENSE_CRF_H
#define BGKIT_DENSE_CRF_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "multiversion.h"

enum { CORNERS = 6, CHUNK = 256, RANK_BITS = 15 };

/* Where the packed 64-bit key of a lattice point keeps coordinate i: (coordinate - lowest[i]) << shift[i]. */
typedef struct {
    float scale[5]; /* position and color into H_5, in units of d + 1 = 6, so that lattice points round to integers */
    float origin[2]; /* of col and row, scaled */
    int32_t lowest[5];
    int32_t shift[5];
} Geometry;

#define ORDER(i, j) { int32_t less = v##i < v##j; rank##i += less; rank##j += 1 - less; }
#define WRAP(i) { rank##i += sum; int32_t turn = (rank##i < 0) - (rank##i > 5); rank##i += 6 * turn; near##i += turn; \
                  v##i -= (float)turn; }
#define SORT(i, j) { float high = v##i < v##j ? v##j : v##i, low = v##i < v##j ? v##i : v##j; v##i = high; v##j = low; }
#define STEPS(x) (int32_t)((x) * 65534.0f + 0.5f) /* for x from -1e-6 to 1 + 1e-6, as rounding has it */
#define FIELD(i) ((uint64_t)(uint32_t)(near##i - geometry->lowest[i]) << geometry->shift[i])

/* Find the simplex that encloses each of `count` <= CHUNK pixels of a row, from column `col` on.

   key: the nearest remainder-0 point, packed, with the ranks of the first five coordinates in the low bits: two pixels
   share a simplex exactly if they share this key. weight: barycentric coordinates, six a pixel, by remainder, in steps of
   1/65534: half the memory of floats, which is what a pass over the pixels waits for. Their scale cancels in the
   symmetric normalization. */
MULTIVERSION(void, find_simplices,
             (const float *restrict rgb, ptrdiff_t row, ptrdiff_t col, ptrdiff_t count,
              const Geometry *restrict geometry, uint64_t *restrict key, uint16_t *restrict weight),
             (rgb, row, col, count, geometry, key, weight))
{
    int32_t bary[CORNERS][CHUNK];
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to the nearest integer on every processor */
    const float y = (float)row * geometry->scale[1] + geometry->origin[1];
    for (ptrdiff_t p = 0; p < count; p++) {
        /* Elevate (the matrix E of the paper's section 3.1, from the last coordinate up). */
        float x = (float)(int32_t)(col + p) * geometry->scale[0] + geometry->origin[0];
        float r = rgb[3 * p] * geometry->scale[2], g = rgb[3 * p + 1] * geometry->scale[3];
        float b = rgb[3 * p + 2] * geometry->scale[4];
        float v5 = -5 * b, v4 = b - 4 * g, gb = b + g, v3 = gb - 3 * r, rgb_sum = gb + r, v2 = rgb_sum - 2 * y;
        float yrgb = rgb_sum + y, v1 = yrgb - x, v0 = yrgb + x;
        /* The nearest point whose coordinates are multiples of 6; v keeps what is left. */
        float f0 = (v0 + magic) - magic, f1 = (v1 + magic) - magic, f2 = (v2 + magic) - magic;
        float f3 = (v3 + magic) - magic, f4 = (v4 + magic) - magic, f5 = (v5 + magic) - magic;
        int32_t near0 = (int32_t)f0, near1 = (int32_t)f1, near2 = (int32_t)f2;
        int32_t near3 = (int32_t)f3, near4 = (int32_t)f4, near5 = (int32_t)f5;
        int32_t sum = near0 + near1 + near2 + near3 + near4 + near5;
        v0 -= f0, v1 -= f1, v2 -= f2, v3 -= f3, v4 -= f4, v5 -= f5;
        /* Rank 0 for the largest remainder. */
        int32_t rank0 = 0, rank1 = 0, rank2 = 0, rank3 = 0, rank4 = 0, rank5 = 0;
        ORDER(0, 1) ORDER(0, 2) ORDER(0, 3) ORDER(0, 4) ORDER(0, 5)
        ORDER(1, 2) ORDER(1, 3) ORDER(1, 4) ORDER(1, 5)
        ORDER(2, 3) ORDER(2, 4) ORDER(2, 5)
        ORDER(3, 4) ORDER(3, 5)
        ORDER(4, 5)
        /* Rounding may have left the plane (sum != 0): walk back along the largest or smallest remainders. */
        WRAP(0) WRAP(1) WRAP(2) WRAP(3) WRAP(4) WRAP(5)
        key[p] = FIELD(0) | FIELD(1) | FIELD(2) | FIELD(3) | FIELD(4)
            | (uint64_t)(uint32_t)(rank0 | rank1 << 3 | rank2 << 6 | rank3 << 9 | rank4 << 12);
        /* Sorted remainders (a network of 12 comparators) give the barycentric coordinates as differences. */
        SORT(1, 2) SORT(4, 5) SORT(0, 2) SORT(3, 5) SORT(0, 1) SORT(3, 4) SORT(2, 5) SORT(0, 3) SORT(1, 4)
        SORT(2, 4) SORT(1, 3) SORT(2, 3)
        bary[0][p] = STEPS(1 + v5 - v0);
        bary[1][p] = STEPS(v4 - v5);
        bary[2][p] = STEPS(v3 - v4);
        bary[3][p] = STEPS(v2 - v3);
        bary[4][p] = STEPS(v1 - v2);
        bary[5][p] = STEPS(v0 - v1);
    }
    for (ptrdiff_t p = 0; p < count; p++)
        for (int k = 0; k < CORNERS; k++)
            weight[CORNERS * p + k] = (uint16_t)bary[k][p];
}

/* A simplex's line of 16 floats: what its corners hold in 0..5, what was splatted to them in 8..13.
   One cache line, so a pixel that is sliced, updated and splatted again touches memory once. */
enum { LINE = 16, SUMS = 8 };

/* A pixel's six weights as floats; lanes 6 and 7 are the next pixel's first two. */
#define WEIGHTS(weight) \
    __builtin_convertvector(__builtin_convertvector(*(const Shorts8Anywhere *)(weight), Ints8), Floats8)

/* value[p] = sum over corners of weight * what the corner holds. Lanes 6 and 7 of what corners hold are 0. */
MULTIVERSION(void, slice_row,
             (const int32_t *restrict simplex, const uint16_t *restrict weight, const float *restrict lines,
              ptrdiff_t count, float *restrict value),
             (simplex, weight, lines, count, value))
{
    ptrdiff_t p = 0;
#ifdef BGKIT_VECTORS
    /* Eight pixels' products at a time are transposed while they are added: 4 instructions a pixel in place of 12. */
    for (; p + 8 <= count; p += 8) {
        Floats8 at[8];
        for (int i = 0; i < 8; i++)
            at[i] = *(const Floats8Anywhere *)(lines + (ptrdiff_t)LINE * simplex[p + i]) * WEIGHTS(weight + CORNERS * (p + i));
        for (int i = 0; i < 8; i += 2)
            at[i] = __builtin_shufflevector(at[i], at[i + 1], 0, 8, 1, 9, 4, 12, 5, 13)
                  + __builtin_shufflevector(at[i], at[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
        for (int i = 0; i < 8; i += 4)
            at[i] = __builtin_shufflevector(at[i], at[i + 2], 0, 1, 8, 9, 4, 5, 12, 13)
                  + __builtin_shufflevector(at[i], at[i + 2], 2, 3, 10, 11, 6, 7, 14, 15);
        at[0] = __builtin_shufflevector(at[0], at[4], 0, 1, 2, 3, 8, 9, 10, 11)
              + __builtin_shufflevector(at[0], at[4], 4, 5, 6, 7, 12, 13, 14, 15);
        *(Floats8Anywhere *)(value + p) = at[0];
    }
#endif
    for (; p < count; p++) {
        const float *line = lines + (ptrdiff_t)LINE * simplex[p];
        const uint16_t *w = weight + CORNERS * p;
        float a = w[0] * line[0] + w[2] * line[2], b = w[1] * line[1] + w[3] * line[3];
        float c = w[4] * line[4], d = w[5] * line[5];
        value[p] = ((a + c) + (b + d));
    }
}

/* Add weight * value[p] to the sums of the corners. Lanes 6 and 7 of the sums are never read. */
MULTIVERSION(void, splat_row,
             (const int32_t *restrict simplex, const uint16_t *restrict weight, const float *restrict value,
              ptrdiff_t count, float *restrict lines),
             (simplex, weight, value, count, lines))
{
    for (ptrdiff_t p = 0; p < count; p++) {
        float *sums = lines + (ptrdiff_t)LINE * simplex[p] + SUMS;
#ifdef BGKIT_VECTORS
        *(Floats8Anywhere *)sums += value[p] * WEIGHTS(weight + CORNERS * p);
#else
        for (int k = 0; k < CORNERS; k++)
            sums[k] += weight[CORNERS * p + k] * value[p];
#endif
    }
}

/* out[c] = taps[0] * rows[0][c] + sum over t of taps[t] * (rows[-t][c] + rows[t][c]), where rows[t] lies `stride` floats
   on: stride 1 blurs along a row padded on both sides, stride N down a column. `above` and `below` limit the reach. */
MULTIVERSION(void, blur_row,
             (const float *restrict middle, ptrdiff_t stride, const float *restrict taps, ptrdiff_t above,
              ptrdiff_t below, ptrdiff_t count, float *restrict out),
             (middle, stride, taps, above, below, count, out))
{
    ptrdiff_t both = above < below ? above : below, t = 1;
    for (ptrdiff_t c = 0; c < count; c++)
        out[c] = taps[0] * middle[c];
    for (; t + 3 <= both; t += 4) { /* four taps to each side at a time: `out` is read and written a quarter as often */
        const float *restrict up = middle - t * stride, *restrict down = middle + t * stride;
        const float tap0 = taps[t], tap1 = taps[t + 1], tap2 = taps[t + 2], tap3 = taps[t + 3];
        for (ptrdiff_t c = 0; c < count; c++)
            out[c] += (tap0 * (up[c] + down[c]) + tap1 * (up[c - stride] + down[c + stride]))
                + (tap2 * (up[c - 2 * stride] + down[c + 2 * stride]) + tap3 * (up[c - 3 * stride] + down[c + 3 * stride]));
    }
    for (; t <= above || t <= below; t++) {
        if (t <= above)
            for (ptrdiff_t c = 0; c < count; c++)
                out[c] += taps[t] * middle[c - t * stride];
        if (t <= below)
            for (ptrdiff_t c = 0; c < count; c++)
                out[c] += taps[t] * middle[c + t * stride];
    }
}

/* exp(x) for x <= 0 within 2 ulp, 0 below -80: Cody and Waite's reduction and a polynomial of degree 6. */
static inline float exp_negative(float x)
{
    const float magic = 12582912.0f;
    float y = x < -80.0f ? -80.0f : x;
    float n = (y * 1.44269504f + magic) - magic;
    float f = (y - n * 0.693359375f) + n * 2.12194440e-4f;
    float e = 1 + f * (1 + f * (0.5f + f * (0.166666655f + f * (0.0416657962f + f * (0.00833345205f + f * 0.00139819994f)))));
    union { int32_t bits; float value; } power;
    power.bits = ((int32_t)n + 127) << 23;
    return x < -80.0f ? 0.0f : e * power.value;
}

/* One mean-field update of Q1 - Q0 (Kraehenbuehl and Koltun 2011, algorithm 1, for two labels), and what of it to splat
   for the next one. Return the largest change.

   The log odds are the unary's plus both messages, and Q1 - Q0 = tanh(log odds / 2), from |log odds|, so that exchanging
   the labels negates the result bit for bit. */
MULTIVERSION(float, update_row,
             (const float *restrict unary, const float *restrict bilateral, const float *restrict norm,
              float bilateral_weight, const float *restrict spatial, const float *restrict norm_col,
              float spatial_weight, ptrdiff_t count, float *restrict balance, float *restrict splatted),
             (unary, bilateral, norm, bilateral_weight, spatial, norm_col, spatial_weight, count, balance, splatted))
{
    int32_t largest = 0; /* as bits: floats that are not negative are ordered like integers, which vectorizes */
    union { int32_t bits; float value; } change;
    for (ptrdiff_t p = 0; p < count; p++) {
        float odds = unary[p] + bilateral_weight * norm[p] * bilateral[p] + spatial_weight * norm_col[p] * spatial[p];
        float e = exp_negative(-fabsf(odds));
        float next = copysignf((1 - e) / (1 + e), odds);
        change.value = fabsf(next - balance[p]);
        largest = change.bits > largest ? change.bits : largest;
        balance[p] = next;
        splatted[p] = norm[p] * next;
    }
    change.bits = largest;
    return change.value;
}

/* Sum the Gaussian of the distance to each of `points` times its value, for `count` <= CHUNK places from `start` on.
   feature: five runs of `points` floats, divided by their standard deviations. */
MULTIVERSION(void, sum_pairs,
             (const float *restrict feature, const float *restrict value, ptrdiff_t points, ptrdiff_t start,
              ptrdiff_t count, float *restrict sum),
             (feature, value, points, start, count, sum))
{
    const float *restrict f0 = feature + start, *restrict f1 = f0 + points, *restrict f2 = f1 + points;
    const float *restrict f3 = f2 + points, *restrict f4 = f3 + points;
    for (ptrdiff_t p = 0; p < count; p++)
        sum[p] = 0;
    for (ptrdiff_t j = 0; j < points; j++) {
        const float g0 = feature[j], g1 = feature[points + j], g2 = feature[2 * points + j];
        const float g3 = feature[3 * points + j], g4 = feature[4 * points + j], x = value[j];
        for (ptrdiff_t p = 0; p < count; p++) {
            float d0 = f0[p] - g0, d1 = f1[p] - g1, d2 = f2[p] - g2, d3 = f3[p] - g3, d4 = f4[p] - g4;
            sum[p] += x * exp_negative(-0.5f * (d0 * d0 + d1 * d1 + d2 * d2 + d3 * d3 + d4 * d4));
        }
    }
}

#endif
