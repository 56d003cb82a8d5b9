/* AVX-512 with VBMI: rows are resampled 8 columns a step, by looking bytes up in 128. */
#if defined(__x86_64__)
#include <immintrin.h>

#include "instruction_sets.h"
#include "portable.h"

#define AVX512 \
    __attribute__((target("avx2,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi")))

/* The first `count` of 64 bytes; the rest is not touched. */
AVX512 INLINE __m512i load_up_to(const uint8_t *bytes, ptrdiff_t count)
{
    const __mmask64 mask = count >= 64 ? ~0ull : count <= 0 ? 0 : ~0ull >> (64 - count);
    return _mm512_maskz_loadu_epi8(mask, bytes);
}

AVX512 static void resample(const uint8_t *row, size_t readable, ptrdiff_t ahead,
                            const column_table *columns, int16_t *planes)
{
    const int32_t *offsets = columns->offsets;
    const int pitch = columns->pitch;
    const uintptr_t soon = (uintptr_t)row + (uintptr_t)ahead;
    uintptr_t line = soon + (uintptr_t)offsets[0];
    enum { GROUP = 8, REACH = 128 - 6 };
    const __mmask64 low_bytes = 0x5555555555555555ull; /* of each 16-bit lane */
    const __m512i channels = _mm512_inserti64x4(
        _mm512_castsi256_si512(_mm256_set_m128i(_mm_set1_epi16(1), _mm_setzero_si128())),
        _mm256_set_m128i(_mm_setzero_si128(), _mm_set1_epi16(2)), 1);
    const __m512i neighbours = _mm512_add_epi16(channels, _mm512_set1_epi16(3));
    int x = 0;
    for (; x + GROUP <= columns->count && offsets[x + GROUP - 1] - offsets[x] <= REACH; x += GROUP) {
        prefetch_until(&line, soon + (uintptr_t)offsets[x + GROUP - 1]);
        const uint8_t *start = row + offsets[x];
        const ptrdiff_t rest = (ptrdiff_t)readable - offsets[x];
        const __m512i low = load_up_to(start, rest), high = load_up_to(start + 64, rest - 64);
        const __m256i offset = _mm256_sub_epi32(
            _mm256_loadu_si256((const __m256i *)(offsets + x)), _mm256_set1_epi32(offsets[x]));
        const __m512i pixel = _mm512_broadcast_i32x4(_mm256_cvtepi32_epi16(offset));
        const __m512i left = _mm512_maskz_permutex2var_epi8(
            low_bytes, low, _mm512_add_epi16(pixel, channels), high);
        const __m512i right = _mm512_maskz_permutex2var_epi8(
            low_bytes, low, _mm512_add_epi16(pixel, neighbours), high);
        const __m512i weight =
            _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(columns->weights + x)));
        const __m512i change = _mm512_slli_epi16(_mm512_sub_epi16(right, left), 7);
        const __m512i value = _mm512_add_epi16(_mm512_slli_epi16(left, 7),
                                               _mm512_mulhrs_epi16(change, weight));
        _mm_storeu_si128((__m128i *)(planes + x), _mm512_castsi512_si128(value));
        _mm_storeu_si128((__m128i *)(planes + pitch + x), _mm512_extracti32x4_epi32(value, 1));
        _mm_storeu_si128((__m128i *)(planes + 2 * pitch + x), _mm512_extracti32x4_epi32(value, 2));
    }
    portable_resample_from(x, row, columns, planes);
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
