/* Least value within a disk, for a band of rows, of bytes and of floats: disk_band_byte, disk_band_float.

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

#endif
