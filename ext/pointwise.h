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
    const float turns = t * 1.44269504f;
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
    const int32_t bits = (127 - (whole < 127 ? whole : 127)) << 23;
    float scale;
    memcpy(&scale, &bits, 4);
    return curve * scale;
}

/* Linear light times slope^2.4, on sRGB-encoded values: slope (x + 0.055) - 0.055, and a line through 0 where value or
   result lies below the toe, which is within 0.006 of the truth down to a fourth of the light. The slope lies between
   those of two rows of the grid, `down` (0..1) of the way from `above` to `below`.
   What comes above `knee` runs softly against 1, slope 1 at the knee, all channels by one factor. */
MULTIVERSION(void, relight_row,
             (const float *rgb, ptrdiff_t cols, const float *above, const float *below, float down, float knee,
              float *restrict out),
             (rgb, cols, above, below, down, knee, out))
{
    const float toe = 0.04045f, per_toe = 1.0f / 0.04045f, room = 1.0f - knee, per_room = room > 0 ? 1.0f / room : 0.0f;
    float factor[3 * RUN];
    for (ptrdiff_t start = 0; start < cols; start += RUN) {
        const ptrdiff_t length = cols - start < RUN ? cols - start : RUN;
        const float *x = rgb + 3 * start, *upper = above + 3 * start, *lower = below + 3 * start;
        float *made = out + 3 * start;
        int bright = 0, dark = 0; /* or-ed, for an extreme value would be looked for one by one */
        for (ptrdiff_t i = 0; i < 3 * length; i++) {
            const float a = upper[i] + down * (lower[i] - upper[i]), curve = a * x[i] + 0.055f * (a - 1.0f);
            made[i] = curve;
            bright |= curve > knee;
            dark |= (curve <= toe) | (x[i] <= toe);
        }
        const ptrdiff_t again = dark ? 3 * length : 0;
        for (ptrdiff_t i = 0; i < again; i++) {
            const float a = upper[i] + down * (lower[i] - upper[i]), offset = 0.055f * (a - 1.0f);
            const float line = a < 1.0f ? toe * a / (toe - offset) : a + offset * per_toe;
            made[i] = (a < 1.0f ? made[i] : x[i]) > toe ? made[i] : line * x[i];
        }
        if (!bright)
            continue;
        for (ptrdiff_t i = 0; i < length; i++) {
            const float red = made[3 * i], green = made[3 * i + 1], blue = made[3 * i + 2];
            float peak = red > green ? red : green;
            peak = peak > blue ? peak : blue;
            peak = peak > knee ? peak : knee; /* which is bent to itself */
            const float share = (knee + room * (1.0f - falling((peak - knee) * per_room))) / peak;
            for (int channel = 0; channel < 3; channel++)
                factor[3 * i + channel] = share;
        }
        for (ptrdiff_t i = 0; i < 3 * length; i++) {
            const float value = made[i] * factor[i];
            made[i] = value < 1.0f ? value : 1.0f;
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
    float ground[3 * RUN], opaque[3 * RUN], clear[3 * RUN]; /* of each channel, so that the last loop has no steps */
    for (int k = 0; step == 0 && k < 3 * RUN; k++)
        ground[k] = behind[k % 3];
    for (ptrdiff_t start = 0; start < cols; start += RUN) {
        const ptrdiff_t length = cols - start < RUN ? cols - start : RUN;
        const float *color = subject + 3 * start, *back = step ? behind + 3 * start : ground;
        for (ptrdiff_t i = 0; i < length; i++) {
            const float share = alpha[start + i], rest = (1.0f - share) * (shade ? shade[start + i] : 1.0f);
            for (int channel = 0; channel < 3; channel++) {
                opaque[3 * i + channel] = share;
                clear[3 * i + channel] = rest;
            }
        }
        for (ptrdiff_t i = 0; i < 3 * length; i++)
            out[3 * start + i] = color[i] * opaque[i] + back[i] * clear[i];
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

/* Values 0..1 rounded to 8 bits; returns whether one is no number. */
MULTIVERSION(int, bytes_row, (const float *values, ptrdiff_t count, uint8_t *restrict out), (values, count, out))
{
    int nan = 0;
    for (ptrdiff_t i = 0; i < count; i++) {
        float value = values[i] * 255.0f + 0.5f;
        nan |= value != value;
        value = value > 0 ? value : 0;
        value = value < 255 ? value : 255;
        out[i] = (uint8_t)(int32_t)value;
    }
    return nan;
}

/* Add to `counts` the pixels of alpha below `faint`, those of them with all three channels from `full` on, the pixels of
   alpha above `sure`, and those of them with two channels or more from `full` on. */
MULTIVERSION(void, clipped_row,
             (const float *rgb, const float *alpha, ptrdiff_t cols, float full, float faint, float sure, int64_t *counts),
             (rgb, alpha, cols, full, faint, sure, counts))
{
    int32_t ground = 0, burnt_ground = 0, subject = 0, burnt_subject = 0;
    for (ptrdiff_t i = 0; i < cols; i++) {
        const int32_t channels = (rgb[3 * i] >= full) + (rgb[3 * i + 1] >= full) + (rgb[3 * i + 2] >= full);
        const int32_t clear = alpha[i] < faint, solid = alpha[i] > sure;
        ground += clear, burnt_ground += clear & (channels == 3);
        subject += solid, burnt_subject += solid & (channels >= 2);
    }
    counts[0] += ground, counts[1] += burnt_ground, counts[2] += subject, counts[3] += burnt_subject;
}

/* Samples of 8 bits as shares of 255, correctly rounded. */
MULTIVERSION(void, shares_row, (const uint8_t *samples, ptrdiff_t count, float *restrict out), (samples, count, out))
{
    for (ptrdiff_t i = 0; i < count; i++)
        out[i] = (float)samples[i] / 255.0f;
}

#endif
