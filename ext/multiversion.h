/* MULTIVERSION(result, name, parameters, arguments) before a body: compile the function for AVX-512, AVX2 and plain
   x86-64 into one binary; a call runs the variant that was chosen when the module was loaded. That is the widest one
   of this processor, or the one that BGKIT_ISA names (v1, v3 or v4), so that each can be measured and tested on one
   machine; bgkit/_ext/__init__.py refuses a wrong name. All variants give the same bits, for the compiler may neither
   fuse a product with a sum (-std=c11) nor reorder sums. GCC on x86-64 Linux only; elsewhere there is one variant. */
#ifndef BGKIT_MULTIVERSION_H
#define BGKIT_MULTIVERSION_H

#include <stdint.h>

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12 \
    && defined(__OPTIMIZE__)
#define BGKIT_VARIANTS
#include <stdlib.h>
#include <string.h>

/* The level of x86-64 whose variants run: 1, 3 or 4. */
static int variant_level = 1;

static inline int widest_level(void)
{
    return __builtin_cpu_supports("x86-64-v4") ? 4 : __builtin_cpu_supports("x86-64-v3") ? 3 : 1;
}

__attribute__((constructor)) static void choose_variant(void)
{
    __builtin_cpu_init();
    const char *wish = getenv("BGKIT_ISA");
    const int widest = widest_level();
    const int wished = wish && strlen(wish) == 2 && wish[0] == 'v' ? wish[1] - '0' : widest;
    variant_level = (wished == 1 || wished == 3 || wished == 4) && wished <= widest ? wished : widest;
}

/* In two steps, so that a name which is a macro itself is expanded (disk_band.h). */
#define MULTIVERSION(result, name, parameters, arguments) BGKIT_MULTIVERSION(result, name, parameters, arguments)
#define BGKIT_MULTIVERSION(result, name, parameters, arguments)                                               \
    static inline __attribute__((always_inline)) result name##_body parameters;                               \
    __attribute__((noinline, target("arch=x86-64-v4"))) static result name##_v4 parameters                    \
    {                                                                                                         \
        return name##_body arguments;                                                                         \
    }                                                                                                         \
    __attribute__((noinline, target("arch=x86-64-v3"))) static result name##_v3 parameters                    \
    {                                                                                                         \
        return name##_body arguments;                                                                         \
    }                                                                                                         \
    __attribute__((noinline)) static result name##_v1 parameters { return name##_body arguments; }            \
    static inline result name parameters                                                                      \
    {                                                                                                         \
        return variant_level == 4 ? name##_v4 arguments : variant_level == 3 ? name##_v3 arguments            \
                                                                             : name##_v1 arguments;           \
    }                                                                                                         \
    static inline __attribute__((always_inline)) result name##_body parameters

/* The same with a first parameter `level` of the body, the variant's, for what each must write in another way. */
#define BGKIT_LIST(...) __VA_ARGS__
#define MULTIVERSION_BY_LEVEL(result, name, parameters, arguments)                                            \
    static inline __attribute__((always_inline)) result name##_body(const int level, BGKIT_LIST parameters);  \
    __attribute__((noinline, target("arch=x86-64-v4"))) static result name##_v4 parameters                    \
    {                                                                                                         \
        return name##_body(4, BGKIT_LIST arguments);                                                          \
    }                                                                                                         \
    __attribute__((noinline, target("arch=x86-64-v3"))) static result name##_v3 parameters                    \
    {                                                                                                         \
        return name##_body(3, BGKIT_LIST arguments);                                                          \
    }                                                                                                         \
    __attribute__((noinline)) static result name##_v1 parameters                                              \
    {                                                                                                         \
        return name##_body(1, BGKIT_LIST arguments);                                                          \
    }                                                                                                         \
    static inline result name parameters                                                                      \
    {                                                                                                         \
        return variant_level == 4 ? name##_v4 arguments : variant_level == 3 ? name##_v3 arguments            \
                                                                             : name##_v1 arguments;           \
    }                                                                                                         \
    static inline __attribute__((always_inline)) result name##_body(const int level, BGKIT_LIST parameters)
#else
#define MULTIVERSION(result, name, parameters, arguments) static result name parameters
#define BGKIT_LIST(...) __VA_ARGS__
#define MULTIVERSION_BY_LEVEL(result, name, parameters, arguments)                                            \
    static inline result name##_body(const int level, BGKIT_LIST parameters);                                 \
    static result name parameters { return name##_body(1, BGKIT_LIST arguments); }                            \
    static inline result name##_body(const int level, BGKIT_LIST parameters)
#endif

/* Vectors of eight in GCC's and clang's portable notation: any processor, split where its registers are narrower. */
#if defined(__clang__) || (defined(__GNUC__) && __GNUC__ >= 12)
#define BGKIT_VECTORS
typedef float Floats8 __attribute__((vector_size(32)));
typedef int32_t Ints8 __attribute__((vector_size(32)));
typedef uint16_t Shorts8 __attribute__((vector_size(16)));
/* The same anywhere in memory. A memcpy of 32 bytes becomes two halves, written to the stack and read back as one, which
   a processor has to wait for: a quarter of the dense CRF's time with AVX2. */
typedef float Floats8Anywhere __attribute__((vector_size(32), aligned(4), may_alias));
typedef uint16_t Shorts8Anywhere __attribute__((vector_size(16), aligned(2), may_alias));
#endif

#if defined(_MSC_VER)
#define restrict __restrict
#endif

#endif
