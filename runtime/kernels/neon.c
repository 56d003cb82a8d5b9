/* NEON: 8 columns a step. The other loops are the portable ones, vectorized by the compiler. */
#if defined(__aarch64__)
#include <arm_neon.h>

#include "instruction_sets.h"
#include "portable.h"

static void resample(const uint8_t *row, size_t readable, ptrdiff_t ahead,
                     const column_table *columns, int16_t *planes)
{
    (void)readable, (void)ahead;
    portable_resample_from(0, row, columns, planes);
}

static void write_float16(const int16_t *values, int count, float scale, void *out)
{
    portable_write_float16(values, count, scale, out);
}

DEFINE_PORTABLE_LOOPS()

const instruction_set instruction_set_neon = INSTRUCTION_SET("neon");
#endif
