/* The pixel formats of frames: how a row is staged, and how a sample is taken from it.
 *
 * `across` interpolates between two neighbouring pixels of a row and gives three channels in Q7:
 * blue, green, red (the reverse for RGB), or Y, U, V. The four bytes that two dot products want
 * are left, right, left, right of two channels.
 */
#pragma once

#include "image.cuh"
#include "staging.cuh"

struct Pixel {
    int channel[3];
};

/* Left and right, weighted, in Q7: what the C kernels' lerp() gives, in one instruction and a
 * shift. */
__device__ inline int across_low(unsigned bytes, unsigned weights)
{
    return static_cast<int>(__dp2a_lo(weights, bytes, 128u) >> 8);
}

__device__ inline int across_high(unsigned bytes, unsigned weights)
{
    return static_cast<int>(__dp2a_hi(weights, bytes, 128u) >> 8);
}

__device__ inline unsigned pair(unsigned left, unsigned right)
{
    return left | right << 8;
}

/* BGR and RGB. */
struct Packed {
    static constexpr bool YUV = false;
    static constexpr int SLOT = Plane<3, 0>::SLOT;
    Plane<3, 0> pixels;

    __device__ void stage(const Image &image, int row, const Columns &columns, int lane,
                          unsigned char *slot)
    {
        pixels.stage(image.pixels + row * image.pitch, image.width, columns, lane, slot);
    }

    __device__ Pixel across(int local, unsigned weights) const
    {
        const unsigned char *left = pixels.at(local), *right = pixels.at(local + 1);
        return {{across_low(pair(left[0], right[0]), weights),
                 across_low(pair(left[1], right[1]), weights),
                 across_low(pair(left[2], right[2]), weights)}};
    }
};

/* A plane of Y, and one of U, V for blocks of 2 x 2 pixels. */
struct SemiPlanar {
    static constexpr bool YUV = true;
    static constexpr int SLOT = Plane<1, 0>::SLOT + Plane<2, 1>::SLOT;
    Plane<1, 0> luma;
    Plane<2, 1> chroma;

    __device__ void stage(const Image &image, int row, const Columns &columns, int lane,
                          unsigned char *slot)
    {
        luma.stage(image.pixels + row * image.pitch, image.width, columns, lane, slot);
        chroma.stage(image.chroma + (row >> 1) * image.chroma_pitch, image.width, columns, lane,
                     slot + Plane<1, 0>::SLOT);
    }

    __device__ Pixel across(int local, unsigned weights) const
    {
        const unsigned char *left = chroma.at(local), *right = chroma.at(local + 1);
        const unsigned uv = pair(left[0], right[0]) | pair(left[1], right[1]) << 16;
        return {{across_low(pair(*luma.at(local), *luma.at(local + 1)), weights),
                 across_low(uv, weights), across_high(uv, weights)}};
    }
};

/* Y U Y V: two pixels in four bytes. */
struct Interleaved {
    static constexpr bool YUV = true;
    static constexpr int SLOT = Plane<4, 1>::SLOT;
    Plane<4, 1> pixels;

    __device__ void stage(const Image &image, int row, const Columns &columns, int lane,
                          unsigned char *slot)
    {
        pixels.stage(image.pixels + row * image.pitch, image.width, columns, lane, slot);
    }

    __device__ Pixel across(int local, unsigned weights) const
    {
        const unsigned char *left = pixels.at(local), *right = pixels.at(local + 1);
        const unsigned y = pair(pixels.unit[2 * local], pixels.unit[2 * local + 2]);
        const unsigned uv = pair(left[1], right[1]) | pair(left[3], right[3]) << 16;
        return {{across_low(y, weights), across_low(uv, weights), across_high(uv, weights)}};
    }
};

/* Y, U, V to blue, green, red, all in Q7. */
__device__ inline Pixel to_bgr(const Pixel &yuv, const Colours &colours)
{
    constexpr int CENTRE = 128 << 7, WHITE = 255 << 7, ROUND = 1 << 13;
    const int y = max(yuv.channel[0] - colours.black, 0) * colours.luma + ROUND;
    const int u = yuv.channel[1] - CENTRE, v = yuv.channel[2] - CENTRE;
    const int blue = (y + u * colours.u_to_blue) >> 14;
    const int green = (y + u * colours.u_to_green + v * colours.v_to_green) >> 14;
    const int red = (y + v * colours.v_to_red) >> 14;
    return {{min(max(blue, 0), WHITE), min(max(green, 0), WHITE), min(max(red, 0), WHITE)}};
}
