/* MULTIVERSION before a function: compile it for AVX-512, AVX2 and plain x86-64 into one binary, and let the loader
   choose. GCC on x86-64 Linux only (it needs ifunc); elsewhere, and under sanitizers, whose run time starts after the
   loader, the word stands for nothing and the function is plain. */
#ifndef BGKIT_MULTIVERSION_H
#define BGKIT_MULTIVERSION_H

#include <stdint.h>

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12 \
    && defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__)
#define MULTIVERSION __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define MULTIVERSION
#endif

/* Vectors of eight in GCC's and clang's portable notation: any processor, split where its registers are narrower. */
#if defined(__clang__) || (defined(__GNUC__) && __GNUC__ >= 12)
#define BGKIT_VECTORS
typedef float Floats8 __attribute__((vector_size(32)));
typedef int32_t Ints8 __attribute__((vector_size(32)));
typedef uint16_t Shorts8 __attribute__((vector_size(16)));
#endif

#if defined(_MSC_VER)
#define restrict __restrict
#endif

#endif
