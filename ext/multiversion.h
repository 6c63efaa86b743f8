/* MULTIVERSION before a function: compile it for AVX-512, AVX2 and plain x86-64, and let the loader
   choose. Only GCC on x86-64 Linux; elsewhere the word stands for nothing and the function is plain. */
#ifndef BGKIT_MULTIVERSION_H
#define BGKIT_MULTIVERSION_H

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__linux__) && \
    !defined(__SANITIZE_ADDRESS__)
#define MULTIVERSION __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define MULTIVERSION
#endif

#endif
