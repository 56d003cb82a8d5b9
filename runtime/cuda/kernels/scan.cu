/* All raw scores of a batch against a threshold: those that reach it become candidates.
 *
 * They land in the order in which threads come by, and the next kernel sorts them. No NaN passes.
 */
#include "head.cuh"

constexpr int THREADS = 256, LANES = 32, RUN = 8;

/* Where one image's candidates go: room for all there can be. */
struct Sink {
    Key *keys;
    unsigned *found;

    __device__ void add(Key key) const { keys[atomicAdd(found, 1u)] = key; }
};

__device__ inline Sink sink_of(Key *keys, unsigned *found, long long capacity, int image)
{
    return {keys + image * capacity, found + image};
}

/* Read eight values, of which `left` exist; NaN stands for the others. */
__device__ inline void read(const Half *from, long long left, float (&values)[RUN])
{
    if (left >= RUN && (reinterpret_cast<unsigned long long>(from) & 15) == 0) {
        const uint4 four = __ldg(reinterpret_cast<const uint4 *>(from));
        const unsigned words[] = {four.x, four.y, four.z, four.w};
        for (int i = 0; i < RUN; i++)
            values[i] = to_float(Half{static_cast<unsigned short>(words[i / 2] >> 16 * (i % 2))});
    } else {
        for (int i = 0; i < RUN; i++)
            values[i] = i < left ? to_float(from[i]) : __uint_as_float(0x7fffffffu);
    }
}

__device__ inline void read(const float *from, long long left, float (&values)[RUN])
{
    if (left >= RUN && (reinterpret_cast<unsigned long long>(from) & 15) == 0) {
        const float4 low = __ldg(reinterpret_cast<const float4 *>(from));
        const float4 high = __ldg(reinterpret_cast<const float4 *>(from) + 1);
        const float all[] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
        for (int i = 0; i < RUN; i++)
            values[i] = all[i];
    } else {
        for (int i = 0; i < RUN; i++)
            values[i] = i < left ? from[i] : __uint_as_float(0x7fffffffu);
    }
}

/* DFL and BOXES, several labels an anchor: planes of scores, read from end to end.
 * Grid: blocks of 2048 scores, levels, images. */
template <typename Value>
__device__ void scan_planes(const Head &head, float least, const Sink &sink)
{
    const Level &level = head.level[blockIdx.y];
    const long long start = (static_cast<long long>(blockIdx.x) * THREADS + threadIdx.x) * RUN;
    const long long count = static_cast<long long>(head.classes) * level.cells;
    if (start >= count)
        return;
    const Value *scores = static_cast<const Value *>(level.scores) + blockIdx.z * level.scores_pitch;
    float values[RUN];
    read(scores + start, count - start, values);
    for (int i = 0; i < RUN; i++)
        if (values[i] >= least) {
            const unsigned place = static_cast<unsigned>(start) + i;
            const unsigned label = place / level.cells, cell = place - label * level.cells;
            sink.add(key_of(values[i], (level.first + cell) * head.classes + label));
        }
}

/* DFL and BOXES, the best label of an anchor: a thread looks through the planes of one cell.
 * Grid: blocks of 256 cells, levels, images. */
template <typename Value>
__device__ void scan_columns(const Head &head, float least, const Sink &sink)
{
    const Level &level = head.level[blockIdx.y];
    const int cell = blockIdx.x * THREADS + threadIdx.x;
    if (cell >= level.cells)
        return;
    const Value *scores =
        static_cast<const Value *>(level.scores) + blockIdx.z * level.scores_pitch + cell;
    Key best = 0;
    for (int label = 0; label < head.classes; label++) {
        const float score = to_float(scores[static_cast<long long>(label) * level.cells]);
        if (score >= least)
            best = max(best, key_of(score, (level.first + cell) * head.classes + label));
    }
    if (best != 0)
        sink.add(best);
}

/* GRID and DECODED: a warp reads the row of one anchor. Grid: blocks of 8 anchors, 1, images. */
template <typename Value>
__device__ void scan_rows(const Head &head, float least, int multi_label, const Sink &sink)
{
    const Level &level = head.level[0];
    const int anchor = (blockIdx.x * THREADS + threadIdx.x) / LANES, lane = threadIdx.x % LANES;
    if (anchor >= head.anchors)
        return;
    const int pitch = head.layout == GRID ? head.classes + 5 : head.classes;
    const Value *scores = static_cast<const Value *>(level.scores) +
                          blockIdx.z * level.scores_pitch + static_cast<long long>(anchor) * pitch;
    const float factor = head.layout == GRID ? to_float(scores[-1]) : 1.0f; /* objectness */
    if (head.layout == GRID && !(factor >= least))
        return; /* probabilities of classes are at most 1 */
    Key best = 0;
    for (int label = lane; label < head.classes; label += LANES) {
        const float score = to_float(scores[label]) * factor;
        if (!(score >= least))
            continue;
        const Key key = key_of(score, anchor * head.classes + label);
        if (multi_label)
            sink.add(key);
        else
            best = max(best, key);
    }
    if (multi_label)
        return;
    for (int distance = LANES / 2; distance > 0; distance /= 2)
        best = max(best, __shfl_xor_sync(0xffffffffu, best, distance));
    if (lane == 0 && best != 0)
        sink.add(best);
}

/* least[1], the score that passes; keys[images][capacity]; found[images], 0 at the start.
 * Blocks of 256 threads. */
#define SCAN(name, Value)                                                                          \
    extern "C" __global__ void __launch_bounds__(THREADS)                                          \
        scan_planes_##name(const __grid_constant__ Head head, const float *least, Key *keys,       \
                           unsigned *found, long long capacity)                                    \
    {                                                                                              \
        scan_planes<Value>(head, *least, sink_of(keys, found, capacity, blockIdx.z));           \
    }                                                                                              \
    extern "C" __global__ void __launch_bounds__(THREADS)                                          \
        scan_columns_##name(const __grid_constant__ Head head, const float *least, Key *keys,      \
                            unsigned *found, long long capacity)                                   \
    {                                                                                              \
        scan_columns<Value>(head, *least, sink_of(keys, found, capacity, blockIdx.z));          \
    }                                                                                              \
    extern "C" __global__ void __launch_bounds__(THREADS)                                          \
        scan_rows_##name(const __grid_constant__ Head head, const float *least, int multi_label,   \
                         Key *keys, unsigned *found, long long capacity)                           \
    {                                                                                              \
        scan_rows<Value>(head, *least, multi_label,                                             \
                         sink_of(keys, found, capacity, blockIdx.z));                              \
    }

SCAN(float16, Half)
SCAN(float32, float)
