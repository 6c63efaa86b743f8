/* One row of a mask that is an affine function of color, its coefficients known on a coarser grid. */
#ifndef BGKIT_AFFINE_H
#define BGKIT_AFFINE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "multiversion.h"

/* `above` and `below`: rows of the grid, 4 coefficients (r, g, b, constant) each; `down` 0..1 between them. `left`: for
   each pixel the column of the grid to its left, `right` 0..1 from there to the next. `blend`: a row of the grid.
   `rgb` interleaved. Writes `cols` values clipped to 0..1; where `wanted` is not NULL, between the same two columns of
   the grid only if it is 1 for one of the pixels. */
MULTIVERSION(void, affine_row,
             (const float *above, const float *below, float down, ptrdiff_t grid_cols, const int32_t *left,
              const float *right, const float *rgb, ptrdiff_t cols, const uint8_t *wanted, float *restrict blend,
              float *restrict out),
             (above, below, down, grid_cols, left, right, rgb, cols, wanted, blend, out))
{
    if (wanted && !memchr(wanted, 1, (size_t)cols))
        return;
    for (ptrdiff_t i = 0; i < 4 * grid_cols; i++)
        blend[i] = above[i] + down * (below[i] - above[i]);
    for (ptrdiff_t i = 0, end; i < cols; i = end) { /* pixels between the same two columns of the grid: no gathering */
        const float *a = blend + 4 * left[i], *b = left[i] + 1 < grid_cols ? a + 4 : a;
        const float r = a[0], g = a[1], u = a[2], c = a[3];
        const float more_r = b[0] - r, more_g = b[1] - g, more_u = b[2] - u, more_c = b[3] - c;
        for (end = i + 1; end < cols && left[end] == left[i];)
            end++;
        if (wanted) {
            ptrdiff_t first = i;
            while (first < end && !wanted[first])
                first++;
            if (first == end)
                continue;
        }
        for (ptrdiff_t k = i; k < end; k++) {
            float value = (r + right[k] * more_r) * rgb[3 * k] + (g + right[k] * more_g) * rgb[3 * k + 1]
                          + (u + right[k] * more_u) * rgb[3 * k + 2] + (c + right[k] * more_c);
            value = value > 0 ? value : 0;
            out[k] = value < 1 ? value : 1;
        }
    }
}

#endif
