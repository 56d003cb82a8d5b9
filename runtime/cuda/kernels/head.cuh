/* The raw outputs of a detector's head, and its candidates (candidates.py has the same layouts).
 *
 * A candidate is one number, as in the C kernels: its raw score in the upper half, mapped so that
 * unsigned order is the order of floats, and the complement of anchor * classes + class in the
 * lower. No two are equal; larger is better, and among equal scores so is the lower anchor. 0 is no
 * candidate.
 */
#pragma once

#include "half.cuh"

typedef unsigned long long Key;

/* See edge_sdk.head_spec.Layout. */
enum Layout { DFL, GRID, BOXES, DECODED };

constexpr int MAX_LEVELS = 8;

/* One map of cells. `scores` and `boxes` are those of the first image; the next image's lie
 * `scores_pitch` and `boxes_pitch` elements on. Only DFL has a tensor a level, all other layouts
 * use the pointers of the first. */
struct Level {
    const void *scores, *boxes;
    long long scores_pitch, boxes_pitch;
    int cells, width, stride;
    int first; /* the first anchor */
};

struct Head {
    int layout;
    int anchors, classes;
    int bins; /* of DFL */
    int levels;
    Level level[MAX_LEVELS];
};

__device__ inline Key key_of(float score, unsigned index)
{
    const unsigned bits = __float_as_uint(score + 0.0f); /* -0 + 0 is 0 */
    const unsigned ordered = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
    return static_cast<Key>(ordered) << 32 | ~index;
}

__device__ inline float score_of(Key key)
{
    const unsigned bits = static_cast<unsigned>(key >> 32);
    return __uint_as_float(bits & 0x80000000u ? bits & 0x7fffffffu : ~bits);
}

__device__ inline unsigned index_of(Key key)
{
    return ~static_cast<unsigned>(key);
}

/* e^x as the C kernels compute it (runtime/kernels/decode.c), to the same bits: this is compiled
 * without fused multiplications and additions. */
__device__ inline float exponential(float x)
{
    const float round_to_integer = 12582912.0f; /* 1.5 * 2^23 */
    x = x > -87.0f ? x : -87.0f;
    x = x < 88.0f ? x : 88.0f;
    const float n = (x * 1.44269504f + round_to_integer) - round_to_integer;
    const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    return p * __uint_as_float(static_cast<unsigned>(static_cast<int>(n) + 127) << 23);
}
