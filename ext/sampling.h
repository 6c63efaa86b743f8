/* The foreground sample that explains a pixel best, its background being known (Wang and Cohen 2007). */
#ifndef BGKIT_SAMPLING_H
#define BGKIT_SAMPLING_H

#include <stddef.h>
#include <stdint.h>

/* `pixel`, `behind`: r, g, b. `tried` sample numbers in `index`, each with a `penalty`; `colors` of all samples.
 *
 * Cost as a mixture: squared distance from the segment behind..sample, over noise² (`mixed` is 1 / noise²), plus the
 * penalty. Cost as solid: squared distance from the sample itself, times `solid`, plus the penalty. Writes the color
 * of the sample that mixes best and returns its cost; `least_solid` takes the least cost as solid. */
static inline float best_sample(const float *pixel, const float *behind, const int32_t *index, const float *penalty,
                                ptrdiff_t tried, const float *colors, float mixed, float solid, float *chosen,
                                float *least_solid)
{
    const float d0 = pixel[0] - behind[0], d1 = pixel[1] - behind[1], d2 = pixel[2] - behind[2];
    float best = 3e38f, least = 3e38f;
    const float *best_color = colors;
    for (ptrdiff_t k = 0; k < tried; k++) {
        const float *color = colors + 3 * (ptrdiff_t)index[k];
        const float l0 = color[0] - behind[0], l1 = color[1] - behind[1], l2 = color[2] - behind[2];
        float share = (d0 * l0 + d1 * l1 + d2 * l2) / (l0 * l0 + l1 * l1 + l2 * l2 + 1e-6f);
        share = share > 0 ? share : 0;
        share = share < 1 ? share : 1;
        const float m0 = d0 - share * l0, m1 = d1 - share * l1, m2 = d2 - share * l2;
        const float cost = (m0 * m0 + m1 * m1 + m2 * m2) * mixed + penalty[k];
        if (cost < best)
            best = cost, best_color = color;
        const float s0 = d0 - l0, s1 = d1 - l1, s2 = d2 - l2;
        const float alone = (s0 * s0 + s1 * s1 + s2 * s2) * solid + penalty[k];
        if (alone < least)
            least = alone;
    }
    for (int channel = 0; channel < 3; channel++)
        chosen[channel] = best_color[channel];
    *least_solid = least;
    return best;
}

#endif
