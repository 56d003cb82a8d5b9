/* The inner loops in plain C, meant to be compiled once an instruction set: a function that
 * carries a target attribute calls these, they are inlined into it, and the compiler vectorizes
 * them for that target. This makes every instruction set give the same bits.
 */
#ifndef EDGE_SDK_PORTABLE_H
#define EDGE_SDK_PORTABLE_H

#include <string.h>

#include "kernels.h"

#define INLINE static inline __attribute__((always_inline))

/* from + (to - from) * weight, in Q7 with weight in Q15: what pmulhrsw and sqrdmulh compute. */
INLINE int16_t lerp(int16_t from, int16_t to, int16_t weight)
{
    const int16_t change = (int16_t)(to - from);
    const int16_t part = (int16_t)(((change * weight >> 14) + 1) >> 1);
    return (int16_t)(from + part);
}

/* Ask for the bytes before `end`, from the cache line at *line on, and move *line past them.
 * Addresses, not pointers: they may lie outside the frame, where asking does nothing. */
INLINE void prefetch_until(uintptr_t *line, uintptr_t end)
{
    for (; *line < end; *line += 64)
        __builtin_prefetch((const void *)*line, 0, 2);
}

INLINE void portable_resample_from(int first, const uint8_t *row, const column_table *columns,
                                   int16_t *planes)
{
    for (int x = first; x < columns->count; x++) {
        const int16_t weight = columns->weights[x];
        const uint8_t *left = row + columns->offsets[x];
        const uint8_t *right = weight ? left + 3 : left; /* the last pixel has no neighbour */
        for (int c = 0; c < 3; c++)
            planes[c * columns->pitch + x] =
                lerp((int16_t)(left[c] << 7), (int16_t)(right[c] << 7), weight);
    }
}

INLINE void portable_blend(const int16_t *restrict upper, const int16_t *restrict lower,
                           int16_t weight, int count, int16_t *restrict out)
{
    for (int i = 0; i < count; i++)
        out[i] = lerp(upper[i], lower[i], weight);
}

INLINE void portable_write_float32(const int16_t *restrict values, int count, float scale,
                                   float *restrict out)
{
    const float step = scale / 128.0f;
    for (int i = 0; i < count; i++)
        out[i] = (float)values[i] * step;
}

/* Round a float to the nearest half, ties to even. Subnormal halves are rounded by adding a
 * float whose last bit is the smallest half. */
INLINE uint16_t portable_half(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint32_t sign = bits >> 16 & 0x8000u;
    const uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude >= 0x47800000u) /* 65536 and above, infinity, NaN */
        return (uint16_t)(sign | (magnitude > 0x7f800000u ? 0x7e00u : 0x7c00u));
    if (magnitude < 0x38800000u) { /* below 2^-14 */
        float tiny;
        memcpy(&tiny, &magnitude, sizeof tiny);
        tiny += 0.5f;
        memcpy(&bits, &tiny, sizeof bits);
        return (uint16_t)(sign | (bits - 0x3f000000u));
    }
    return (uint16_t)(sign | ((magnitude - 0x38000000u + 0xfffu + (magnitude >> 13 & 1)) >> 13));
}

INLINE void portable_write_float16(const int16_t *restrict values, int count, float scale,
                                   uint16_t *restrict out)
{
    const float step = scale / 128.0f;
    for (int i = 0; i < count; i++)
        out[i] = portable_half((float)values[i] * step);
}

/* `bias` 0 writes uint8, 128 the bits of int8. */
INLINE void portable_write_bytes(const int16_t *restrict values, int count, int bias,
                                 uint8_t *restrict out)
{
    for (int i = 0; i < count; i++)
        out[i] = (uint8_t)(((values[i] + 64) >> 7) - bias);
}

INLINE size_t portable_next_at_least(const float *values, size_t start, size_t count,
                                     float factor, float threshold)
{
    enum { STEP = 32 };
    size_t i = start;
    for (; i + STEP <= count; i += STEP) {
        int any = 0;
        for (int k = 0; k < STEP; k++)
            any |= values[i + (size_t)k] * factor >= threshold;
        if (any)
            break;
    }
    while (i < count && !(values[i] * factor >= threshold))
        i++;
    return i;
}

INLINE int portable_overlaps_any(const box_columns *kept, int count, const float box[4],
                                 int32_t class_id, float limit)
{
    enum { STEP = 16 }; /* capacities are multiples of it, so the last group may be read whole */
    const float x1 = box[0], y1 = box[1], x2 = box[2], y2 = box[3];
    const float area = (x2 - x1) * (y2 - y1);
    for (int i = 0; i < count; i += STEP) {
        int any = 0;
        for (int k = i; k < i + STEP; k++) {
            const float right = x2 < kept->x2[k] ? x2 : kept->x2[k];
            const float left = x1 > kept->x1[k] ? x1 : kept->x1[k];
            const float bottom = y2 < kept->y2[k] ? y2 : kept->y2[k];
            const float top = y1 > kept->y1[k] ? y1 : kept->y1[k];
            const float width = right - left > 0.0f ? right - left : 0.0f;
            const float height = bottom - top > 0.0f ? bottom - top : 0.0f;
            const float common = width * height;
            any |= (common > limit * (area + kept->area[k] - common)) &
                   (kept->class_id[k] == class_id) & (k < count);
        }
        if (any)
            return 1;
    }
    return 0;
}

#endif
