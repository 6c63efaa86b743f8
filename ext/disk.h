/* Least value within a disk, for a band of rows.

   A disk is a stack of horizontal chords (Urbach and Wilkinson 2008, "Efficient 2-D grayscale morphological
   transformations with arbitrary flat structuring elements"). For each row of the mask, level k of a table holds
   the least of 2^k values in a row; two entries of one level cover any chord. Every chord's least value is then
   handed to the rows above and below which it serves. Per pixel that is 2 radius + 1 chords, in vectors of 8 or
   16 floats: the same time as an exact distance transform at a radius of about 40. */
#ifndef BGKIT_DISK_H
#define BGKIT_DISK_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "multiversion.h"

#define DISK_STRIP 512 /* columns; 2 radius + 1 rows of a strip should stay in the second-level cache */

#define DISK_LEAST(a, b) ((a) < (b) ? (a) : (b))

/* `half`: half-length of the chord at each distance 0..radius from the middle. `sign`: 1 for the least value, -1 for
   the greatest. `scratch`: `levels` rows of DISK_STRIP + 2 radius. Writes rows `first` to `last` - 1 of `out`. */
MULTIVERSION static void disk_band(const float *mask, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t first, ptrdiff_t last,
                                   ptrdiff_t radius, const int32_t *half, ptrdiff_t levels, float sign,
                                   float *restrict scratch, float *restrict out)
{
    const ptrdiff_t wide = DISK_STRIP + 2 * radius;
    for (ptrdiff_t left = 0; left < cols; left += DISK_STRIP) {
        const ptrdiff_t strip = DISK_LEAST(DISK_STRIP, cols - left);
        for (ptrdiff_t row = first; row < last; row++)
            for (ptrdiff_t i = 0; i < strip; i++)
                out[row * cols + left + i] = INFINITY;
        for (ptrdiff_t row = first - radius < 0 ? 0 : first - radius; row < DISK_LEAST(last + radius, rows); row++) {
            for (ptrdiff_t i = 0; i < strip + 2 * radius; i++) {
                ptrdiff_t col = left + i - radius;
                scratch[i] = col < 0 || col >= cols ? INFINITY : sign * mask[row * cols + col];
            }
            for (ptrdiff_t k = 1; k < levels; k++) {
                const float *below = scratch + (k - 1) * wide, *shifted = below + ((ptrdiff_t)1 << (k - 1));
                float *level = scratch + k * wide;
                for (ptrdiff_t i = 0; i <= strip + 2 * radius - ((ptrdiff_t)1 << k); i++)
                    level[i] = DISK_LEAST(below[i], shifted[i]);
            }
            for (ptrdiff_t away = 0; away <= radius; away++) {
                const ptrdiff_t length = 2 * half[away] + 1;
                ptrdiff_t k = 0;
                while ((ptrdiff_t)2 << k <= length)
                    k++;
                const float *start = scratch + k * wide + radius - half[away];
                const float *end = start + length - ((ptrdiff_t)1 << k);
                for (int side = 0; side < (away ? 2 : 1); side++) {
                    const ptrdiff_t to = side ? row - away : row + away;
                    if (to < first || to >= last)
                        continue;
                    float *target = out + to * cols + left;
                    for (ptrdiff_t i = 0; i < strip; i++) {
                        float least = DISK_LEAST(start[i], end[i]);
                        target[i] = DISK_LEAST(target[i], least);
                    }
                }
            }
        }
        if (sign < 0)
            for (ptrdiff_t row = first; row < last; row++)
                for (ptrdiff_t i = 0; i < strip; i++)
                    out[row * cols + left + i] = -out[row * cols + left + i];
    }
}

#endif
