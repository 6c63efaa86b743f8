/* Least value within a disk, for a band of rows, of bytes and of floats: disk_band_byte, disk_band_float; and, for
   masks of 0 and 1, where the disk holds no 0, in a time that does not depend on its radius: disk_across, disk_along.

   A disk is a stack of horizontal chords (Urbach and Wilkinson 2008, "Efficient 2-D grayscale morphological
   transformations with arbitrary flat structuring elements"). For each row of the mask, level k of a table holds
   the least of 2^k values in a row; two entries of one level cover any chord. Every chord's least value is then
   handed to the rows above and below which it serves. Per pixel that is radius + 1 chords, in full vectors; where the
   answer is known already, a block of pixels is passed over. */
#ifndef BGKIT_DISK_H
#define BGKIT_DISK_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "multiversion.h"

#define DISK_STRIP 512 /* columns; 2 radius + 1 rows of a strip should stay in the second-level cache */
#define DISK_BLOCK 128 /* columns that are wanted, or not, together; divides DISK_STRIP */
#define DISK_LEAST(a, b) ((a) < (b) ? (a) : (b))

#define DISK_VALUE uint8_t
#define DISK_HIGHEST UINT8_MAX
#define DISK_BAND disk_band_byte
#include "disk_band.h"

#define DISK_VALUE float
#define DISK_HIGHEST INFINITY
#define DISK_BAND disk_band_float
#include "disk_band.h"

/* A 0 reaches as far up and down a column as the disk's chord is long that lies at its distance from the column. Of
   all 0s in a row the nearest one reaches farthest. So a row is asked first, once, how far its 0s reach in each
   column, and then each column, down and up, how far it is reached from behind: the greatest so far decides.
   (The separable thought behind exact distance transforms, Meijster et al. 2000, for one distance only.)

   disk_across writes for each pixel of the rows `first` to `last` - 1 that half chord plus 1, and 0 where the row's
   0s lie farther than the radius. `half` has radius + 1 entries, below 65535. */
static void disk_across(const uint8_t *mask, ptrdiff_t cols, ptrdiff_t first, ptrdiff_t last, ptrdiff_t radius,
                        const int32_t *half, uint16_t *reach)
{
    for (ptrdiff_t row = first; row < last; row++) {
        const uint8_t *line = mask + row * cols;
        uint16_t *to = reach + row * cols;
        ptrdiff_t away = radius + 1; /* from the last 0 */
        for (ptrdiff_t col = 0; col < cols; col++) {
            away = line[col] ? DISK_LEAST(away + 1, radius + 1) : 0;
            to[col] = (uint16_t)away;
        }
        away = radius + 1;
        for (ptrdiff_t col = cols - 1; col >= 0; col--) {
            away = DISK_LEAST(away + 1, to[col]);
            to[col] = away > radius ? 0 : (uint16_t)(half[away] + 1);
        }
    }
}

/* Write 1 where no 0 reaches a pixel and 0 elsewhere, for the columns `left` to `right` - 1, DISK_STRIP at most. */
MULTIVERSION(void, disk_along,
             (const uint16_t *reach, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t left, ptrdiff_t right,
              uint8_t *restrict out),
             (reach, rows, cols, left, right, out))
{
    uint16_t rest[DISK_STRIP] = {0}; /* rows that are still reached, this one counted in */
    for (ptrdiff_t row = 0; row < rows; row++)
        for (ptrdiff_t col = left; col < right; col++) {
            const uint16_t before = rest[col - left] - (rest[col - left] > 0), here = reach[row * cols + col];
            rest[col - left] = before > here ? before : here;
            out[row * cols + col] = rest[col - left] == 0;
        }
    for (ptrdiff_t i = 0; i < DISK_STRIP; i++)
        rest[i] = 0;
    for (ptrdiff_t row = rows - 1; row >= 0; row--)
        for (ptrdiff_t col = left; col < right; col++) {
            const uint16_t before = rest[col - left] - (rest[col - left] > 0), here = reach[row * cols + col];
            rest[col - left] = before > here ? before : here;
            out[row * cols + col] &= rest[col - left] == 0;
        }
}

#endif
