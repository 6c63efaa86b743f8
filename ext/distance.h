/* Distances to the nearest marked pixel, as far as they matter: by columns first, then along rows (A. Meijster,
 * J. Roerdink, W. Hesselink, "A general algorithm for computing distance transforms in linear time", 2000), where only
 * the columns count that have a mark near enough. */
#ifndef BGKIT_DISTANCE_H
#define BGKIT_DISTANCE_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "multiversion.h"

/* One row's distances to the nearest mark in each column, from the row's before it (NULL: none) and its own so far. */
MULTIVERSION(void, along_columns,
             (const uint8_t *marks, const uint16_t *before, uint16_t most, ptrdiff_t cols, uint16_t *restrict own),
             (marks, before, most, cols, own))
{
    for (ptrdiff_t col = 0; col < cols; col++) {
        const uint16_t farther = before ? (uint16_t)(before[col] + 1) : most, far = farther < most ? farther : most;
        own[col] = marks[col] ? 0 : far;
    }
}

/* The same on the way back, where `own` holds the distances from before. */
MULTIVERSION(void, back_along_columns, (const uint16_t *behind, ptrdiff_t cols, uint16_t *restrict own),
             (behind, cols, own))
{
    for (ptrdiff_t col = 0; col < cols; col++) {
        const uint16_t farther = (uint16_t)(behind[col] + 1);
        own[col] = farther < own[col] ? farther : own[col];
    }
}

MULTIVERSION(void, take_roots,
             (const uint16_t *vertical, const int32_t *square, float farthest, ptrdiff_t cols, float *restrict out),
             (vertical, square, farthest, cols, out))
{
    for (ptrdiff_t col = 0; col < cols; col++) {
        const float distance = vertical[col] ? sqrtf((float)square[col]) : 0.0f;
        out[col] = distance < farthest ? distance : farthest;
    }
}

/* Squared distances along one row from those in its columns, which count below `most`; farther away it is most^2.
 * Between marked pixels it is not computed.
 * `stack` holds 2 cols numbers: the columns whose parabolas are the lowest somewhere, and where each begins to be.
 * Return how many there are. */
static inline ptrdiff_t along_row(const uint16_t *vertical, uint16_t most, ptrdiff_t cols, int32_t *stack,
                                  int32_t *square)
{
    int32_t *lowest = stack, *start = stack + cols;
    ptrdiff_t top = -1;
    for (ptrdiff_t col = 0; col < cols; col++) {
        if (vertical[col] >= most
            || (vertical[col] == 0 && col > 0 && col + 1 < cols && vertical[col - 1] + vertical[col + 1] == 0))
            continue;
        const int32_t height = (int32_t)vertical[col] * vertical[col];
        int32_t from = 0;
        while (top >= 0) {
            const int32_t other = lowest[top], low = (int32_t)vertical[other] * vertical[other];
            /* Both parabolas meet at `meet`, rounded down: from the next column on this one is lower. */
            const int64_t over = (int64_t)col * col - (int64_t)other * other + height - low, wide = 2 * (col - other);
            const int64_t meet = over >= 0 ? over / wide : -((-over + wide - 1) / wide);
            from = (int32_t)(meet + 1 > cols ? cols : meet + 1 < 0 ? 0 : meet + 1);
            if (from > start[top])
                break;
            top--;
            from = 0;
        }
        if (from < cols) {
            top++;
            lowest[top] = (int32_t)col;
            start[top] = from;
        }
    }
    for (ptrdiff_t k = 0; k <= top; k++) {
        const int32_t middle = lowest[k], height = (int32_t)vertical[middle] * vertical[middle];
        const int32_t end = k < top ? start[k + 1] : (int32_t)cols;
        const int32_t near = middle - most > start[k] ? middle - most : start[k];
        const int32_t far = middle + most < end ? middle + most : end;
        int32_t col = start[k];
        for (; col < near && col < end; col++)
            square[col] = most * most;
        for (; col < far; col++)
            square[col] = (col - middle) * (col - middle) + height;
        for (; col < end; col++)
            square[col] = most * most;
    }
    return top + 1;
}

#endif
