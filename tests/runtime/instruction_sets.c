/* Letterboxes random frames with every instruction set of the machine it is built for and
 * compares each with the portable one, byte for byte. Prints the sets; exit status 1 if one
 * differs. For architectures other than the one that the tests run on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels.h"

enum { SIDE = 96, CANVAS = 3 * SIDE * SIDE };

static const int sizes[][2] = {
    {1, 1}, {1, 7}, {17, 31}, {96, 96}, {108, 192}, {231, 144}, {333, 500},
};

static void letterbox(const char *set, const unsigned char *frame, const int *size, int type,
                      void *out)
{
    letterbox_plan plan;
    void *memory = malloc(letterbox_memory(SIDE, SIDE));
    const int longest = size[0] > size[1] ? size[0] : size[1];
    const int rows = size[0] * SIDE / longest, columns = size[1] * SIDE / longest;
    const letterbox_output output = {type, 1, 114, 1 / 255.0f};
    if (kernels_choose(set) != 0)
        exit(2);
    letterbox_init(&plan, SIDE, SIDE, memory);
    letterbox_fit(&plan, size[0], size[1], (SIDE - rows) / 2, (SIDE - columns) / 2, rows, columns);
    letterbox_run(&plan, frame, 3 * size[1], &output, out);
    free(memory);
}

int main(void)
{
    static unsigned char expected[4 * CANVAS], found[4 * CANVAS];
    int differences = 0;
    kernels_choose(NULL);
    const char *best = kernels_instruction_set()->name;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        const size_t count = 3 * (size_t)sizes[s][0] * (size_t)sizes[s][1];
        unsigned char *frame = malloc(count); /* exactly: reading past it is seen by a sanitizer */
        for (size_t i = 0; i < count; i++)
            frame[i] = (unsigned char)(rand() >> 7);
        for (int type = ELEMENT_FLOAT32; type <= ELEMENT_UINT8; type++) {
            memset(expected, 0, sizeof expected);
            memset(found, 0, sizeof found);
            letterbox("portable", frame, sizes[s], type, expected);
            letterbox(best, frame, sizes[s], type, found);
            if (memcmp(expected, found, sizeof found) != 0) {
                printf("%s differs: frame %d x %d, element %d\n", best, sizes[s][1], sizes[s][0],
                       type);
                differences++;
            }
        }
        free(frame);
    }
    printf("%s\n", best);
    return differences != 0;
}
