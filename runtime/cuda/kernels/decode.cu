/* Boxes, probabilities and classes of the best candidates; nothing is decoded for any other anchor.
 *
 * Four threads decode one box, a side each. A box that is not a number stays so: suppression drops
 * it.
 */
#include "head.cuh"

constexpr int THREADS = 256, SIDES = 4;

/* Boxes that reach farther than this, in pixels, are cut: areas stay finite. */
constexpr float FAR_AWAY = 1e6f;

/* The level and the cell of an anchor. */
__device__ const Level &locate(const Head &head, int anchor, int &cell)
{
    int level = 0;
    while (level < head.levels - 1 && anchor >= head.level[level + 1].first)
        level++;
    cell = anchor - head.level[level].first;
    return head.level[level];
}

/* The expected distance of one side, in cells: softmax over the bins, then the mean bin. */
template <typename Value> __device__ float expected(const Value *bin, long long cells, int bins)
{
    float largest = to_float(bin[0]), flaw = 0.0f, sum = 0.0f, mean = 0.0f;
    for (int i = 0; i < bins; i++) {
        const float value = to_float(bin[i * cells]);
        largest = value > largest ? value : largest;
        flaw += value * 0.0f; /* the exponential forgets what is not finite */
    }
    for (int i = 0; i < bins; i++) {
        const float weight = exponential(to_float(bin[i * cells]) - largest);
        sum += weight;
        mean += weight * static_cast<float>(i);
    }
    return mean / sum + flaw;
}

/* One side of an anchor's box, in pixels of the network's input: x1, y1, x2, y2. */
template <typename Value>
__device__ float side_of(const Head &head, int image, int anchor, int side)
{
    int cell;
    const Level &level = locate(head, anchor, cell);
    const Level &holder = head.layout == DFL ? level : head.level[0];
    const Value *boxes = static_cast<const Value *>(holder.boxes) + image * holder.boxes_pitch;
    const int axis = side % 2, place = axis == 0 ? cell % level.width : cell / level.width;
    const float stride = static_cast<float>(level.stride);
    const float centre = static_cast<float>(place), sign = side < 2 ? -1.0f : 1.0f;
    if (head.layout == DFL) {
        const long long cells = level.cells;
        const float distance = expected(boxes + side * head.bins * cells + cell, cells, head.bins);
        return (centre + 0.5f + sign * distance) * stride;
    }
    if (head.layout == GRID) {
        const Value *row = boxes + static_cast<long long>(anchor) * (head.classes + 5);
        const float width = to_float(row[2]), height = to_float(row[3]);
        const float size = exponential(axis == 0 ? width : height) * stride;
        const float flaw = width * 0.0f + height * 0.0f;
        return (to_float(row[axis]) + centre) * stride + sign * ((size + flaw) * 0.5f);
    }
    if (head.layout == BOXES) {
        const long long anchors = head.anchors;
        const float middle = to_float(boxes[axis * anchors + anchor]);
        return middle + sign * (to_float(boxes[(axis + 2) * anchors + anchor]) * 0.5f);
    }
    return to_float(boxes[4 * static_cast<long long>(anchor) + side]);
}

template <typename Value>
__device__ void decode(const Head &head, const Key *best, int count, float *boxes, float *scores,
                       int *labels)
{
    const int thread = blockIdx.x * THREADS + threadIdx.x;
    const int place = thread / SIDES, side = thread % SIDES;
    if (place >= count)
        return;
    const long long at = static_cast<long long>(blockIdx.y) * count + place;
    const Key key = best[at];
    const unsigned index = index_of(key);
    float value = 0.0f;
    if (key != 0) {
        value = side_of<Value>(head, blockIdx.y, index / head.classes, side);
        value = value < -FAR_AWAY ? -FAR_AWAY : value;
        value = value > FAR_AWAY ? FAR_AWAY : value;
    }
    boxes[SIDES * at + side] = value;
    if (side != 0)
        return;
    const float raw = score_of(key);
    const float score = head.layout == DFL ? 1.0f / (1.0f + exponential(-raw)) : raw;
    scores[at] = key != 0 ? score : -1.0f;
    labels[at] = key != 0 ? static_cast<int>(index % head.classes) : -1;
}

/* best[images][count] to boxes[images][count][4], scores[images][count] (-1 where there are no
 * more), labels[images][count]. Grid: blocks of 64 candidates, images; 256 threads. */
#define DECODE(name, Value)                                                                        \
    extern "C" __global__ void __launch_bounds__(THREADS)                                          \
        decode_##name(const __grid_constant__ Head head, const Key *best, int count, float *boxes, \
                      float *scores, int *labels)                                                  \
    {                                                                                              \
        decode<Value>(head, best, count, boxes, scores, labels);                                   \
    }

DECODE(float16, Half)
DECODE(float32, float)
