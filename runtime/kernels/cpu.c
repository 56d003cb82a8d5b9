/* Which instruction set runs: the best one of this machine, unless one is asked for. */
#include "instruction_sets.h"

#include <stdatomic.h>

#include "portable.h"

static void resample(const uint8_t *row, size_t readable, ptrdiff_t ahead,
                     const column_table *columns, int16_t *planes)
{
    (void)readable, (void)ahead;
    portable_resample_from(0, row, columns, planes);
}

static void blend(const int16_t *upper, const int16_t *lower, int16_t weight, int count,
                  int16_t *out)
{
    portable_blend(upper, lower, weight, count, out);
}

static void write_float16(const int16_t *values, int count, float scale, void *out)
{
    portable_write_float16(values, count, scale, out);
}

DEFINE_PORTABLE_LOOPS()

static const instruction_set portable = INSTRUCTION_SET("portable");

/* Best first. */
static const instruction_set *const known[] = {
#if defined(__x86_64__)
    &instruction_set_avx512,
    &instruction_set_avx2,
#elif defined(__aarch64__)
    &instruction_set_neon,
#endif
    &portable,
};

static int supported(const instruction_set *set)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    const int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("f16c");
    if (set == &instruction_set_avx2)
        return avx2;
    if (set == &instruction_set_avx512)
        return avx2 && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512f");
#endif
    (void)set;
    return 1;
}

/* The instruction set at a position among those supported, or NULL. */
static const instruction_set *supported_at(size_t position)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (supported(known[i]) && position-- == 0)
            return known[i];
    return NULL;
}

const char *kernels_supported(size_t position)
{
    const instruction_set *set = supported_at(position);
    return set ? set->name : NULL;
}

static _Atomic(const instruction_set *) chosen;

int kernels_choose(const char *name)
{
    const instruction_set *set;
    for (size_t i = 0; (set = supported_at(i)) != NULL; i++)
        if (name == NULL || strcmp(name, set->name) == 0) {
            atomic_store(&chosen, set);
            return 0;
        }
    return -1;
}

const instruction_set *kernels_instruction_set(void)
{
    const instruction_set *set = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (set == NULL) {
        kernels_choose(NULL);
        set = atomic_load(&chosen);
    }
    return set;
}
