/* The matting Laplacian over the unknown pixels (Levin, Lischinski, Weiss 2008, equation 12).
 *
 * The unknown pixels are numbered in raster order. Two pixels that share a 3 x 3 window are at most two
 * rows and columns apart, so a row of the matrix has 25 places; it is symmetric, so 13 are stored: the pixel
 * itself and those after it in raster order. `index` is the number of each pixel of the band's bounding
 * box, -1 where known, with a margin of two known pixels on every side, so that no neighbor needs a check.
 */
#ifndef BGKIT_STENCIL_H
#define BGKIT_STENCIL_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { PLACES = 13, MARGIN = 2 };

/* The place of the pixel `rows` below and `cols` right; rows >= 0. */
static inline int place(int rows, int cols) { return 5 * rows + cols; }

/* Add what the windows say of the unknown pixels in the picture's rows [first, last).
 *
 * Windows that reach over the edge of the range are computed by both neighbors, so ranges are independent,
 * and every sum runs over its windows in raster order: the same bits for any cut into ranges. */
static void add_windows(const float *image, const unsigned char *trimap, ptrdiff_t rows, ptrdiff_t cols,
                        const int32_t *index, ptrdiff_t top, ptrdiff_t left, ptrdiff_t box_cols,
                        ptrdiff_t first, ptrdiff_t last, double epsilon, double *values, double *right)
{
    const int height = rows < 3 ? (int)rows : 3, width = cols < 3 ? (int)cols : 3, area = height * width;
    const ptrdiff_t stride = box_cols + 2 * MARGIN;
    int below[9], beside[9], at[9]; /* of each pixel of a window; at: its place, so that differences are places */
    for (int k = 0; k < area; k++)
        below[k] = k / width, beside[k] = k % width, at[k] = place(below[k], beside[k]);
    const ptrdiff_t row_begin = first - height + 1 < 0 ? 0 : first - height + 1;
    const ptrdiff_t row_end = last - 1 < rows - height ? last : rows - height + 1;
    const ptrdiff_t col_begin = left - width + 1 < 0 ? 0 : left - width + 1;
    const ptrdiff_t col_end = left + box_cols - 1 < cols - width ? left + box_cols : cols - width + 1;
    for (ptrdiff_t row = row_begin; row < row_end; row++) {
        for (ptrdiff_t col = col_begin; col < col_end; col++) {
            const int32_t *corner = index + (row - top + MARGIN) * stride + (col - left + MARGIN);
            int32_t which[9], any = -1;
            for (int k = 0, down = 0; down < height; down++)
                for (int along = 0; along < width; along++, k++) {
                    which[k] = corner[down * stride + along];
                    any &= which[k]; /* stays negative only if all are */
                }
            if (any < 0)
                continue;
            double color[9][3], white[9][3], mean[3] = {0, 0, 0};
            for (int k = 0, down = 0; down < height; down++)
                for (int along = 0; along < width; along++, k++)
                    for (int channel = 0; channel < 3; channel++) {
                        color[k][channel] = image[((row + down) * cols + col + along) * 3 + channel];
                        mean[channel] += color[k][channel];
                    }
            double a00 = epsilon, a01 = 0, a02 = 0, a11 = epsilon, a12 = 0, a22 = epsilon;
            for (int k = 0; k < area; k++) {
                for (int channel = 0; channel < 3; channel++)
                    color[k][channel] -= mean[channel] / area;
                const double r = color[k][0], g = color[k][1], b = color[k][2];
                a00 += r * r, a01 += r * g, a02 += r * b, a11 += g * g, a12 += g * b, a22 += b * b;
            }
            /* Whiten the colors, w = L^-1 color with the covariance L L': then color' A^-1 color is w' w. Both 1 / area,
             * of the covariance and of the sum over the window, cancel. Not by cofactors: where a window holds two
             * colors, their determinant is epsilon^2, lost among products near 1, and the matrix comes out indefinite. */
            const double i00 = 1 / sqrt(a00), l10 = a01 * i00, l20 = a02 * i00;
            const double i11 = 1 / sqrt(a11 - l10 * l10), l21 = (a12 - l10 * l20) * i11;
            const double i22 = 1 / sqrt(a22 - l20 * l20 - l21 * l21);
            for (int k = 0; k < area; k++) {
                const double r = color[k][0] * i00, g = (color[k][1] - l10 * r) * i11;
                white[k][0] = r, white[k][1] = g, white[k][2] = (color[k][2] - l20 * r - l21 * g) * i22;
            }
            for (int k = 0; k < area; k++) {
                if (which[k] < 0 || row + below[k] < first || row + below[k] >= last)
                    continue;
                double *own = values + (ptrdiff_t)which[k] * PLACES;
                own[0] += 1;
                for (int l = 0; l < area; l++) {
                    if (which[l] >= 0 && l < k)
                        continue;
                    const double value = -1.0 / area - (white[k][0] * white[l][0] + white[k][1] * white[l][1] +
                                                        white[k][2] * white[l][2]);
                    if (which[l] >= 0)
                        own[at[l] - at[k]] += value;
                    else if (trimap[(row + below[l]) * cols + col + beside[l]] == 255)
                        right[which[k]] -= value;
                }
            }
        }
    }
}

/* Return row `pixel` of the matrix times x; `at` points to the pixel's own number. */
static inline double row_times(const double *values, const int32_t *at, ptrdiff_t stride, const double *x)
{
    const ptrdiff_t pixel = *at;
    const double *own = values + pixel * PLACES;
    double sum = own[0] * x[pixel];
    for (int rows = 0; rows <= 2; rows++)
        for (int cols = rows ? -2 : 1; cols <= 2; cols++) {
            const ptrdiff_t after = at[rows * stride + cols], before = at[-rows * stride - cols];
            if (after >= 0)
                sum += own[place(rows, cols)] * x[after];
            if (before >= 0)
                sum += values[before * PLACES + place(rows, cols)] * x[before];
        }
    return sum;
}

#endif
