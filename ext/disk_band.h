/* The body of disk.h for one type of value; included once for each.

   `half`: half-length of the chord at each distance 0..radius from the middle. `scratch`: `levels` rows of
   DISK_STRIP + 2 radius. Writes what is wanted of the rows `first` to `last` - 1 of `out`; `wanted` has a flag for each
   DISK_BLOCK columns of a row. */
MULTIVERSION(void, DISK_BAND,
             (const DISK_VALUE *mask, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t first, ptrdiff_t last,
              ptrdiff_t radius, const int32_t *half, const uint8_t *wanted, ptrdiff_t levels,
              DISK_VALUE *restrict scratch, DISK_VALUE *restrict out),
             (mask, rows, cols, first, last, radius, half, wanted, levels, scratch, out))
{
    const ptrdiff_t wide = DISK_STRIP + 2 * radius, blocks = (cols + DISK_BLOCK - 1) / DISK_BLOCK;
    for (ptrdiff_t left = 0; left < cols; left += DISK_STRIP) {
        const ptrdiff_t strip = DISK_LEAST(DISK_STRIP, cols - left);
        ptrdiff_t begun = last, ended = first; /* the rows of this strip that want anything */
        for (ptrdiff_t row = first; row < last; row++) {
            const uint8_t *flag = wanted + row * blocks + left / DISK_BLOCK;
            for (ptrdiff_t begin = 0; begin < strip; begin += DISK_BLOCK, flag++) {
                if (!*flag)
                    continue;
                DISK_VALUE *target = out + row * cols + left;
                for (ptrdiff_t i = begin; i < DISK_LEAST(begin + DISK_BLOCK, strip); i++)
                    target[i] = DISK_HIGHEST;
                begun = DISK_LEAST(begun, row);
                ended = row + 1;
            }
        }
        if (begun >= ended)
            continue;
        for (ptrdiff_t row = begun - radius < 0 ? 0 : begun - radius; row < DISK_LEAST(ended + radius, rows); row++) {
            for (ptrdiff_t i = 0; i < strip + 2 * radius; i++) {
                ptrdiff_t col = left + i - radius;
                scratch[i] = col < 0 || col >= cols ? DISK_HIGHEST : mask[row * cols + col];
            }
            for (ptrdiff_t k = 1; k < levels; k++) {
                const DISK_VALUE *below = scratch + (k - 1) * wide, *shifted = below + ((ptrdiff_t)1 << (k - 1));
                DISK_VALUE *level = scratch + k * wide;
                for (ptrdiff_t i = 0; i <= strip + 2 * radius - ((ptrdiff_t)1 << k); i++)
                    level[i] = DISK_LEAST(below[i], shifted[i]);
            }
            for (ptrdiff_t away = 0; away <= radius; away++) {
                const ptrdiff_t length = 2 * half[away] + 1;
                ptrdiff_t k = 0;
                while ((ptrdiff_t)2 << k <= length)
                    k++;
                const DISK_VALUE *start = scratch + k * wide + radius - half[away];
                const DISK_VALUE *end = start + length - ((ptrdiff_t)1 << k);
                for (int side = 0; side < (away ? 2 : 1); side++) {
                    const ptrdiff_t to = side ? row - away : row + away;
                    if (to < begun || to >= ended)
                        continue;
                    DISK_VALUE *target = out + to * cols + left;
                    const uint8_t *flag = wanted + to * blocks + left / DISK_BLOCK;
                    for (ptrdiff_t begin = 0; begin < strip; flag++) {
                        ptrdiff_t stop = begin + DISK_BLOCK; /* of a run of blocks that are wanted */
                        if (!*flag) {
                            begin = stop;
                            continue;
                        }
                        for (; stop < strip && flag[1]; flag++)
                            stop += DISK_BLOCK;
                        stop = DISK_LEAST(stop, strip);
                        for (ptrdiff_t i = begin; i < stop; i++) {
                            DISK_VALUE least = DISK_LEAST(start[i], end[i]);
                            target[i] = DISK_LEAST(target[i], least);
                        }
                        begin = stop;
                    }
                }
            }
        }
    }
}

#undef DISK_VALUE
#undef DISK_HIGHEST
#undef DISK_BAND
