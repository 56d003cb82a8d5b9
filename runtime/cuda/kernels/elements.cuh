/* From pixel values in Q7 to the elements of the network's input, four neighbours at a time. */
#pragma once

#include "half.cuh"

enum Element { FLOAT32, FLOAT16, INT8, UINT8 };

__device__ inline unsigned four_bytes(const int (&values)[4])
{
    unsigned bytes = 0;
    for (int i = 0; i < 4; i++)
        bytes |= static_cast<unsigned>((values[i] + 64) >> 7) << 8 * i;
    return bytes;
}

__device__ inline unsigned two_halves(float low, float high)
{
    return half_of_float(low) | static_cast<unsigned>(half_of_float(high)) << 16;
}

/* Write out[at] and its three neighbours; floats are multiplied by `step`. */
__device__ inline void store(int element, void *out, long long at, const int (&values)[4],
                             float step)
{
    const float a = static_cast<float>(values[0]) * step, b = static_cast<float>(values[1]) * step;
    const float c = static_cast<float>(values[2]) * step, d = static_cast<float>(values[3]) * step;
    at /= 4;
    if (element == FLOAT32)
        static_cast<float4 *>(out)[at] = make_float4(a, b, c, d);
    else if (element == FLOAT16)
        static_cast<uint2 *>(out)[at] = make_uint2(two_halves(a, b), two_halves(c, d));
    else /* int8 is uint8 less 128 */
        static_cast<unsigned *>(out)[at] =
            four_bytes(values) ^ (element == INT8 ? 0x80808080u : 0u);
}
