/* From pixel values in Q7 to the elements of the network's input, four neighbours at a time. */
#pragma once

#include "half.cuh"

enum Element { FLOAT32, FLOAT16, INT8, UINT8 };

/* Rounded to bytes: those above the lowest of 2 value + 128. */
__device__ inline unsigned four_bytes(const int (&values)[4])
{
    const unsigned low = __byte_perm(2 * values[0] + 128, 2 * values[1] + 128, 0x0051);
    const unsigned high = __byte_perm(2 * values[2] + 128, 2 * values[3] + 128, 0x0051);
    return __byte_perm(low, high, 0x5410);
}

__device__ inline unsigned two_halves(float low, float high)
{
    return half_of_float(low) | static_cast<unsigned>(half_of_float(high)) << 16;
}

__device__ inline int size_of(int element)
{
    return element == FLOAT32 ? 4 : element == FLOAT16 ? 2 : 1;
}

/* Four neighbouring pixels of three planes, in Q7. */
typedef int Four[3][4];

/* Write their elements: the first plane's at `out`, each next plane's `plane` bytes on. Floats are
 * multiplied by `step`. */
__device__ inline void store(int element, char *out, long long plane, const Four &values,
                             float step)
{
    if (size_of(element) == 1) { /* int8 is uint8 less 128 */
        const unsigned flip = element == INT8 ? 0x80808080u : 0u;
        for (int c = 0; c < 3; c++, out += plane)
            *reinterpret_cast<unsigned *>(out) = four_bytes(values[c]) ^ flip;
        return;
    }
    for (int c = 0; c < 3; c++, out += plane) {
        const float4 floats = make_float4(
            static_cast<float>(values[c][0]) * step, static_cast<float>(values[c][1]) * step,
            static_cast<float>(values[c][2]) * step, static_cast<float>(values[c][3]) * step);
        if (element == FLOAT16)
            *reinterpret_cast<uint2 *>(out) =
                make_uint2(two_halves(floats.x, floats.y), two_halves(floats.z, floats.w));
        else
            *reinterpret_cast<float4 *>(out) = floats;
    }
}
