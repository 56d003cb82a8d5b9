/* Letterbox: bilinear with half-pixel centres, border, plane order and scale in one pass.
 *
 * Each row of the picture blends two rows of the frame, each resampled once; where the frame is
 * enlarged or little reduced, neighbouring rows of the picture share them. Values between the
 * two passes are Q7, weights Q15: the error is under 0.02 of a step of 8 bits.
 */
#include "kernels.h"

#include <string.h>

#include "portable.h"
#include "workspace.h"

enum { CHANNELS = 3 };

/* Instruction sets work on groups of up to 32 columns and may write a group whole. */
static int scratch_pitch(int width)
{
    return (width + 31) / 32 * 32;
}

static void lay_out(letterbox_plan *plan, workspace *space)
{
    const size_t height = (size_t)plan->height, pitch = (size_t)plan->table.pitch;
    plan->table.offsets = carve(space, pitch * sizeof(int32_t));
    plan->table.weights = carve(space, pitch * sizeof(int16_t));
    plan->row_indices = carve(space, height * sizeof(int32_t));
    plan->row_weights = carve(space, height * sizeof(int16_t));
    plan->resampled[0] = carve(space, CHANNELS * pitch * sizeof(int16_t));
    plan->resampled[1] = carve(space, CHANNELS * pitch * sizeof(int16_t));
    plan->blended = carve(space, CHANNELS * pitch * sizeof(int16_t));
}

size_t letterbox_memory(int height, int width)
{
    letterbox_plan plan = {.height = height, .table.pitch = scratch_pitch(width)};
    workspace space = measured_workspace();
    lay_out(&plan, &space);
    return workspace_size(&space);
}

void letterbox_init(letterbox_plan *plan, int height, int width, void *memory)
{
    workspace space = workspace_in(memory);
    *plan = (letterbox_plan){
        .height = height, .width = width, .table.pitch = scratch_pitch(width)};
    lay_out(plan, &space);
}

/* Where the centres of `count` pixels fall among `size` source pixels: the pixel before
 * (times `step`), and the weight of the one after, which is 0 where there is none. Pixel i falls at
 * ((2 i + 1) size - count) / (2 count), exactly. */
static void sample_positions(int count, int size, int step, int32_t *indices, int16_t *weights)
{
    const int64_t whole = 2 * (int64_t)count;
    for (int i = 0; i < count; i++) {
        const int64_t position = (2 * i + 1) * (int64_t)size - count;
        int64_t before = position / whole, weight = position % whole;
        if (position < 0)
            before = weight = 0;
        if (before >= size - 1) {
            before = size - 1;
            weight = 0;
        }
        const int64_t fixed = (weight * 32768 + count) / whole;
        indices[i] = (int32_t)before * step;
        weights[i] = (int16_t)(fixed > 32767 ? 32767 : fixed);
    }
}

void letterbox_fit(letterbox_plan *plan, int frame_height, int frame_width, int top, int left,
                   int rows, int columns)
{
    plan->frame_height = frame_height;
    plan->frame_width = frame_width;
    plan->top = top;
    plan->left = left;
    plan->rows = rows;
    plan->columns = columns;
    sample_positions(rows, frame_height, 1, plan->row_indices, plan->row_weights);
    sample_positions(columns, frame_width, CHANNELS, plan->table.offsets, plan->table.weights);
    plan->table.count = columns;
}

static size_t element_size(element type)
{
    static const size_t sizes[] = {4, 2, 1, 1};
    return sizes[type];
}

/* Write `count` elements of padding. */
static void pad(const letterbox_output *output, size_t count, void *out)
{
    if (output->type == ELEMENT_FLOAT32) {
        const float value = (float)(output->pad_value * 128) * (output->scale / 128.0f);
        float *floats = out;
        for (size_t i = 0; i < count; i++)
            floats[i] = value;
    } else if (output->type == ELEMENT_FLOAT16) {
        const uint16_t value =
            portable_half((float)(output->pad_value * 128) * (output->scale / 128.0f));
        uint16_t *halves = out;
        for (size_t i = 0; i < count; i++)
            halves[i] = value;
    } else {
        memset(out, output->pad_value - (output->type == ELEMENT_INT8 ? 128 : 0), count);
    }
}

static write_row *writer(const instruction_set *set, element type)
{
    switch (type) {
    case ELEMENT_FLOAT32: return set->write_float32;
    case ELEMENT_FLOAT16: return set->write_float16;
    case ELEMENT_INT8: return set->write_int8;
    default: return set->write_uint8;
    }
}

/* The frame being read, and which of its rows are resampled already. */
typedef struct {
    const uint8_t *frame;
    ptrdiff_t stride, ahead;
    int held[2];
} row_source;

/* Bytes that may be read from the start of a row: its own, and the next one's in memory. */
static size_t readable_bytes(const letterbox_plan *plan, int row, ptrdiff_t stride)
{
    const size_t own = (size_t)plan->frame_width * CHANNELS;
    const size_t distance = (size_t)(stride < 0 ? -stride : stride);
    const int last = stride < 0 ? 0 : plan->frame_height - 1;
    return row == last || distance < own ? own : distance + own;
}

/* Resample a row of the frame unless that is done, sparing the row `keep`. */
static const int16_t *fetch(row_source *source, const letterbox_plan *plan,
                            const instruction_set *set, int row, int keep)
{
    for (int slot = 0; slot < 2; slot++)
        if (source->held[slot] == row)
            return plan->resampled[slot];
    const int slot = source->held[0] == keep;
    source->held[slot] = row;
    set->resample(source->frame + row * source->stride, readable_bytes(plan, row, source->stride),
                  source->ahead, &plan->table, plan->resampled[slot]);
    return plan->resampled[slot];
}

/* Compute one row of the picture: three planes in Q7. */
static const int16_t *picture_row(row_source *source, const letterbox_plan *plan,
                                  const instruction_set *set, int y)
{
    const int row = plan->row_indices[y], next = plan->row_indices[y + (y + 1 < plan->rows)];
    const int16_t weight = plan->row_weights[y];
    source->ahead = (next - row) * source->stride;
    const int16_t *upper = fetch(source, plan, set, row, row + 1);
    if (weight == 0)
        return upper;
    const int16_t *lower = fetch(source, plan, set, row + 1, row);
    set->blend(upper, lower, weight, CHANNELS * plan->table.pitch, plan->blended);
    return plan->blended;
}

void letterbox_run(letterbox_plan *plan, const uint8_t *frame, ptrdiff_t stride,
                   const letterbox_output *output, void *out)
{
    const instruction_set *set = kernels_instruction_set();
    write_row *write = writer(set, output->type);
    row_source source = {.frame = frame, .stride = stride, .held = {-1, -1}};
    const size_t size = element_size(output->type);
    const size_t width = (size_t)plan->width, left = (size_t)plan->left;
    const size_t right = width - left - (size_t)plan->columns;
    const size_t above = width * (size_t)plan->top;
    const size_t below = width * (size_t)(plan->height - plan->top - plan->rows);
    char *line[CHANNELS]; /* of B, G, R */
    for (int c = 0; c < CHANNELS; c++) {
        const int plane = output->rgb ? CHANNELS - 1 - c : c;
        line[c] = (char *)out + (size_t)plane * width * (size_t)plan->height * size;
        pad(output, above, line[c]);
        line[c] += above * size;
    }
    for (int y = 0; y < plan->rows; y++) {
        const int16_t *values = picture_row(&source, plan, set, y);
        for (int c = 0; c < CHANNELS; c++) {
            pad(output, left, line[c]);
            write(values + c * plan->table.pitch, plan->columns, output->scale,
                  line[c] + left * size);
            pad(output, right, line[c] + (width - right) * size);
            line[c] += width * size;
        }
    }
    for (int c = 0; c < CHANNELS; c++)
        pad(output, below, line[c]);
}
