/* Rows of stages that treat each pixel by itself: each is one pass from its input to its output. */
#ifndef BGKIT_POINTWISE_H
#define BGKIT_POINTWISE_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "multiversion.h"

enum { RUN = 128 }; /* pixels at a time, so that what is between stays in the first-level cache */

/* exp(-t) for t >= 0, within 3e-7: 2^-whole by its bits, the rest by a polynomial (Taylor, 2^-f for f in 0..1). */
static inline float falling(float t)
{
    float turns = t * 1.44269504f;
    turns = turns < 120.0f ? turns : 120.0f;
    const int32_t whole = (int32_t)turns;
    const float f = ((float)whole - turns) * 0.69314718f; /* -ln 2 .. 0 */
    float curve = 1.0f / 5040;
    curve = curve * f + 1.0f / 720;
    curve = curve * f + 1.0f / 120;
    curve = curve * f + 1.0f / 24;
    curve = curve * f + 1.0f / 6;
    curve = curve * f + 0.5f;
    curve = curve * f + 1.0f;
    curve = curve * f + 1.0f;
    const int32_t bits = (127 - whole) << 23;
    float scale;
    memcpy(&scale, &bits, 4);
    return curve * scale;
}

/* Between two rows of a grid of (r, g, b), `down` 0..1 from the first to the second, one color for each pixel: `left` is
   the column of the grid before the pixel, `right` 0..1 from there to the next. `blend`: a row of the grid. */
MULTIVERSION(void, spread_row,
             (const float *above, const float *below, float down, ptrdiff_t grid_cols, const int32_t *left,
              const float *right, ptrdiff_t cols, float *restrict blend, float *restrict out),
             (above, below, down, grid_cols, left, right, cols, blend, out))
{
    for (ptrdiff_t i = 0; i < 3 * grid_cols; i++)
        blend[i] = above[i] + down * (below[i] - above[i]);
    for (ptrdiff_t i = 0; i < cols; i++) {
        const float *a = blend + 3 * left[i], *b = left[i] + 1 < grid_cols ? a + 3 : a;
        for (int channel = 0; channel < 3; channel++)
            out[3 * i + channel] = a[channel] + right[i] * (b[channel] - a[channel]);
    }
}

/* Linear light times slope^2.4 on sRGB-encoded values: slope (x + 0.055) - 0.055, and a line through 0 where value or
   result lies below the toe, which is within 0.006 of the truth down to a fourth of the light.
   What comes above `knee` runs softly against 1, slope 1 at the knee, all channels by one factor. */
MULTIVERSION(void, relight_row,
             (const float *rgb, ptrdiff_t cols, const float *slope, float knee, float *restrict out),
             (rgb, cols, slope, knee, out))
{
    const float toe = 0.04045f, per_toe = 1.0f / 0.04045f, room = 1.0f - knee, per_room = room > 0 ? 1.0f / room : 0.0f;
    float factor[RUN];
    for (ptrdiff_t start = 0; start < cols; start += RUN) {
        const ptrdiff_t length = cols - start < RUN ? cols - start : RUN;
        const float *x = rgb + 3 * start, *a = slope + 3 * start;
        float *made = out + 3 * start, highest = 0;
        for (ptrdiff_t i = 0; i < 3 * length; i++) {
            const float offset = 0.055f * (a[i] - 1.0f), curve = a[i] * x[i] + offset;
            const float line = a[i] < 1.0f ? toe * a[i] / (toe - offset) : a[i] + offset * per_toe;
            const float higher = a[i] < 1.0f ? curve : x[i];
            made[i] = higher > toe ? curve : line * x[i];
        }
        for (ptrdiff_t i = 0; i < 3 * length; i++)
            highest = made[i] > highest ? made[i] : highest;
        if (!(highest > knee))
            continue;
        for (ptrdiff_t i = 0; i < length; i++) {
            float peak = made[3 * i] > made[3 * i + 1] ? made[3 * i] : made[3 * i + 1];
            peak = peak > made[3 * i + 2] ? peak : made[3 * i + 2];
            const float over = peak - knee, bent = knee + room * (1.0f - falling((over > 0 ? over : 0) * per_room));
            factor[i] = over > 0 ? bent / peak : 1.0f;
        }
        for (ptrdiff_t i = 0; i < length; i++)
            for (int channel = 0; channel < 3; channel++) {
                const float value = made[3 * i + channel] * factor[i];
                made[3 * i + channel] = value < 1.0f ? value : 1.0f;
            }
    }
}

/* Draw both ends of opacity in: none up to `clear`, as it is from three times that, a smooth step between; the upper end
   likewise by what lacks to 1. A limit of 0 leaves its end. */
MULTIVERSION(void, levels_row,
             (const float *alpha, ptrdiff_t cols, float clear, float solid, float *restrict out),
             (alpha, cols, clear, solid, out))
{
    const float per_clear = clear > 0 ? 0.5f / clear : 0.0f, per_solid = solid > 0 ? 0.5f / solid : 0.0f;
    for (ptrdiff_t i = 0; i < cols; i++) {
        float share = alpha[i], t = (share - clear) * per_clear;
        t = t > 0 ? t : 0;
        t = t < 1 ? t : 1;
        share = share < 3.0f * clear ? share * t * t * (3.0f - 2.0f * t) : share;
        float rest = 1.0f - share, u = (rest - solid) * per_solid;
        u = u > 0 ? u : 0;
        u = u < 1 ? u : 1;
        rest = rest < 3.0f * solid ? rest * u * u * (3.0f - 2.0f * u) : rest;
        out[i] = 1.0f - rest;
    }
}

/* alpha subject + (1 - alpha) shade behind; `step` 0 where one color is behind every pixel, else 3. No shade: NULL. */
MULTIVERSION(void, over_row,
             (const float *subject, const float *alpha, const float *behind, ptrdiff_t step, const float *shade,
              ptrdiff_t cols, float *restrict out),
             (subject, alpha, behind, step, shade, cols, out))
{
    float ground[3 * RUN];
    for (int k = 0; step == 0 && k < 3 * RUN; k++)
        ground[k] = behind[k % 3];
    for (ptrdiff_t start = 0; start < cols; start += RUN) {
        const ptrdiff_t length = cols - start < RUN ? cols - start : RUN;
        const float *color = subject + 3 * start, *back = step ? behind + 3 * start : ground;
        for (ptrdiff_t i = 0; i < length; i++) {
            const float opaque = alpha[start + i], clear = (1.0f - opaque) * (shade ? shade[start + i] : 1.0f);
            for (int channel = 0; channel < 3; channel++)
                out[3 * (start + i) + channel] = color[3 * i + channel] * opaque + back[3 * i + channel] * clear;
        }
    }
}

/* Color and opacity side by side. */
MULTIVERSION(void, beside_row,
             (const float *color, const float *alpha, ptrdiff_t cols, float *restrict out),
             (color, alpha, cols, out))
{
    for (ptrdiff_t i = 0; i < cols; i++) {
        for (int channel = 0; channel < 3; channel++)
            out[4 * i + channel] = color[3 * i + channel];
        out[4 * i + 3] = alpha[i];
    }
}

#endif
