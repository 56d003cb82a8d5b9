/* NEON: 8 columns a step. The other loops are the portable ones, vectorized by the compiler. */
#if defined(__aarch64__)
#include <arm_neon.h>

#include "instruction_sets.h"
#include "portable.h"

static void resample_row(const uint8_t *row, size_t readable, const int32_t *offsets,
                         const int16_t *weights, int columns, int pitch, int16_t *planes)
{
    (void)readable;
    portable_resample_columns(row, offsets, weights, 0, columns, pitch, planes);
}

DEFINE_PORTABLE_LOOPS()

const instruction_set instruction_set_neon = {"neon", resample_row, PORTABLE_LOOPS};
#endif
