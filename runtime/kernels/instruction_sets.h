/* The instruction sets of each architecture, one file each, and what they share. */
#ifndef EDGE_SDK_INSTRUCTION_SETS_H
#define EDGE_SDK_INSTRUCTION_SETS_H

#include "kernels.h"

#if defined(__x86_64__)
extern const instruction_set instruction_set_avx2, instruction_set_avx512;
#elif defined(__aarch64__)
extern const instruction_set instruction_set_neon;
#endif

/* The portable loops that compilers vectorize well, compiled for the target given as attribute
 * (none for the portable one). */
#define DEFINE_PORTABLE_LOOPS(...)                                                               \
    __VA_ARGS__ static void write_float32(const int16_t *values, int count, float scale,         \
                                          void *out)                                             \
    {                                                                                            \
        portable_write_float32(values, count, scale, out);                                       \
    }                                                                                            \
    __VA_ARGS__ static void write_int8(const int16_t *values, int count, float scale, void *out) \
    {                                                                                            \
        (void)scale;                                                                             \
        portable_write_bytes(values, count, 128, out);                                           \
    }                                                                                            \
    __VA_ARGS__ static void write_uint8(const int16_t *values, int count, float scale,           \
                                        void *out)                                               \
    {                                                                                            \
        (void)scale;                                                                             \
        portable_write_bytes(values, count, 0, out);                                             \
    }                                                                                            \
    __VA_ARGS__ static size_t next_at_least(const float *values, size_t start, size_t count,     \
                                            float factor, float threshold)                       \
    {                                                                                            \
        return portable_next_at_least(values, start, count, factor, threshold);                  \
    }                                                                                            \
    __VA_ARGS__ static int overlaps_any(const box_columns *kept, int count, const float box[4],  \
                                        int32_t class_id, float limit)                           \
    {                                                                                            \
        return portable_overlaps_any(kept, count, box, class_id, limit);                         \
    }

/* The loops of an instruction set, from names in the file that defines it. */
#define INSTRUCTION_SET(title)                                                     \
    {                                                                              \
        .name = title, .resample = resample, .blend = blend,                       \
        .write_float32 = write_float32, .write_float16 = write_float16,            \
        .write_int8 = write_int8, .write_uint8 = write_uint8,                      \
        .next_at_least = next_at_least, .overlaps_any = overlaps_any,              \
    }

#endif
