/* AVX2: rows are resampled 16 columns a step. */
#if defined(__x86_64__)
#include <immintrin.h>

#include "instruction_sets.h"
#include "portable.h"

#define AVX2 __attribute__((target("avx2,f16c")))

/* Two pairs of pixels: b g r B G R and two bytes that do not matter, twice. */
AVX2 INLINE __m128i load_two(const uint8_t *row, const int32_t *offsets)
{
    const __m128i one = _mm_loadl_epi64((const __m128i *)(row + offsets[0]));
    return _mm_castpd_si128(
        _mm_loadh_pd(_mm_castsi128_pd(one), (const double *)(row + offsets[1])));
}

/* Columns 0 and 1 in the lower lane, 8 and 9 in the upper one, as b b g g r r B B G G R R. */
AVX2 INLINE __m256i load_four(const uint8_t *row, const int32_t *offsets)
{
    const __m256i by_channel = _mm256_setr_epi8(
        0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, -1, -1, -1, -1,
        0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, -1, -1, -1, -1);
    const __m256i lower = _mm256_castsi128_si256(load_two(row, offsets));
    const __m256i both = _mm256_inserti128_si256(lower, load_two(row, offsets + 8), 1);
    return _mm256_shuffle_epi8(both, by_channel);
}

/* lerp() of 16 pairs of bytes, already widened. */
AVX2 INLINE void store_lerp(__m256i left, __m256i right, __m256i weight, int16_t *out)
{
    const __m256i change = _mm256_slli_epi16(_mm256_sub_epi16(right, left), 7);
    const __m256i value = _mm256_add_epi16(_mm256_slli_epi16(left, 7),
                                           _mm256_mulhrs_epi16(change, weight));
    _mm256_storeu_si256((__m256i *)out, value);
}

AVX2 static void resample(const uint8_t *row, size_t readable, ptrdiff_t ahead,
                          const column_table *columns, int16_t *planes)
{
    const int32_t *offsets = columns->offsets;
    const int pitch = columns->pitch;
    const uintptr_t soon = (uintptr_t)row + (uintptr_t)ahead;
    uintptr_t line = soon + (uintptr_t)offsets[0];
    const __m256i zero = _mm256_setzero_si256();
    int x = 0;
    for (; x + 16 <= columns->count && (size_t)offsets[x + 15] + 8 <= readable; x += 16) {
        prefetch_until(&line, soon + (uintptr_t)offsets[x + 15]);
        const __m256i p01 = load_four(row, offsets + x), p23 = load_four(row, offsets + x + 2);
        const __m256i p45 = load_four(row, offsets + x + 4), p67 = load_four(row, offsets + x + 6);
        const __m256i bgrB03 = _mm256_unpacklo_epi16(p01, p23);
        const __m256i bgrB47 = _mm256_unpacklo_epi16(p45, p67);
        const __m256i GR03 = _mm256_unpackhi_epi16(p01, p23);
        const __m256i GR47 = _mm256_unpackhi_epi16(p45, p67);
        const __m256i bg = _mm256_unpacklo_epi32(bgrB03, bgrB47);
        const __m256i rB = _mm256_unpackhi_epi32(bgrB03, bgrB47);
        const __m256i GR = _mm256_unpacklo_epi32(GR03, GR47);
        const __m256i weight = _mm256_loadu_si256((const __m256i *)(columns->weights + x));
        store_lerp(_mm256_unpacklo_epi8(bg, zero), _mm256_unpackhi_epi8(rB, zero), weight,
                   planes + x);
        store_lerp(_mm256_unpackhi_epi8(bg, zero), _mm256_unpacklo_epi8(GR, zero), weight,
                   planes + pitch + x);
        store_lerp(_mm256_unpacklo_epi8(rB, zero), _mm256_unpackhi_epi8(GR, zero), weight,
                   planes + 2 * pitch + x);
    }
    portable_resample_from(x, row, columns, planes);
}


AVX2 static void blend(const int16_t *upper, const int16_t *lower, int16_t weight, int count,
                       int16_t *out)
{
    const __m256i weights = _mm256_set1_epi16(weight);
    int i = 0;
    for (; i + 16 <= count; i += 16) {
        const __m256i from = _mm256_loadu_si256((const __m256i *)(upper + i));
        const __m256i to = _mm256_loadu_si256((const __m256i *)(lower + i));
        const __m256i part = _mm256_mulhrs_epi16(_mm256_sub_epi16(to, from), weights);
        const __m256i value = _mm256_add_epi16(from, part);
        _mm256_storeu_si256((__m256i *)(out + i), value);
    }
    portable_blend(upper + i, lower + i, weight, count - i, out + i);
}

AVX2 static void write_float16(const int16_t *values, int count, float scale, void *out)
{
    const float step = scale / 128.0f;
    const __m256 steps = _mm256_set1_ps(step);
    uint16_t *halves = out;
    int i = 0;
    for (; i + 8 <= count; i += 8) {
        const __m128i integers = _mm_loadu_si128((const __m128i *)(values + i));
        const __m256 floats = _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(integers));
        _mm_storeu_si128((__m128i *)(halves + i),
                         _mm256_cvtps_ph(_mm256_mul_ps(floats, steps), _MM_FROUND_TO_NEAREST_INT));
    }
    portable_write_float16(values + i, count - i, scale, halves + i);
}

DEFINE_PORTABLE_LOOPS(AVX2)

const instruction_set instruction_set_avx2 = INSTRUCTION_SET("avx2");
#endif
