/* The best candidates of each image, sorted.
 *
 * One block an image. Where more were found than can be sorted in shared memory, a radix selection
 * first finds a bound that enough of them, but not too many, reach: digit by digit from the top, of
 * eight bits each, counting in a histogram those that share the digits chosen so far. Candidates
 * are all different, so the last digit leaves exactly as many as are wanted.
 */
#include "head.cuh"

constexpr int THREADS = 512, ROOM = 2048, DIGITS = 256;

/* Find `bound` and the mask of the digits that count, so that between `wanted` and ROOM of the
 * keys have (key & mask) >= bound. */
__device__ void find_bound(const Key *keys, unsigned count, unsigned wanted, Key &bound, Key &mask)
{
    __shared__ unsigned histogram[DIGITS];
    __shared__ unsigned digit, above;
    bound = mask = 0;
    unsigned sure = 0; /* keys above the bound, whatever their other digits */
    for (int shift = 56; shift >= 0; shift -= 8) {
        for (int i = threadIdx.x; i < DIGITS; i += THREADS)
            histogram[i] = 0;
        __syncthreads();
        for (unsigned i = threadIdx.x; i < count; i += THREADS)
            if ((keys[i] & mask) == bound)
                atomicAdd(&histogram[keys[i] >> shift & 0xff], 1u);
        __syncthreads();
        if (threadIdx.x < DIGITS) {
            unsigned more = sure;
            for (int i = threadIdx.x + 1; i < DIGITS; i++)
                more += histogram[i];
            if (more < wanted && more + histogram[threadIdx.x] >= wanted) { /* true of one */
                digit = threadIdx.x;
                above = more;
            }
        }
        __syncthreads();
        bound |= static_cast<Key>(digit) << shift;
        mask |= static_cast<Key>(0xff) << shift;
        sure = above;
        const unsigned reached = sure + histogram[digit];
        __syncthreads();
        if (reached <= ROOM)
            return;
    }
}

/* Sort a power of two of keys downwards (bitonic). */
__device__ void sort(Key *keys, unsigned count)
{
    for (unsigned size = 2; size <= count; size *= 2)
        for (unsigned distance = size / 2; distance > 0; distance /= 2) {
            __syncthreads();
            for (unsigned i = threadIdx.x; i < count / 2; i += THREADS) {
                const unsigned low = 2 * i - (i & (distance - 1)), high = low + distance;
                const Key first = keys[low], second = keys[high];
                if ((first < second) == ((low & size) == 0)) {
                    keys[low] = second;
                    keys[high] = first;
                }
            }
        }
    __syncthreads();
}

/* best[images][wanted], falling, 0 where there are no more. `found` is 0 again afterwards, ready
 * for the next batch. `wanted` is at most 2048. Grid: images; blocks of 512 threads. */
extern "C" __global__ void __launch_bounds__(THREADS)
    rank(const Key *keys, unsigned *found, long long capacity, unsigned wanted, Key *best)
{
    __shared__ Key sorted[ROOM];
    __shared__ unsigned taken;
    const unsigned count = found[blockIdx.x];
    keys += blockIdx.x * capacity;
    best += static_cast<long long>(blockIdx.x) * wanted;
    if (threadIdx.x == 0)
        taken = 0;
    for (unsigned i = threadIdx.x; i < ROOM; i += THREADS)
        sorted[i] = 0;
    Key bound = 0, mask = 0;
    if (count > ROOM)
        find_bound(keys, count, wanted, bound, mask);
    __syncthreads();
    for (unsigned i = threadIdx.x; i < count; i += THREADS)
        if ((keys[i] & mask) >= bound)
            sorted[atomicAdd(&taken, 1u)] = keys[i];
    __syncthreads();
    unsigned size = 2;
    while (size < taken)
        size *= 2;
    sort(sorted, size);
    for (unsigned i = threadIdx.x; i < wanted; i += THREADS)
        best[i] = sorted[i];
    if (threadIdx.x == 0)
        found[blockIdx.x] = 0;
}
