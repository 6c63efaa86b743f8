/* One tile of one level of multi-level foreground estimation (Germer et al. 2020).
 *
 * For a pixel of alpha a and color I, with f and b the weighted means of its four neighbors' foreground and background
 * and s the sum of their weights, the minimum of (a F + (1 - a) B - I)^2 + s (F - f)^2 + s (B - b)^2 is
 *     F = f + a g r,  B = b + (1 - a) g r,  with r = I - a f - (1 - a) b and g = 1 / (s + a^2 + (1 - a)^2),
 * which, unlike the 2 x 2 inverse, loses nothing to cancellation. Pixels are visited in raster order, each using what
 * is new above and to the left. All of that which does not wait for the left neighbor is done by rows, in vectors.
 */
#ifndef BGKIT_FOREGROUND_H
#define BGKIT_FOREGROUND_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "multiversion.h"

#if defined(__GNUC__) && !defined(__clang__)
#define IGNORE_ALIASES _Pragma("GCC ivdep")
#else
#define IGNORE_ALIASES
#endif

#if defined(BGKIT_VECTORS)
typedef float Color __attribute__((vector_size(16), aligned(4), may_alias)); /* and the next pixel's first channel */
#endif

enum { COLORS = 6, LONGEST = 128 }; /* three of the foreground, three of the background; pixels along a tile */

/* A tile's scratch, in planes of rows x step floats: alpha, 3 of color, 3 of own weights, 4 of neighbors' weights,
 * 6 of the colors sought; then 6 rows of what does not wait. */
enum { ALPHA = 0, IMAGE = 1, TO_F = 4, TO_B = 5, GAIN = 6, UP = 7, DOWN = 8, BEFORE = 9, AFTER = 10, SOUGHT = 11, PLANES = 17 };

/* Written so that GCC makes it a maximum and a minimum instead of two jumps, a third of the sweep's time. */
static inline float clip(float value)
{
    value = value > 0 ? value : 0;
    return value < 1 ? value : 1;
}

/* Add color and count where alpha is over 0.9 (sums 0 to 3) and below 0.1 (4 to 7): in float lanes over short runs. */
MULTIVERSION(void, sum_colors,
             (const float *rgb, const float *alpha, ptrdiff_t cols, double *sums),
             (rgb, alpha, cols, sums))
{
    enum { LANES_SUMMED = 16 };
    for (ptrdiff_t start = 0; start < cols; start += LONGEST) {
        const ptrdiff_t end = cols - start < LONGEST ? cols : start + LONGEST;
        float lanes[8][LANES_SUMMED] = {{0}};
        ptrdiff_t i = start;
        for (; i + LANES_SUMMED <= end; i += LANES_SUMMED)
            for (int lane = 0; lane < LANES_SUMMED; lane++) {
                const float a = alpha[i + lane], inside = a > 0.9f ? 1.0f : 0.0f, outside = a < 0.1f ? 1.0f : 0.0f;
                const float *color = rgb + 3 * (i + lane);
                lanes[0][lane] += inside * color[0], lanes[4][lane] += outside * color[0];
                lanes[1][lane] += inside * color[1], lanes[5][lane] += outside * color[1];
                lanes[2][lane] += inside * color[2], lanes[6][lane] += outside * color[2];
                lanes[3][lane] += inside, lanes[7][lane] += outside;
            }
        for (; i < end; i++) {
            const int side = alpha[i] > 0.9f ? 0 : 4;
            if (side == 4 && !(alpha[i] < 0.1f))
                continue;
            for (int channel = 0; channel < 3; channel++)
                lanes[side + channel][0] += rgb[3 * i + channel];
            lanes[side + 3][0] += 1;
        }
        for (int k = 0; k < 8; k++)
            for (int lane = 0; lane < LANES_SUMMED; lane++)
                sums[k] += lanes[k][lane];
    }
}

/* The weights of every pixel; `plane` is the distance of planes. Beyond the tile a pixel is its own neighbor. */
MULTIVERSION(void, tile_weights,
             (float *t, ptrdiff_t plane, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t step, float regularization,
              float gradient_weight),
             (t, plane, rows, cols, step, regularization, gradient_weight))
{
    for (ptrdiff_t row = 0; row < rows; row++) {
        float *alpha = t + row * step;
        const float *above = row > 0 ? alpha - step : alpha, *below = row + 1 < rows ? alpha + step : alpha;
        float *w = t + row * step;
        IGNORE_ALIASES
        for (ptrdiff_t col = 0; col < cols; col++) {
            const float a = alpha[col], rest = 1 - a;
            const float before = alpha[col > 0 ? col - 1 : 0], after = alpha[col + 1 < cols ? col + 1 : col];
            const float up = regularization + gradient_weight * __builtin_fabsf(a - above[col]);
            const float down = regularization + gradient_weight * __builtin_fabsf(a - below[col]);
            const float left = regularization + gradient_weight * __builtin_fabsf(a - before);
            const float right = regularization + gradient_weight * __builtin_fabsf(a - after);
            const float sum = up + down + left + right, share = 1 / sum, gain = 1 / (sum + a * a + rest * rest);
            w[UP * plane + col] = up * share, w[DOWN * plane + col] = down * share;
            w[BEFORE * plane + col] = left * share, w[AFTER * plane + col] = right * share;
            w[TO_F * plane + col] = a * gain, w[TO_B * plane + col] = rest * gain;
        }
    }
}

/* One sweep over the tile. `ready` holds COLORS rows. */
MULTIVERSION(void, tile_sweep,
             (float *t, ptrdiff_t plane, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t step, float *ready),
             (t, plane, rows, cols, step, ready))
{
    for (ptrdiff_t row = 0; row < rows; row++) {
        const float *w = t + row * step;
        float left[COLORS];
        for (int channel = 0; channel < 3; channel++) {
            float *f = t + (SOUGHT + channel) * plane + row * step, *b = f + 3 * plane;
            const ptrdiff_t above = row > 0 ? -step : 0, below = row + 1 < rows ? step : 0;
            float *restrict f_ready = ready + channel * step, *restrict b_ready = f_ready + 3 * step;
            left[channel] = f[0], left[channel + 3] = b[0];
            f[cols] = f[cols - 1], b[cols] = b[cols - 1];
            IGNORE_ALIASES
            for (ptrdiff_t col = 0; col < cols; col++) {
                const float mean_f = w[UP * plane + col] * f[above + col] + w[DOWN * plane + col] * f[below + col] +
                                     w[AFTER * plane + col] * f[col + 1];
                const float mean_b = w[UP * plane + col] * b[above + col] + w[DOWN * plane + col] * b[below + col] +
                                     w[AFTER * plane + col] * b[col + 1];
                const float a = w[col], rest = w[(IMAGE + channel) * plane + col] - a * mean_f - (1 - a) * mean_b;
                f_ready[col] = mean_f + w[TO_F * plane + col] * rest;
                b_ready[col] = mean_b + w[TO_B * plane + col] * rest;
            }
        }
        float *f = t + SOUGHT * plane + row * step;
        for (ptrdiff_t col = 0; col < cols; col++) {
            const float a = w[col], before = w[BEFORE * plane + col];
            const float to_f = w[TO_F * plane + col], to_b = w[TO_B * plane + col];
            const float ff = before - before * to_f * a, fb = -before * to_f * (1 - a);
            const float bf = -before * to_b * a, bb = before - before * to_b * (1 - a);
            for (int channel = 0; channel < 3; channel++) {
                const float left_f = left[channel], left_b = left[channel + 3];
                left[channel] = clip(ready[channel * step + col] + ff * left_f + fb * left_b);
                left[channel + 3] = clip(ready[(channel + 3) * step + col] + bf * left_f + bb * left_b);
                f[channel * plane + col] = left[channel], f[(channel + 3) * plane + col] = left[channel + 3];
            }
        }
    }
}

/* One row: the image's colors where alpha is at least `solid`, elsewhere those of the coarse row `colors`, one more than
 * it has columns and one float more, `along` (0..1) of the way from column `left` to the next. Loads and stores of four
 * floats reach one beyond a color, so the last pixel is done by itself. */
static inline void fill_row(const float *rgb, const float *alpha, ptrdiff_t cols, const float *colors,
                            const int32_t *left, const float *along, float solid, float *restrict out)
{
    ptrdiff_t col = 0;
#if defined(BGKIT_VECTORS)
    for (; col + 1 < cols; col++) {
        Color color = *(const Color *)(rgb + 3 * col);
        if (alpha[col] < solid) {
            const float *before = colors + 3 * (ptrdiff_t)left[col];
            color = *(const Color *)before + along[col] * (*(const Color *)(before + 3) - *(const Color *)before);
        }
        *(Color *)(out + 3 * col) = color;
    }
#endif
    for (; col < cols; col++) {
        const float *before = colors + 3 * (ptrdiff_t)left[col];
        for (int channel = 0; channel < 3; channel++)
            out[3 * col + channel] = alpha[col] < solid ? before[channel] + along[col] * (before[channel + 3] - before[channel])
                                                        : rgb[3 * col + channel];
    }
}

#endif
