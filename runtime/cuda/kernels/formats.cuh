/* The pixel formats of frames: how rows are staged, and how a sample is taken from them.
 *
 * A sample has three channels in Q7: blue, green, red (the reverse for RGB), or Y, U, V. It comes
 * from one row, or from two. The bytes that a dot product wants are left and right of one channel,
 * in the lower or the upper half of a word; the other half does not matter.
 *
 * BGR is interpolated along the rows and then between them, as the C kernels do it. YUV has no such
 * model, and takes the shorter way of one weight for each of the four pixels.
 *
 * Pairs U, V begin at multiples of 2 bytes, units Y U Y V at multiples of 4.
 */
#pragma once

#include "image.cuh"
#include "staging.cuh"

struct Pixel {
    int channel[3];
};

/* Left and right, weighted in Q15, and `sum`. */
__device__ inline unsigned low_half(unsigned bytes, unsigned weights, unsigned sum)
{
    return __dp2a_lo(weights, bytes, sum);
}

__device__ inline unsigned high_half(unsigned bytes, unsigned weights, unsigned sum)
{
    return __dp2a_hi(weights, bytes, sum);
}

/* From Q15, with half a step of Q7 added, to Q7. */
constexpr unsigned HALF_STEP = 128;

__device__ inline int to_q7(unsigned sum)
{
    return static_cast<int>(sum >> 8);
}

__device__ inline unsigned pair(unsigned left, unsigned right)
{
    return __byte_perm(left, right, 0x0040);
}

__device__ inline const unsigned char *row_of(const unsigned char *plane, int row, int pitch)
{
    return plane + static_cast<long long>(row) * pitch;
}

/* Formats whose pixels lie in one plane. */
template <int BYTES, int SHIFT> struct OnePlane {
    typedef Plane<BYTES, SHIFT> Pixels;
    typedef Staged Rows;
    static constexpr int SLOT = Pixels::SLOT;
    Pixels pixels;

    __device__ OnePlane(const Columns &columns, int width) : pixels(columns, width) {}

    template <int SPACING>
    __device__ Rows stage(const Image &image, int upper, int lower, const Columns &columns,
                          int lane, unsigned char *slot) const
    {
        return pixels.template stage<SPACING>(row_of(image.pixels, upper, image.pitch),
                                              row_of(image.pixels, lower, image.pitch), columns,
                                              lane, slot);
    }
};

/* BGR and RGB. */
struct Packed : OnePlane<3, 0> {
    using OnePlane::OnePlane;

    __device__ static Pixel of_one(const Rows &rows, int local, unsigned weights)
    {
        return across(rows.upper, local, weights);
    }

    /* upper + (lower - upper) below, in Q7 with `below` in Q15. */
    __device__ static Pixel of_two(const Rows &rows, int local, unsigned weights, int below)
    {
        const Pixel upper = across(rows.upper, local, weights);
        const Pixel lower = across(rows.lower, local, weights);
        Pixel pixel;
        for (int c = 0; c < 3; c++)
            pixel.channel[c] = (upper.channel[c] * (32768 - below) + lower.channel[c] * below +
                                16384) >> 15;
        return pixel;
    }

    __device__ static Pixel to_bgr(const Pixel &pixel, const Colours &) { return pixel; }

  private:
    /* What the C kernels' lerp() gives, in one instruction and a shift. */
    __device__ static Pixel across(const unsigned char *row, int local, unsigned weights)
    {
        const unsigned char *left = Pixels::unit(row, local), *right = left + 3;
        return {{to_q7(low_half(pair(left[0], right[0]), weights, HALF_STEP)),
                 to_q7(low_half(pair(left[1], right[1]), weights, HALF_STEP)),
                 to_q7(low_half(pair(left[2], right[2]), weights, HALF_STEP))}};
    }
};

/* What two neighbours of a row of YUV give to a sample, in Q15. */
struct YuvSum {
    unsigned y, u, v;

    __device__ YuvSum() : y(HALF_STEP), u(HALF_STEP), v(HALF_STEP) {}

    /* `luma`: left and right; `chroma`: U left and right, V left and right. */
    __device__ void add(unsigned luma, unsigned chroma, unsigned weights)
    {
        y = low_half(luma, weights, y);
        u = low_half(chroma, weights, u);
        v = high_half(chroma, weights, v);
    }

    __device__ Pixel pixel() const { return {{to_q7(y), to_q7(u), to_q7(v)}}; }
};

/* What the YUV formats share; `Format` adds the samples of a row to a sum. */
template <typename Format> struct Yuv {
    template <typename Rows>
    __device__ static Pixel of_one(const Rows &rows, int local, unsigned weights)
    {
        YuvSum sum;
        Format::add_upper(rows, local, weights, sum);
        return sum.pixel();
    }

    template <typename Rows>
    __device__ static Pixel of_two(const Rows &rows, int local, unsigned weights, int below)
    {
        const unsigned left = (weights & 0xffff) * below >> 15, right = (weights >> 16) * below >> 15;
        const unsigned lower = left | right << 16;
        YuvSum sum;
        Format::add_upper(rows, local, weights - lower, sum);
        Format::add_lower(rows, local, lower, sum);
        return sum.pixel();
    }

    /* All in Q7. */
    __device__ static Pixel to_bgr(const Pixel &yuv, const Colours &colours)
    {
        constexpr int CENTRE = 128 << 7, WHITE = 255 << 7, ROUND = 1 << 13;
        const int y = max(yuv.channel[0] - colours.black, 0) * colours.luma + ROUND;
        const int u = yuv.channel[1] - CENTRE, v = yuv.channel[2] - CENTRE;
        const int blue = (y + u * colours.u_to_blue) >> 14;
        const int green = (y + u * colours.u_to_green + v * colours.v_to_green) >> 14;
        const int red = (y + v * colours.v_to_red) >> 14;
        return {{min(max(blue, 0), WHITE), min(max(green, 0), WHITE), min(max(red, 0), WHITE)}};
    }
};

/* A plane of Y, and one of U, V for blocks of 2 x 2 pixels. */
struct SemiPlanar : Yuv<SemiPlanar> {
    typedef Plane<1, 0> Luma;
    typedef Plane<2, 1> Chroma;
    struct Rows {
        Staged luma, chroma;
    };
    static constexpr int SLOT = Luma::SLOT + Chroma::SLOT;
    Luma luma;
    Chroma chroma;

    __device__ SemiPlanar(const Columns &columns, int width)
        : luma(columns, width), chroma(columns, width)
    {
    }

    template <int SPACING>
    __device__ Rows stage(const Image &image, int upper, int lower, const Columns &columns,
                          int lane, unsigned char *slot) const
    {
        return {luma.stage<SPACING>(row_of(image.pixels, upper, image.pitch),
                                    row_of(image.pixels, lower, image.pitch), columns, lane, slot),
                chroma.stage<SPACING>(row_of(image.chroma, upper >> 1, image.chroma_pitch),
                                      row_of(image.chroma, lower >> 1, image.chroma_pitch),
                                      columns, lane, slot + Luma::SLOT)};
    }

    __device__ static void add_upper(const Rows &rows, int local, unsigned weights, YuvSum &sum)
    {
        add(rows.luma.upper, rows.chroma.upper, local, weights, sum);
    }

    __device__ static void add_lower(const Rows &rows, int local, unsigned weights, YuvSum &sum)
    {
        add(rows.luma.lower, rows.chroma.lower, local, weights, sum);
    }

  private:
    __device__ static void add(const unsigned char *luma, const unsigned char *chroma, int local,
                               unsigned weights, YuvSum &sum)
    {
        const unsigned char *y = Luma::unit(luma, local);
        const unsigned left = halfword(Chroma::unit(chroma, local));
        const unsigned right = halfword(Chroma::unit(chroma, local + 1));
        sum.add(pair(y[0], y[1]), __byte_perm(left, right, 0x5140), weights);
    }

    __device__ static unsigned halfword(const unsigned char *at)
    {
        return *reinterpret_cast<const unsigned short *>(at);
    }
};

/* Y U Y V: two pixels in four bytes. */
struct Interleaved : OnePlane<4, 1>, Yuv<Interleaved> {
    using OnePlane::OnePlane;

    __device__ static void add_upper(const Rows &rows, int local, unsigned weights, YuvSum &sum)
    {
        add(rows.upper, local, weights, sum);
    }

    __device__ static void add_lower(const Rows &rows, int local, unsigned weights, YuvSum &sum)
    {
        add(rows.lower, local, weights, sum);
    }

  private:
    __device__ static void add(const unsigned char *row, int local, unsigned weights, YuvSum &sum)
    {
        const unsigned left = *reinterpret_cast<const unsigned *>(Pixels::unit(row, local));
        const unsigned right = *reinterpret_cast<const unsigned *>(Pixels::unit(row, local + 1));
        const unsigned luma = __byte_perm(left, right, local & 1 ? 0x0042 : 0x0020);
        sum.add(luma, __byte_perm(left, right, 0x7351), weights);
    }
};
