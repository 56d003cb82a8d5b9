/* CUDA on the host: what the kernels need of it, to run them where there is no GPU.
 *
 * Include it before a .cu file and compile both as C++. A block's threads are fibers, which take
 * turns: each runs until it waits for the others, in an order that `thread_order` shuffles. Blocks
 * run one after the other. Shared memory keeps what the block before left in it, as on a GPU.
 *
 * This shows whether a kernel computes what it should, whatever the order of its threads, and a
 * barrier that not all threads reach ends the program. It shows neither speed, nor data races
 * between barriers in all their forms, nor what only a GPU's compiler or memory may do.
 */
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <tuple>
#include <ucontext.h>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __launch_bounds__(...)
#define __grid_constant__
#define __shared__ static
#define __align__(bytes) __attribute__((aligned(bytes)))

struct dim3 {
    unsigned x, y, z;
};
static dim3 threadIdx, blockIdx, blockDim, gridDim;

struct __align__(8) short4 {
    short x, y, z, w;
};
struct __align__(8) uint2 {
    unsigned x, y;
};
struct __align__(16) uint4 {
    unsigned x, y, z, w;
};
struct __align__(16) float4 {
    float x, y, z, w;
};
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

/* ----------------------------------------------------------------------------------- threads */

namespace emulation {

constexpr unsigned WARP = 32;
constexpr size_t STACK = 64 << 10;

enum State { READY, AT_WARP_BARRIER, AT_BLOCK_BARRIER, DONE };

struct Fiber {
    ucontext_t context;
    std::vector<char> stack;
    State state;
    dim3 index;
};

static std::vector<Fiber> fibers;
static ucontext_t scheduler;
static size_t running;
static void (*entry)();
static unsigned thread_order; /* 0: forward, 1: backward, else a seed */

[[noreturn]] inline void fail(const char *what)
{
    std::fprintf(stderr, "emulated CUDA: %s (block %u %u %u, thread %zu)\n", what, blockIdx.x,
                 blockIdx.y, blockIdx.z, running);
    std::abort();
}

inline void wait_at(State barrier)
{
    fibers[running].state = barrier;
    swapcontext(&fibers[running].context, &scheduler);
}

inline void begin()
{
    entry();
    fibers[running].state = DONE;
}

/* Let those go on whose fellows all wait too; tell whether there were any. */
inline bool release(size_t first, size_t count, State barrier)
{
    size_t waiting = 0, done = 0;
    for (size_t i = first; i < first + count; i++) {
        waiting += fibers[i].state == barrier;
        done += fibers[i].state == DONE;
    }
    if (waiting == 0 || waiting + done < count)
        return false;
    if (done != 0)
        fail("threads wait for others that have ended");
    for (size_t i = first; i < first + count; i++)
        fibers[i].state = READY;
    return true;
}

inline void run_block()
{
    const size_t count = fibers.size();
    std::vector<size_t> order(count);
    for (size_t i = 0; i < count; i++) {
        Fiber &fiber = fibers[i];
        getcontext(&fiber.context);
        fiber.context.uc_stack = {fiber.stack.data(), 0, fiber.stack.size()};
        fiber.context.uc_link = &scheduler;
        makecontext(&fiber.context, begin, 0);
        fiber.state = READY;
        order[i] = thread_order == 1 ? count - 1 - i : i;
    }
    if (thread_order > 1)
        for (size_t i = count - 1, random = thread_order; i > 0; i--) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            std::swap(order[i], order[(random >> 33) % (i + 1)]);
        }
    for (bool active = true; active;) {
        active = false;
        for (size_t i : order)
            if (fibers[i].state == READY) {
                running = i;
                threadIdx = fibers[i].index;
                swapcontext(&scheduler, &fibers[i].context);
                active = true;
            }
        for (size_t first = 0; first < count; first += WARP)
            active |= release(first, std::min<size_t>(WARP, count - first), AT_WARP_BARRIER);
        active |= release(0, count, AT_BLOCK_BARRIER);
    }
    for (size_t i = 0; i < count; i++)
        if (running = i, fibers[i].state != DONE)
            fail("a thread waits for others that never come");
}

inline void set_up(dim3 block)
{
    blockDim = block;
    fibers.resize(block.x * block.y * block.z);
    for (size_t i = 0; i < fibers.size(); i++) {
        fibers[i].stack.resize(STACK);
        fibers[i].index = {unsigned(i % block.x), unsigned(i / block.x % block.y),
                           unsigned(i / block.x / block.y)};
    }
}

/* Run a kernel; `arguments` are the addresses of its arguments, as cuLaunchKernel takes them. */
template <typename... Types>
void launch(void (*kernel)(Types...), const unsigned *grid, const unsigned *block,
            void *const *arguments)
{
    static void (*called)(Types...);
    static std::tuple<std::remove_const_t<Types> *...> given;
    called = kernel;
    given = [&]<size_t... I>(std::index_sequence<I...>) {
        return std::tuple<std::remove_const_t<Types> *...>(
            static_cast<std::remove_const_t<Types> *>(arguments[I])...);
    }(std::index_sequence_for<Types...>{});
    entry = [] { std::apply([](auto *...argument) { called(*argument...); }, given); };
    set_up({block[0], block[1], block[2]});
    gridDim = {grid[0], grid[1], grid[2]};
    for (unsigned z = 0; z < gridDim.z; z++)
        for (unsigned y = 0; y < gridDim.y; y++)
            for (unsigned x = 0; x < gridDim.x; x++) {
                blockIdx = {x, y, z};
                run_block();
            }
}

/* What each lane of a warp offers the others. */
template <typename Value> Value *offer(const Value &value)
{
    static Value offered[32 * WARP];
    offered[running] = value;
    wait_at(AT_WARP_BARRIER);
    return offered + running / WARP * WARP;
}

} // namespace emulation

extern "C" void emulate_thread_order(unsigned order) { emulation::thread_order = order; }

/* Make a kernel callable from outside. */
#define EMULATED(kernel)                                                                           \
    extern "C" void emulate_##kernel(const unsigned *grid, const unsigned *block,                  \
                                     void *const *arguments)                                       \
    {                                                                                              \
        emulation::launch(kernel, grid, block, arguments);                                         \
    }

inline void __syncthreads() { emulation::wait_at(emulation::AT_BLOCK_BARRIER); }
inline void __syncwarp() { emulation::wait_at(emulation::AT_WARP_BARRIER); }

template <typename Value> Value __shfl_sync(unsigned, Value value, int lane)
{
    const Value taken = emulation::offer(value)[lane];
    __syncwarp();
    return taken;
}

template <typename Value> Value __shfl_xor_sync(unsigned mask, Value value, int distance)
{
    return __shfl_sync(mask, value, int(emulation::running % emulation::WARP) ^ distance);
}

inline unsigned __ballot_sync(unsigned, bool vote)
{
    const bool *votes = emulation::offer(vote);
    unsigned all = 0;
    for (unsigned lane = 0; lane < emulation::WARP; lane++)
        all |= unsigned(votes[lane]) << lane;
    __syncwarp();
    return all;
}

inline unsigned atomicAdd(unsigned *where, unsigned more)
{
    const unsigned before = *where;
    *where += more;
    return before;
}

/* -------------------------------------------------------------------------------- arithmetic */

template <typename A, typename B> constexpr auto min(A a, B b)
{
    return b < static_cast<std::common_type_t<A, B>>(a) ? static_cast<std::common_type_t<A, B>>(b) : a;
}
template <typename A, typename B> constexpr auto max(A a, B b)
{
    return static_cast<std::common_type_t<A, B>>(a) < b ? static_cast<std::common_type_t<A, B>>(b) : a;
}

/* What `__ldg` may read; anything while there is no limit. */
static const char *readable, *readable_end;

extern "C" void emulate_readable(const char *from, size_t size)
{
    readable = from;
    readable_end = from + size;
}

template <typename Value> Value __ldg(const Value *from)
{
    const char *first = reinterpret_cast<const char *>(from);
    if (readable != nullptr && (first < readable || first + sizeof(Value) > readable_end))
        emulation::fail("a read outside of what may be read");
    return *from;
}

inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline int __ffs(unsigned bits) { return __builtin_ffs(int(bits)); }

template <typename To, typename From> To same_bits(From from)
{
    To to;
    static_assert(sizeof to == sizeof from);
    std::memcpy(&to, &from, sizeof to);
    return to;
}
inline unsigned __float_as_uint(float value) { return same_bits<unsigned>(value); }
inline float __uint_as_float(unsigned bits) { return same_bits<float>(bits); }

/* Four of the eight bytes of two words, chosen by the digits of `selector`. */
inline unsigned __byte_perm(unsigned low, unsigned high, unsigned selector)
{
    const unsigned long long bytes = low | static_cast<unsigned long long>(high) << 32;
    unsigned chosen = 0;
    for (int i = 0; i < 4; i++)
        chosen |= unsigned(bytes >> 8 * (selector >> 4 * i & 7) & 0xff) << 8 * i;
    return chosen;
}

/* Two 16-bit factors with the two low, or high, bytes. */
inline unsigned __dp2a_lo(unsigned factors, unsigned bytes, unsigned sum)
{
    return sum + (factors & 0xffff) * (bytes & 0xff) + (factors >> 16) * (bytes >> 8 & 0xff);
}
inline unsigned __dp2a_hi(unsigned factors, unsigned bytes, unsigned sum)
{
    return __dp2a_lo(factors, bytes >> 16, sum);
}

inline float float_of_half(unsigned short bits) { return float(same_bits<_Float16>(bits)); }
inline unsigned short half_of_float(float value)
{
    return same_bits<unsigned short>(_Float16(value));
}
