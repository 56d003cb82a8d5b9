/* Letterbox: bilinear with half-pixel centres, border, colours, plane order and scale, for a whole
 * batch in one launch.
 *
 * The arithmetic is that of the C kernels (runtime/kernels/letterbox.c): weights in Q15, values
 * between the two passes in Q7. YUV is interpolated as such and converted once.
 *
 * A warp fills 128 pixels of one row of the canvas, four neighbours a lane, so that it stores whole
 * cache lines. It brings the one or two rows of the frame that it samples into shared memory first
 * (see staging.cuh). Where the columns of the canvas fall in the frame is worked out once a block,
 * for its eight warps.
 */
#include "elements.cuh"
#include "formats.cuh"

constexpr int WARPS = 8, PIXELS = TILE / LANES;
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
constexpr int BLOCKS = 5; /* that shall fit on a multiprocessor: bounds the registers */
#else
constexpr int BLOCKS = 2; /* shared memory allows no more */
#endif
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

/* upper + (lower - upper) weight, in Q7 with the weight in Q15. */
__device__ inline int between(int upper, int lower, int weight)
{
    return (upper * (32768 - weight) + lower * weight + 16384) >> 15;
}

/* Compute four neighbouring pixels: three planes in Q7. */
template <typename Rows>
__device__ void picture(const Image &image, const Sample &row, const Columns &columns, int lane,
                        unsigned char (*slots)[SLOT], int (&values)[3][PIXELS])
{
    Rows upper, lower;
    upper.stage(image, row.before, columns, lane, slots[0]);
    if (row.weight)
        lower.stage(image, row.before + 1, columns, lane, slots[1]);
    copies_done();
    for (int i = 0; i < PIXELS; i++) {
        const int place = PIXELS * lane + i, local = columns.local(place);
        const unsigned weights = columns.column[place].weights;
        Pixel pixel = upper.across(local, weights);
        if (row.weight) {
            const Pixel below = lower.across(local, weights);
            for (int c = 0; c < 3; c++)
                pixel.channel[c] = between(pixel.channel[c], below.channel[c], row.weight);
        }
        if (Rows::YUV)
            pixel = to_bgr(pixel, image.colours);
        for (int c = 0; c < 3; c++)
            values[c][i] = pixel.channel[c];
    }
}

/* Canvases out[images][3][height][width], aligned to 16 bytes, their width a multiple of 4.
 * Grid: tiles of 128 x 8 pixels, and images; block: (32, 8). */
extern "C" __global__ void __launch_bounds__(LANES * WARPS, BLOCKS)
    letterbox(const __grid_constant__ Images images, const __grid_constant__ Canvas canvas,
              void *out)
{
    const Image &image = images.image[blockIdx.z];
    __shared__ Column column[TILE];
    __shared__ Sample samples[WARPS];
    __shared__ __align__(16) unsigned char slots[WARPS][2][SLOT];
    const int lane = threadIdx.x, warp = threadIdx.y, thread = warp * LANES + lane;
    const int x = blockIdx.x * TILE, y = blockIdx.y * WARPS;
    if (thread < TILE) {
        const int place = min(max(x + thread - image.left, 0), image.columns - 1);
        const Sample at = sample(place, image.columns, image.width);
        const unsigned weight = at.weight;
        column[thread] = {at.before, (32768 - weight) | weight << 16};
    } else if (thread < TILE + WARPS) {
        const int place = min(max(y + thread - TILE - image.top, 0), image.rows - 1);
        samples[thread - TILE] = sample(place, image.rows, image.height);
    }
    __syncthreads();

    const int row = y + warp, left = x + PIXELS * lane;
    if (row >= canvas.height)
        return;
    int values[3][PIXELS] = {};
    const bool inside = row >= image.top && row < image.top + image.rows;
    if (inside) {
        const Columns columns(column, image.width);
        if (image.format == NV12)
            picture<SemiPlanar>(image, samples[warp], columns, lane, slots[warp], values);
        else if (image.format == YUYV)
            picture<Interleaved>(image, samples[warp], columns, lane, slots[warp], values);
        else
            picture<Packed>(image, samples[warp], columns, lane, slots[warp], values);
    }
    if (left >= canvas.width)
        return;
    for (int i = 0; i < PIXELS; i++)
        if (!inside || left + i < image.left || left + i >= image.left + image.columns)
            for (int c = 0; c < 3; c++)
                values[c][i] = canvas.pad << 7;
    const bool reversed = (image.format == RGB) != (canvas.rgb != 0);
    const long long plane = static_cast<long long>(canvas.height) * canvas.width;
    for (int c = 0; c < 3; c++) {
        const long long first = plane * (3 * blockIdx.z + (reversed ? 2 - c : c));
        const long long at = first + static_cast<long long>(row) * canvas.width + left;
        store(canvas.element, out, at, values[c], canvas.step);
    }
}
