/* Which scores are worth decoding a box for.
 *
 * The set is bounded: when it is full, its best `limit` stay and the threshold rises to the
 * least of them, so that the time for any input is a scan and a few sorts.
 */
#include "kernels.h"

#include <string.h>

/* Floats as integers of the same order (both zeros alike). */
static uint32_t ordered(float score)
{
    uint32_t bits;
    score += 0.0f; /* -0 + 0 is 0 */
    memcpy(&bits, &score, sizeof bits);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

float candidate_score(candidate c)
{
    uint32_t bits = (uint32_t)(c >> 32);
    float score;
    bits = bits & 0x80000000u ? bits & 0x7fffffffu : ~bits;
    memcpy(&score, &bits, sizeof score);
    return score;
}

uint32_t candidate_index(candidate c)
{
    return ~(uint32_t)c;
}

void candidates_clear(candidate_set *set, float threshold)
{
    set->count = 0;
    set->threshold = threshold;
    if (set->best != NULL)
        memset(set->best, 0, set->anchors * sizeof *set->best);
}

static void insertion_sort(candidate *keys, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        const candidate key = keys[i];
        size_t k = i;
        for (; k > 0 && keys[k - 1] < key; k--)
            keys[k] = keys[k - 1];
        keys[k] = key;
    }
}

/* Sort downwards: by bytes from the last to the first, leaving out those that all share. */
static void sort(candidate_set *set)
{
    enum { BYTES = 8, VALUES = 256, FEW = 64 };
    const size_t count = set->count;
    uint32_t histograms[BYTES][VALUES];
    if (count <= FEW) {
        insertion_sort(set->found, count);
        return;
    }
    memset(histograms, 0, sizeof histograms);
    for (size_t i = 0; i < count; i++)
        for (int byte = 0; byte < BYTES; byte++)
            histograms[byte][set->found[i] >> 8 * byte & 0xff]++;
    for (int byte = 0; byte < BYTES; byte++) {
        uint32_t *histogram = histograms[byte], start = 0;
        if (histogram[set->found[0] >> 8 * byte & 0xff] == count)
            continue;
        for (int value = VALUES - 1; value >= 0; value--) {
            const uint32_t many = histogram[value];
            histogram[value] = start;
            start += many;
        }
        for (size_t i = 0; i < count; i++)
            set->spare[histogram[set->found[i] >> 8 * byte & 0xff]++] = set->found[i];
        candidate *sorted = set->spare;
        set->spare = set->found;
        set->found = sorted;
    }
}

static void keep_best(candidate_set *set)
{
    sort(set);
    if (set->count > set->limit)
        set->count = set->limit;
}

static void add(candidate_set *set, candidate c)
{
    if (set->count == set->capacity) {
        keep_best(set);
        const float least = candidate_score(set->found[set->count - 1]);
        if (least > set->threshold)
            set->threshold = least;
    }
    set->found[set->count++] = c;
}

void candidates_scan(candidate_set *set, const float *values, size_t count, float factor,
                     uint32_t first, uint32_t step)
{
    const instruction_set *instructions = kernels_instruction_set();
    size_t i = 0;
    while ((i = instructions->next_at_least(values, i, count, factor, set->threshold)) < count) {
        const uint32_t index = first + (uint32_t)i * step;
        const candidate c = (candidate)ordered(values[i] * factor) << 32 | (uint32_t)~index;
        if (set->best == NULL) {
            add(set, c);
        } else {
            candidate *best = &set->best[index / set->classes];
            if (c > *best)
                *best = c;
        }
        i++;
    }
}

size_t candidates_finish(candidate_set *set)
{
    if (set->best != NULL)
        for (uint32_t anchor = 0; anchor < set->anchors; anchor++)
            if (set->best[anchor] != 0)
                add(set, set->best[anchor]);
    keep_best(set);
    return set->count;
}
