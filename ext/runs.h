/* The matting Laplacian times a vector, in float32, by runs: pixels that lie beside one another in a row.
 *
 * A run is cut into groups of eight lanes, the last one filled up. A group's values lie together: for each of the 25
 * places around a pixel (see stencil.h) eight of them, 0 where the neighbor is known or the lane is none. The vector
 * stands on a grid with a margin of known pixels, so the neighbors of eight pixels are eight numbers in a row. */
#ifndef BGKIT_RUNS_H
#define BGKIT_RUNS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "multiversion.h"

enum { LANES = 8, AROUND = 25 };

/* Products of `groups` groups; `x` is the grid at the first pixel, of rows of `stride`. */
MULTIVERSION(void, run_times,
             (const float *restrict values, ptrdiff_t groups, ptrdiff_t stride, const float *restrict x,
              float *restrict out),
             (values, groups, stride, x, out))
{
    for (ptrdiff_t group = 0; group < groups; group++) {
        const float *own = values + group * AROUND * LANES, *at = x + group * LANES;
        float sum[LANES] = {0};
        for (int k = 0; k < AROUND; k++) {
            const float *beside = at + (k / 5 - 2) * stride + k % 5 - 2;
            for (int lane = 0; lane < LANES; lane++)
                sum[lane] += own[k * LANES + lane] * beside[lane];
        }
        memcpy(out + group * LANES, sum, sizeof(sum));
    }
}

/* Put one pixel's 13 values where its own and its neighbors' groups have them; `at` points to its number, `lane` says
 * which lane each number has. */
static inline void unfold(const double *own, const int32_t *at, ptrdiff_t stride, const int32_t *lane, float *values)
{
    const ptrdiff_t here = lane[*at];
    values[here / LANES * AROUND * LANES + 12 * LANES + here % LANES] = (float)own[0];
    for (int rows = 0; rows <= 2; rows++)
        for (int cols = rows ? -2 : 1; cols <= 2; cols++) {
            const int32_t other = at[rows * stride + cols];
            if (other < 0)
                continue;
            const int k = 5 * rows + cols;
            const ptrdiff_t there = lane[other];
            values[here / LANES * AROUND * LANES + (12 + k) * LANES + here % LANES] = (float)own[k];
            values[there / LANES * AROUND * LANES + (12 - k) * LANES + there % LANES] = (float)own[k];
        }
}

#endif
