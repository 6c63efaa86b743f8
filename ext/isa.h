/* Which variants of the kernels there are (see multiversion.h): levels of x86-64, 0 where there is one for all. */
#ifndef BGKIT_ISA_H
#define BGKIT_ISA_H

#include "multiversion.h"

#ifdef BGKIT_VARIANTS
static int widest(void) { return widest_level(); }
static int chosen(void) { return variant_level; }
#else
static int widest(void) { return 0; }
static int chosen(void) { return 0; }
#endif

#endif
