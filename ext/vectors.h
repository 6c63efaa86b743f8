/* Long arrays: inner products of colors side by side in memory, the least and the greatest value. */
#ifndef BGKIT_VECTORS_H
#define BGKIT_VECTORS_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "multiversion.h"

enum { AT_ONCE = 256 }; /* colors, whose products stay in the first-level cache */

/* Inner products of colors a, b; `step` is 0 where b is one color for all, else 3. */
MULTIVERSION(void, dot_colors,
             (const float *restrict a, const float *restrict b, ptrdiff_t step, ptrdiff_t count, float *restrict out),
             (a, b, step, count, out))
{
    float same[3 * AT_ONCE], product[3 * AT_ONCE];
    for (int k = 0; step == 0 && k < 3 * AT_ONCE; k++)
        same[k] = b[k % 3];
    for (ptrdiff_t start = 0; start < count; start += AT_ONCE) {
        const ptrdiff_t length = count - start < AT_ONCE ? count - start : AT_ONCE;
        const float *left = a + 3 * start, *right = step ? b + 3 * start : same;
        for (ptrdiff_t i = 0; i < 3 * length; i++)
            product[i] = left[i] * right[i];
        for (ptrdiff_t i = 0; i < length; i++)
            out[start + i] = product[3 * i] + product[3 * i + 1] + product[3 * i + 2];
    }
}

/* The least and the greatest of `count` values; both are NaN where a value is. */
MULTIVERSION(void, find_extremes, (const float *restrict values, ptrdiff_t count, float *restrict found),
             (values, count, found))
{
    enum { LANES = 64 };
    float low[LANES], high[LANES];
    int32_t nan[LANES] = {0};
    for (int lane = 0; lane < LANES; lane++)
        low[lane] = high[lane] = values[0];
    ptrdiff_t start = 0;
    for (; start + LANES <= count; start += LANES)
        for (int lane = 0; lane < LANES; lane++) {
            const float value = values[start + lane];
            low[lane] = value < low[lane] ? value : low[lane];
            high[lane] = value > high[lane] ? value : high[lane];
            nan[lane] |= value != value;
        }
    for (; start < count; start++) {
        const float value = values[start];
        low[0] = value < low[0] ? value : low[0];
        high[0] = value > high[0] ? value : high[0];
        nan[0] |= value != value;
    }
    for (int lane = 1; lane < LANES; lane++) {
        low[0] = low[lane] < low[0] ? low[lane] : low[0];
        high[0] = high[lane] > high[0] ? high[lane] : high[0];
        nan[0] |= nan[lane];
    }
    found[0] = nan[0] ? (float)NAN : low[0];
    found[1] = nan[0] ? (float)NAN : high[0];
}

#endif
