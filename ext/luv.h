/* CIELUV of float32 sRGB for one row of pixels, and the color key on it.

   Everything is plain arithmetic on short blocks that stay in the first-level cache, so the compiler
   turns each loop into vectors. The curves are approximations: together they stay within 0.01 dE*uv
   of the definitions (tests/test_color_key.py compares with scikit-image). */
#ifndef BGKIT_LUV_H
#define BGKIT_LUV_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <math.h>

#include "multiversion.h"

#define LUV_BLOCK 256 /* pixels; 4 planes of 1 KB */

#if defined(__GNUC__) && !defined(__clang__)
#define LUV_INLINE static inline __attribute__((always_inline))
#else
#define LUV_INLINE static inline
#endif

/* IEC 61966-2-1. Above the knee ((x + 0.055) / 1.055)^2.4 as a polynomial, minimax in relative error, 3.6e-5. */
LUV_INLINE float luv_linear(float x)
{
    float curve = 0.15238389f;
    curve = curve * x - 0.57237697f;
    curve = curve * x + 0.92100936f;
    curve = curve * x - 0.90211296f;
    curve = curve * x + 0.88352072f;
    curve = curve * x + 0.48112512f;
    curve = curve * x + 0.035640523f;
    curve = curve * x + 0.00084588403f;
    return x > 0.04045f ? curve : x * (1.0f / 12.92f);
}

/* The exponent divided by three, within 3.5 %, and one step of Halley's iteration, which cubes the error. */
LUV_INLINE float luv_cube_root(float y)
{
    int32_t bits;
    float root, cube;
    memcpy(&bits, &y, 4);
    bits = (int32_t)((float)bits * (1.0f / 3.0f)) + 709921077;
    memcpy(&root, &bits, 4);
    cube = root * root * root;
    return root * (cube + y + y) / (cube + cube + y);
}

/* CIE 15:2004 for D65 and the 2 degree observer, from `count` interleaved RGB pixels to three planes. */
LUV_INLINE void luv_from_srgb(const float *rgb, ptrdiff_t count, float *lightness, float *u_star, float *v_star)
{
    float linear[3 * LUV_BLOCK]; /* of all channels first: as they lie in memory, and no product waits for another */
    for (ptrdiff_t i = 0; i < 3 * count; i++)
        linear[i] = luv_linear(rgb[i]);
    for (ptrdiff_t i = 0; i < count; i++) {
        float r = linear[3 * i], g = linear[3 * i + 1], b = linear[3 * i + 2];
        float x = 0.412453f * r + 0.357580f * g + 0.180423f * b;
        float y = 0.212671f * r + 0.715160f * g + 0.072169f * b;
        float per_sum = 1.0f / (3.660468f * r + 11.442559f * g + 4.113639f * b + 1e-20f); /* X + 15 Y + 3 Z */
        float light = y > 0.008856452f ? 116.0f * luv_cube_root(y) - 16.0f : 903.2963f * y;
        lightness[i] = light;
        u_star[i] = 13.0f * light * (4.0f * x * per_sum - 0.19783982f); /* u' of the white */
        v_star[i] = 13.0f * light * (9.0f * y * per_sum - 0.46833631f); /* v' of the white */
    }
}

/* CIELUV of one row of pixels, clipped to 0..1 first, side by side as these. */
MULTIVERSION(void, luv_row, (const float *rgb, ptrdiff_t cols, float *restrict out), (rgb, cols, out))
{
    float inside[3 * LUV_BLOCK], lightness[LUV_BLOCK], u_star[LUV_BLOCK], v_star[LUV_BLOCK];
    for (ptrdiff_t start = 0; start < cols; start += LUV_BLOCK) {
        const ptrdiff_t length = cols - start < LUV_BLOCK ? cols - start : LUV_BLOCK;
        for (ptrdiff_t i = 0; i < 3 * length; i++) {
            const float value = rgb[3 * start + i] > 0.0f ? rgb[3 * start + i] : 0.0f;
            inside[i] = value < 1.0f ? value : 1.0f;
        }
        luv_from_srgb(inside, length, lightness, u_star, v_star);
        for (ptrdiff_t i = 0; i < length; i++) {
            out[3 * (start + i)] = lightness[i];
            out[3 * (start + i) + 1] = u_star[i];
            out[3 * (start + i) + 2] = v_star[i];
        }
    }
}

/* A surface, three polynomials (L*, u*, v*) with the terms 1, r, c, r^2, rc, c^2, in a row: polynomials of c alone. */
LUV_INLINE void luv_surface_in_row(const float *surface, float r, float at[3][3])
{
    for (int k = 0; k < 3; k++) {
        const float *term = surface + 6 * k;
        at[k][0] = term[0] + r * (term[1] + r * term[3]);
        at[k][1] = term[2] + r * term[4];
        at[k][2] = term[5];
    }
}

/* One row of the key. A target is a backdrop's surface. The mask is the distance to the nearest target, from
   `tolerance` on, times `per_de`, up to 1. The distance goes to the piece of line from the target to its own darkened self:
   a shadow scales linear light, which leaves u' and v' and so moves a color towards Luv's origin. */
MULTIVERSION(void, luv_key_row,
             (const float *rgb, ptrdiff_t cols, const float *targets, ptrdiff_t count, float r, float first_c,
              float step_c, float tolerance, float per_de, float darkest, float *mask),
             (rgb, cols, targets, count, r, first_c, step_c, tolerance, per_de, darkest, mask))
{
    float lightness[LUV_BLOCK], u_star[LUV_BLOCK], v_star[LUV_BLOCK], nearest[LUV_BLOCK];
    for (ptrdiff_t start = 0; start < cols; start += LUV_BLOCK) {
        ptrdiff_t length = cols - start < LUV_BLOCK ? cols - start : LUV_BLOCK;
        luv_from_srgb(rgb + 3 * start, length, lightness, u_star, v_star);
        for (ptrdiff_t i = 0; i < length; i++)
            nearest[i] = 1e30f;
        for (ptrdiff_t target = 0; target < count; target++) {
            float at[3][3];
            luv_surface_in_row(targets + 18 * target, r, at);
            for (ptrdiff_t i = 0; i < length; i++) {
                float c = first_c + step_c * (float)(int32_t)(start + i);
                float l0 = at[0][0] + c * (at[0][1] + c * at[0][2]);
                float u0 = at[1][0] + c * (at[1][1] + c * at[1][2]);
                float v0 = at[2][0] + c * (at[2][1] + c * at[2][2]);
                float scale = 1.0f;
                if (darkest < 1.0f) {
                    scale = (lightness[i] * l0 + u_star[i] * u0 + v_star[i] * v0) / (l0 * l0 + u0 * u0 + v0 * v0 + 1e-20f);
                    scale = scale < darkest ? darkest : scale;
                    scale = scale > 1.0f ? 1.0f : scale;
                }
                float dl = lightness[i] - scale * l0, du = u_star[i] - scale * u0, dv = v_star[i] - scale * v0;
                float square = dl * dl + du * du + dv * dv;
                nearest[i] = square < nearest[i] ? square : nearest[i];
            }
        }
        for (ptrdiff_t i = 0; i < length; i++) {
            float value = (sqrtf(nearest[i]) - tolerance) * per_de;
            value = value < 0.0f ? 0.0f : value;
            mask[start + i] = value > 1.0f ? 1.0f : value;
        }
    }
}

/* One row of the distances to a surface: as it is lit, up to `darkest` of its light (`shaded`), and in any darkness.
   The first two are written where `lit` is not NULL; the first and the last are added to `far` and `off`, `weight`
   times, for the means of a reduced picture. */
MULTIVERSION(void, luv_shades_row,
             (const float *rgb, ptrdiff_t cols, const float *surface, float r, float first_c, float step_c,
              float darkest, float weight, float *restrict lit, float *restrict shaded, float *restrict far,
              float *restrict off),
             (rgb, cols, surface, r, first_c, step_c, darkest, weight, lit, shaded, far, off))
{
    float lightness[LUV_BLOCK], u_star[LUV_BLOCK], v_star[LUV_BLOCK], whole[LUV_BLOCK], some[LUV_BLOCK], at[3][3];
    luv_surface_in_row(surface, r, at);
    for (ptrdiff_t start = 0; start < cols; start += LUV_BLOCK) {
        const ptrdiff_t length = cols - start < LUV_BLOCK ? cols - start : LUV_BLOCK;
        luv_from_srgb(rgb + 3 * start, length, lightness, u_star, v_star);
        for (ptrdiff_t i = 0; i < length; i++) {
            const float c = first_c + step_c * (float)(int32_t)(start + i);
            const float l0 = at[0][0] + c * (at[0][1] + c * at[0][2]);
            const float u0 = at[1][0] + c * (at[1][1] + c * at[1][2]);
            const float v0 = at[2][0] + c * (at[2][1] + c * at[2][2]);
            const float l = lightness[i], u = u_star[i], v = v_star[i];
            float light = (l * l0 + u * u0 + v * v0) / (l0 * l0 + u0 * u0 + v0 * v0 + 1e-20f);
            light = light < 0.0f ? 0.0f : light;
            light = light > 1.0f ? 1.0f : light;
            const float least = light < darkest ? darkest : light;
            const float dl = l - l0, du = u - u0, dv = v - v0;
            const float sl = l - least * l0, su = u - least * u0, sv = v - least * v0;
            const float ol = l - light * l0, ou = u - light * u0, ov = v - light * v0;
            whole[i] = sqrtf(dl * dl + du * du + dv * dv);
            some[i] = sqrtf(sl * sl + su * su + sv * sv);
            far[start + i] += weight * whole[i];
            off[start + i] += weight * sqrtf(ol * ol + ou * ou + ov * ov);
        }
        if (lit) {
            memcpy(lit + start, whole, (size_t)length * sizeof *whole);
            memcpy(shaded + start, some, (size_t)length * sizeof *some);
        }
    }
}

/* One row of a mask: between both distances by the share of shadow, which is the sum of `taps` rows of `allowed`, each
   `cols` long, by their weights; then from `tolerance` on, times `per_de`, 0 up to 1. With `per_de` 0: the distance. */
MULTIVERSION(void, shadowed_row,
             (float *restrict lit, const float *shaded, const float *allowed, const float *weight, ptrdiff_t taps,
              ptrdiff_t cols, float tolerance, float per_de),
             (lit, shaded, allowed, weight, taps, cols, tolerance, per_de))
{
    float share[LUV_BLOCK];
    for (ptrdiff_t start = 0; start < cols; start += LUV_BLOCK) {
        const ptrdiff_t length = cols - start < LUV_BLOCK ? cols - start : LUV_BLOCK;
        float *out = lit + start;
        const float *least = shaded + start;
        int differs = per_de == 0.0f;
        for (ptrdiff_t i = 0; i < length; i++)
            differs |= out[i] > tolerance;
        if (!differs) { /* plain backdrop, with shadow or without */
            memset(out, 0, (size_t)length * sizeof *out);
            continue;
        }
        for (ptrdiff_t i = 0; i < length; i++)
            share[i] = 0.0f;
        for (ptrdiff_t tap = 0; tap < taps; tap++)
            for (ptrdiff_t i = 0; i < length; i++)
                share[i] += weight[tap] * allowed[tap * cols + start + i];
        for (ptrdiff_t i = 0; i < length; i++)
            out[i] -= share[i] * (out[i] - least[i]);
        for (ptrdiff_t i = 0; per_de > 0 && i < length; i++) {
            const float value = (out[i] - tolerance) * per_de;
            out[i] = value < 0.0f ? 0.0f : value > 1.0f ? 1.0f : value;
        }
    }
}

/* One row of Vlahos's color difference key: how much the screen's primary stands out over the larger
   of the other two, against the same of the screen itself, a polynomial as above. Less than 0.05 is no
   screen, and noise must not pass for one. */
MULTIVERSION(void, color_difference_row,
             (const float *rgb, ptrdiff_t cols, int primary, const float *screen, float r, float first_c,
              float step_c, float black, float per_unit, float *mask),
             (rgb, cols, primary, screen, r, first_c, step_c, black, per_unit, mask))
{
    float at0 = screen[0] + r * (screen[1] + r * screen[3]), at1 = screen[2] + r * screen[4], at2 = screen[5];
    int other = primary == 1 ? 0 : 1, third = primary == 2 ? 0 : 2; /* green: red and blue; blue: green and red */
    for (ptrdiff_t i = 0; i < cols; i++) {
        float c = first_c + step_c * (float)(int32_t)i;
        float full = at0 + c * (at1 + c * at2);
        float a = rgb[3 * i + other], b = rgb[3 * i + third];
        float excess = rgb[3 * i + primary] - (a > b ? a : b);
        float value = (1.0f - excess / (full > 0.05f ? full : 0.05f) - black) * per_unit;
        value = value < 0.0f ? 0.0f : value;
        mask[i] = value > 1.0f ? 1.0f : value;
    }
}

#endif
