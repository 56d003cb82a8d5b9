/* NEON: rows are resampled 8 columns a step. */
#if defined(__aarch64__)
#include <arm_neon.h>

#include "instruction_sets.h"
#include "portable.h"

/* Two pairs of pixels: b g r B G R and two bytes that do not matter, twice. */
INLINE uint8x16_t load_two(const uint8_t *row, const int32_t *offsets)
{
    return vcombine_u8(vld1_u8(row + offsets[0]), vld1_u8(row + offsets[1]));
}

/* The same by channel: b b g g r r B B G G R R. */
INLINE uint16x8_t load_by_channel(const uint8_t *row, const int32_t *offsets)
{
    static const uint8_t by_channel[16] = {0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15};
    return vreinterpretq_u16_u8(vqtbl1q_u8(load_two(row, offsets), vld1q_u8(by_channel)));
}

/* lerp() of 8 pairs of bytes. */
INLINE void store_lerp(uint8x8_t left, uint8x8_t right, int16x8_t weight, int16_t *out)
{
    const int16x8_t from = vreinterpretq_s16_u16(vshll_n_u8(left, 7));
    const int16x8_t to = vreinterpretq_s16_u16(vshll_n_u8(right, 7));
    vst1q_s16(out, vaddq_s16(from, vqrdmulhq_s16(vsubq_s16(to, from), weight)));
}

static void resample(const uint8_t *row, size_t readable, ptrdiff_t ahead,
                     const column_table *columns, int16_t *planes)
{
    const int32_t *offsets = columns->offsets;
    const uintptr_t soon = (uintptr_t)row + (uintptr_t)ahead;
    uintptr_t line = soon + (uintptr_t)offsets[0];
    int x = 0;
    for (; x + 8 <= columns->count && (size_t)offsets[x + 7] + 8 <= readable; x += 8) {
        prefetch_until(&line, soon + (uintptr_t)offsets[x + 7]);
        const uint16x8_t p01 = load_by_channel(row, offsets + x);
        const uint16x8_t p23 = load_by_channel(row, offsets + x + 2);
        const uint16x8_t p45 = load_by_channel(row, offsets + x + 4);
        const uint16x8_t p67 = load_by_channel(row, offsets + x + 6);
        const uint32x4_t bgrB03 = vreinterpretq_u32_u16(vzip1q_u16(p01, p23));
        const uint32x4_t bgrB47 = vreinterpretq_u32_u16(vzip1q_u16(p45, p67));
        const uint32x4_t GR03 = vreinterpretq_u32_u16(vzip2q_u16(p01, p23));
        const uint32x4_t GR47 = vreinterpretq_u32_u16(vzip2q_u16(p45, p67));
        const uint8x16_t bg = vreinterpretq_u8_u32(vzip1q_u32(bgrB03, bgrB47));
        const uint8x16_t rB = vreinterpretq_u8_u32(vzip2q_u32(bgrB03, bgrB47));
        const uint8x16_t GR = vreinterpretq_u8_u32(vzip1q_u32(GR03, GR47));
        const int16x8_t weight = vld1q_s16(columns->weights + x);
        store_lerp(vget_low_u8(bg), vget_high_u8(rB), weight, planes + x);
        store_lerp(vget_high_u8(bg), vget_low_u8(GR), weight, planes + columns->pitch + x);
        store_lerp(vget_low_u8(rB), vget_high_u8(GR), weight, planes + 2 * columns->pitch + x);
    }
    portable_resample_from(x, row, columns, planes);
}

static void blend(const int16_t *upper, const int16_t *lower, int16_t weight, int count,
                  int16_t *out)
{
    int i = 0;
    for (; i + 8 <= count; i += 8) {
        const int16x8_t from = vld1q_s16(upper + i), to = vld1q_s16(lower + i);
        vst1q_s16(out + i, vaddq_s16(from, vqrdmulhq_n_s16(vsubq_s16(to, from), weight)));
    }
    portable_blend(upper + i, lower + i, weight, count - i, out + i);
}

static void write_float16(const int16_t *values, int count, float scale, void *out)
{
    const float step = scale / 128.0f;
    __fp16 *halves = out;
    for (int i = 0; i < count; i++)
        halves[i] = (__fp16)((float)values[i] * step);
}

DEFINE_PORTABLE_LOOPS()

const instruction_set instruction_set_neon = INSTRUCTION_SET("neon");
#endif
