/* AVX-512 (BW): rows are resampled 32 columns a step, as AVX2 does 16. */
#if defined(__x86_64__)
#include <immintrin.h>

#include "instruction_sets.h"
#include "portable.h"

#define AVX512 __attribute__((target("avx2,f16c,avx512f,avx512bw,avx512vl,avx512dq")))

/* Two pairs of pixels: b g r B G R and two bytes that do not matter, twice. */
AVX512 INLINE __m128i load_two(const uint8_t *row, const int32_t *offsets)
{
    const __m128i one = _mm_loadl_epi64((const __m128i *)(row + offsets[0]));
    return _mm_castpd_si128(
        _mm_loadh_pd(_mm_castsi128_pd(one), (const double *)(row + offsets[1])));
}

/* Columns 0 and 1 in the lowest lane, 8 and 9, 16 and 17, 24 and 25 in those above, each as
 * b b g g r r B B G G R R. */
AVX512 INLINE __m512i load_eight(const uint8_t *row, const int32_t *offsets)
{
    const __m512i by_channel = _mm512_broadcast_i32x4(
        _mm_setr_epi8(0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, -1, -1, -1, -1));
    const __m256i low = _mm256_inserti128_si256(
        _mm256_castsi128_si256(load_two(row, offsets)), load_two(row, offsets + 8), 1);
    const __m256i high = _mm256_inserti128_si256(
        _mm256_castsi128_si256(load_two(row, offsets + 16)), load_two(row, offsets + 24), 1);
    return _mm512_shuffle_epi8(_mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1),
                               by_channel);
}

/* lerp() of 32 pairs of bytes, already widened. */
AVX512 INLINE void store_lerp(__m512i left, __m512i right, __m512i weight, int16_t *out)
{
    const __m512i change = _mm512_slli_epi16(_mm512_sub_epi16(right, left), 7);
    const __m512i value = _mm512_add_epi16(_mm512_slli_epi16(left, 7),
                                           _mm512_mulhrs_epi16(change, weight));
    _mm512_storeu_si512(out, value);
}

AVX512 static void resample(const uint8_t *row, size_t readable, ptrdiff_t ahead,
                            const column_table *columns, int16_t *planes)
{
    const int32_t *offsets = columns->offsets;
    const int pitch = columns->pitch;
    const uintptr_t soon = (uintptr_t)row + (uintptr_t)ahead;
    const __m512i zero = _mm512_setzero_si512();
    uintptr_t line = soon + (uintptr_t)offsets[0];
    int x = 0;
    for (; x + 32 <= columns->count && (size_t)offsets[x + 31] + 8 <= readable; x += 32) {
        prefetch_until(&line, soon + (uintptr_t)offsets[x + 31]);
        const __m512i p01 = load_eight(row, offsets + x);
        const __m512i p23 = load_eight(row, offsets + x + 2);
        const __m512i p45 = load_eight(row, offsets + x + 4);
        const __m512i p67 = load_eight(row, offsets + x + 6);
        const __m512i bgrB03 = _mm512_unpacklo_epi16(p01, p23);
        const __m512i bgrB47 = _mm512_unpacklo_epi16(p45, p67);
        const __m512i GR03 = _mm512_unpackhi_epi16(p01, p23);
        const __m512i GR47 = _mm512_unpackhi_epi16(p45, p67);
        const __m512i bg = _mm512_unpacklo_epi32(bgrB03, bgrB47);
        const __m512i rB = _mm512_unpackhi_epi32(bgrB03, bgrB47);
        const __m512i GR = _mm512_unpacklo_epi32(GR03, GR47);
        const __m512i weight = _mm512_loadu_si512(columns->weights + x);
        store_lerp(_mm512_unpacklo_epi8(bg, zero), _mm512_unpackhi_epi8(rB, zero), weight,
                   planes + x);
        store_lerp(_mm512_unpackhi_epi8(bg, zero), _mm512_unpacklo_epi8(GR, zero), weight,
                   planes + pitch + x);
        store_lerp(_mm512_unpacklo_epi8(rB, zero), _mm512_unpackhi_epi8(GR, zero), weight,
                   planes + 2 * pitch + x);
    }
    portable_resample_from(x, row, columns, planes);
}

AVX512 static void blend(const int16_t *upper, const int16_t *lower, int16_t weight, int count,
                         int16_t *out)
{
    const __m512i weights = _mm512_set1_epi16(weight);
    int i = 0;
    for (; i + 32 <= count; i += 32) {
        const __m512i from = _mm512_loadu_si512(upper + i);
        const __m512i to = _mm512_loadu_si512(lower + i);
        const __m512i part = _mm512_mulhrs_epi16(_mm512_sub_epi16(to, from), weights);
        const __m512i value = _mm512_add_epi16(from, part);
        _mm512_storeu_si512(out + i, value);
    }
    portable_blend(upper + i, lower + i, weight, count - i, out + i);
}

AVX512 static void write_float16(const int16_t *values, int count, float scale, void *out)
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

DEFINE_PORTABLE_LOOPS(AVX512)

const instruction_set instruction_set_avx512 = INSTRUCTION_SET("avx512");
#endif
