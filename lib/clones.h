/*
 * clones.h - hot loops compiled twice: for any x86-64, and for those with AVX2
 *
 * Which one runs is decided once, when the program is loaded. Results are the same:
 * AVX2 brings vectors of eight, no fused multiply-add. For loops over all endpoints
 * that the compiler makes vector loops of; what they call must be inlined. Nothing
 * where compiler or C library cannot (ifunc: glibc; gcc, of which clang differs), and
 * in builds whose loops are no vector loops anyway: the makefile says for which.
 */
#pragma once

#include <features.h>

#if defined(EPP_CLONES) && defined(__x86_64__) && defined(__GLIBC__) && \
    defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define CLONED_FOR_AVX2 __attribute__((target_clones("avx2", "default")))
#else
#define CLONED_FOR_AVX2
#endif
