/* Letterbox: bilinear with half-pixel centres, border, colours, plane order and scale, for a whole
 * batch in one launch.
 *
 * The arithmetic is that of the C kernels (runtime/kernels/letterbox.c): positions are exact,
 * weights in Q15, values between the two passes in Q7. YUV is interpolated as such and converted
 * once (see formats.cuh).
 *
 * A warp fills 128 pixels of a row of the canvas, four neighbours a lane, so that it stores whole
 * cache lines, then those of the next row. It brings the one or two rows of the frame that it
 * samples into shared memory first (see staging.cuh). Where the columns of the canvas fall in the
 * frame is worked out once a block, for all its warps.
 */
#include "elements.cuh"
#include "formats.cuh"

constexpr int WARPS = 4, WARP_ROWS = 4, ROWS = WARPS * WARP_ROWS, PIXELS = 4;
static_assert(PIXELS * LANES == TILE, "a lane has four columns");
constexpr int BLOCKS = 8; /* that a multiprocessor's registers shall do for */
constexpr int SLOT = Packed::SLOT; /* the largest of the formats */
static_assert(SemiPlanar::SLOT <= SLOT && Interleaved::SLOT <= SLOT, "a row must fit its slot");
static_assert(SLOT % 16 == 0 && Plane<1, 0>::SLOT % 16 == 0, "copies of 16 bytes are aligned");

struct Sample {
    int before, weight; /* the pixel before the sample, and the weight of the next one in Q15 */
};

/* Where the centre of pixel i of `count` falls among `size` pixels, exactly: at
 * ((2 i + 1) size - count) / (2 count). Sides of canvases are at most 2^14, those of frames less
 * than 2^16, so all numbers are below 2^31. */
__device__ Sample sample(int i, int count, int size)
{
    const int position = (2 * i + 1) * size - count;
    if (position < 0)
        return {0, 0};
    const unsigned step = 2u * count, place = position;
    const int before = static_cast<int>(place / step);
    if (before >= size - 1)
        return {size - 1, 0};
    const unsigned weight = (place % step * 32768u + count) / step;
    return {before, static_cast<int>(min(weight, 32767u))};
}

/* Compute four neighbouring pixels of a row of the picture. */
template <typename Format>
__device__ void picture(const Format &format, const Image &image, const Sample &row,
                        const Columns &columns, int lane, unsigned char *slot, Four &values)
{
    const uint4 four_weights = columns.weights[lane];
    const short4 four_local = columns.local[lane];
    const unsigned weights[] = {four_weights.x, four_weights.y, four_weights.z, four_weights.w};
    const int local[] = {four_local.x, four_local.y, four_local.z, four_local.w};
    const int lower = row.weight ? row.before + 1 : row.before;
    const typename Format::Rows rows =
        format.template stage<SLOT>(image, row.before, lower, columns, lane, slot);
    copies_done();
    Pixel pixels[PIXELS];
    if (row.weight)
        for (int i = 0; i < PIXELS; i++)
            pixels[i] = Format::of_two(rows, local[i], weights[i], row.weight);
    else
        for (int i = 0; i < PIXELS; i++)
            pixels[i] = Format::of_one(rows, local[i], weights[i]);
    for (int i = 0; i < PIXELS; i++) {
        const Pixel pixel = Format::to_bgr(pixels[i], image.colours);
        for (int c = 0; c < 3; c++)
            values[c][i] = pixel.channel[c];
    }
}

/* Fill a warp's part of the canvas: rows from y on, four pixels from x on a lane. */
template <typename Format>
__device__ void fill(const Image &image, const Canvas &canvas, const Columns &columns,
                     const Sample *samples, int lane, int x, int y, unsigned char *slot, char *out)
{
    const Format format(columns, image.width);
    const int size = size_of(canvas.element), left = x + PIXELS * lane;
    const bool across_border = x < image.left || x + TILE > image.left + image.columns;
    const bool reversed = (image.format == RGB) != (canvas.rgb != 0);
    const long long plane = static_cast<long long>(canvas.height) * canvas.width * size;
    const long long pitch = static_cast<long long>(canvas.width) * size;
    char *at = out + plane * (3 * blockIdx.z + (reversed ? 2 : 0)) + y * pitch + left * size;
#pragma unroll 1
    for (int row = y; row < min(y + WARP_ROWS, canvas.height); row++, at += pitch) {
        Four values;
        const bool inside = row >= image.top && row < image.top + image.rows;
        if (inside)
            picture(format, image, samples[row - y], columns, lane, slot, values);
        if (!inside || across_border)
            for (int i = 0; i < PIXELS; i++)
                if (!inside || left + i < image.left || left + i >= image.left + image.columns)
                    for (int c = 0; c < 3; c++)
                        values[c][i] = canvas.pad << 7;
        if (left < canvas.width)
            store(canvas.element, at, reversed ? -plane : plane, values, canvas.step);
        __syncwarp(); /* the slots have been read */
    }
}

/* Canvases out[images][3][height][width], aligned to 16 bytes, their width a multiple of 4.
 * Grid: tiles of 128 x 16 pixels, and images; block: (32, 4). */
extern "C" __global__ void __launch_bounds__(LANES * WARPS, BLOCKS)
    letterbox(const __grid_constant__ Images images, const __grid_constant__ Canvas canvas,
              char *out)
{
    __shared__ Columns columns;
    __shared__ Sample samples[ROWS];
    __shared__ __align__(16) unsigned char slots[WARPS][2 * SLOT];
    const Image &image = images.image[blockIdx.z];
    const int lane = threadIdx.x, warp = threadIdx.y, thread = warp * LANES + lane;
    const int x = blockIdx.x * TILE, y = blockIdx.y * ROWS;
    static_assert(LANES * WARPS == TILE, "a thread a column");
    const int place = min(max(x + thread - image.left, 0), image.columns - 1);
    const Sample across = sample(place, image.columns, image.width);
    columns.pixel[thread] = across.before;
    columns.set_weight(thread, across.weight);
    if (thread < ROWS) {
        const int row = min(max(y + thread - image.top, 0), image.rows - 1);
        samples[thread] = sample(row, image.rows, image.height);
    }
    __syncthreads();
    columns.set_local(thread, image.width);
    __syncthreads();

    const int part = warp * WARP_ROWS;
    if (image.format == NV12)
        fill<SemiPlanar>(image, canvas, columns, samples + part, lane, x, y + part, slots[warp], out);
    else if (image.format == YUYV)
        fill<Interleaved>(image, canvas, columns, samples + part, lane, x, y + part, slots[warp],
                          out);
    else
        fill<Packed>(image, canvas, columns, samples + part, lane, x, y + part, slots[warp], out);
}
