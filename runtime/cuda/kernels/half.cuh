/* Halves as bits, without CUDA's headers, which NVRTC does not have everywhere. */
#pragma once

#ifdef __CUDACC__

__device__ inline float float_of_half(unsigned short bits)
{
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
    return value;
}

__device__ inline unsigned short half_of_float(float value)
{
    unsigned short bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
    return bits;
}

#endif

struct Half {
    unsigned short bits;
};

__device__ inline float to_float(Half half)
{
    return float_of_half(half.bits);
}

__device__ inline float to_float(float value)
{
    return value;
}
