/* One row of a picture made narrower, each new pixel the mean of the area that it covers. */
#ifndef BGKIT_AREAS_H
#define BGKIT_AREAS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "multiversion.h"

#if defined(BGKIT_VECTORS)
typedef float Color __attribute__((vector_size(16), aligned(4), may_alias)); /* and the next pixel's first channel */
#endif

/* One channel; see narrow_row. The sums of some pixels are under way at once, each in its own order. */
static inline void narrow_gray_row(const float *gray, ptrdiff_t count, const int32_t *first, const int32_t *end,
                                   const float *weight, float *restrict out)
{
    int32_t at = 0;
    for (ptrdiff_t k = 0; k < count; k++) {
        const float *pixel = gray + first[k] - at;
        float sum = 0;
        for (; at < end[k]; at++)
            sum += pixel[at] * weight[at];
        out[k] = sum;
    }
}

/* Pixel k of `out` is the sum of `weight` times the pixels from `first[k]` on; its weights end at `end[k]`. Loads and
 * stores of four floats reach one beyond a color, so the last pixel is done by itself. */
static inline void narrow_row(const float *rgb, ptrdiff_t count, const int32_t *first, const int32_t *end,
                              const float *weight, float *restrict out)
{
    ptrdiff_t k = 0;
    int32_t at = 0;
#if defined(BGKIT_VECTORS)
    for (; k + 1 < count; k++) {
        const float *color = rgb + 3 * (ptrdiff_t)first[k];
        Color sum = *(const Color *)color * weight[at];
        for (at++; at < end[k]; at++) {
            color += 3;
            sum += *(const Color *)color * weight[at];
        }
        *(Color *)(out + 3 * k) = sum;
    }
#endif
    for (; k < count; k++) {
        const float *color = rgb + 3 * (ptrdiff_t)first[k];
        float red = 0, green = 0, blue = 0;
        for (; at < end[k]; at++, color += 3)
            red += color[0] * weight[at], green += color[1] * weight[at], blue += color[2] * weight[at];
        out[3 * k] = red, out[3 * k + 1] = green, out[3 * k + 2] = blue;
    }
}

MULTIVERSION(void, add_row, (const float *restrict row, float weight, ptrdiff_t count, float *restrict sum),
             (row, weight, count, sum))
{
    for (ptrdiff_t i = 0; i < count; i++)
        sum[i] += weight * row[i];
}

#endif
