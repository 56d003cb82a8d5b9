/* AVX2: 16 columns a step. */
#if defined(__x86_64__)
#include <immintrin.h>

#include "instruction_sets.h"
#include "portable.h"

#define AVX2 __attribute__((target("avx2,f16c,bmi2")))

AVX2 static void resample_row(const uint8_t *row, size_t readable, const int32_t *offsets,
                              const int16_t *weights, int columns, int pitch, int16_t *planes)
{
    (void)readable;
    portable_resample_columns(row, offsets, weights, 0, columns, pitch, planes);
}

DEFINE_PORTABLE_LOOPS(AVX2)

const instruction_set instruction_set_avx2 = {"avx2", resample_row, PORTABLE_LOOPS};
#endif
