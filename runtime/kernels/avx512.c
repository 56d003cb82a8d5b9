/* AVX-512 (with VBMI): 8 columns a step. */
#if defined(__x86_64__)
#include <immintrin.h>

#include "instruction_sets.h"
#include "portable.h"

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,avx2,f16c,bmi2")))

AVX512 static void resample_row(const uint8_t *row, size_t readable, const int32_t *offsets,
                              const int16_t *weights, int columns, int pitch, int16_t *planes)
{
    (void)readable;
    portable_resample_columns(row, offsets, weights, 0, columns, pitch, planes);
}

DEFINE_PORTABLE_LOOPS(AVX512)

const instruction_set instruction_set_avx512 = {"avx512", resample_row, PORTABLE_LOOPS};
#endif
