/* From raw outputs to scores and boxes, for each layout of a detector's head.
 *
 * Scores are scanned whole; boxes are decoded for chosen anchors only.
 */
#include "kernels.h"

#include <math.h>
#include <string.h>

/* Boxes that reach farther than this, in pixels, are cut: areas stay finite. */
static const float FAR_AWAY = 1e6f;

/* e^x to 2 units in the last place for x in [-87, 88], to which x is clamped (Cody and Waite's
 * reduction to |r| <= ln(2)/2, then e^r by its minimax polynomial). */
static inline float exponential(float x)
{
    const float round_to_integer = 12582912.0f; /* 1.5 * 2^23 */
    x = x > -87.0f ? x : -87.0f;
    x = x < 88.0f ? x : 88.0f;
    const float n = (x * 1.44269504f + round_to_integer) - round_to_integer;
    const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    const int32_t bits = ((int32_t)n + 127) << 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    return p * power;
}

float decode_score(head_layout layout, float raw)
{
    return layout == LAYOUT_DFL ? 1.0f / (1.0f + exponential(-raw)) : raw;
}

/* ------------------------------------------------------------------------------- candidates */

static void scan_planes(const float *planes, uint32_t classes, uint32_t cells, uint32_t anchor,
                        candidate_set *set)
{
    for (uint32_t c = 0; c < classes; c++)
        candidates_scan(set, planes + (size_t)c * cells, cells, 1.0f, anchor * classes + c,
                        classes);
}

static void scan_grid(const float *rows, uint32_t anchors, uint32_t classes, candidate_set *set)
{
    const size_t size = 5 + (size_t)classes;
    for (uint32_t anchor = 0; anchor < anchors; anchor++) {
        const float *row = rows + anchor * size;
        const float objectness = row[4];
        if (objectness >= set->threshold) /* probabilities of classes are at most 1 */
            candidates_scan(set, row + 5, classes, objectness, anchor * classes, 1);
    }
}

void decode_candidates(const head_shape *head, const float *const *outputs, candidate_set *set)
{
    uint32_t anchor = 0;
    switch (head->layout) {
    case LAYOUT_DFL:
        for (int level = 0; level < head->levels; level++) {
            const uint32_t cells = (uint32_t)(head->heights[level] * head->widths[level]);
            scan_planes(outputs[level], head->classes, cells, anchor, set);
            anchor += cells;
        }
        break;
    case LAYOUT_GRID:
        scan_grid(outputs[0], head->anchors, head->classes, set);
        break;
    case LAYOUT_BOXES:
        scan_planes(outputs[0] + 4 * (size_t)head->anchors, head->classes, head->anchors, 0, set);
        break;
    case LAYOUT_DECODED:
        candidates_scan(set, outputs[1], (size_t)head->anchors * head->classes, 1.0f, 0, 1);
        break;
    }
}

/* ------------------------------------------------------------------------------------ boxes */

/* Find an anchor's level and cell; returns the level. */
static int locate(const head_shape *head, uint32_t anchor, uint32_t *cell)
{
    int level = 0;
    for (; level < head->levels - 1; level++) {
        const uint32_t cells = (uint32_t)(head->heights[level] * head->widths[level]);
        if (anchor < cells)
            break;
        anchor -= cells;
    }
    *cell = anchor;
    return level;
}

/* Expected distances, in cells, of the four sides: softmax over bins, then the mean bin.
 * A side with a value that is not finite gives NaN. */
static void expected_distances(const float *planes, size_t cells, int bins, float distances[4])
{
    float values[MAX_BINS][4], largest[4], sum[4] = {0}, mean[4] = {0}, flaw[4] = {0};
    for (int bin = 0; bin < bins; bin++)
        for (int side = 0; side < 4; side++)
            values[bin][side] = planes[(size_t)(side * bins + bin) * cells];
    memcpy(largest, values[0], sizeof largest);
    for (int bin = 0; bin < bins; bin++)
        for (int side = 0; side < 4; side++) {
            const float value = values[bin][side];
            largest[side] = value > largest[side] ? value : largest[side];
            flaw[side] += value * 0.0f;
        }
    for (int bin = 0; bin < bins; bin++)
        for (int side = 0; side < 4; side++) {
            const float weight = exponential(values[bin][side] - largest[side]);
            sum[side] += weight;
            mean[side] += weight * (float)bin;
        }
    for (int side = 0; side < 4; side++)
        distances[side] = mean[side] / sum[side] + flaw[side];
}

static void dfl_box(const head_shape *head, const float *const *outputs, uint32_t anchor,
                    float box[4])
{
    uint32_t cell;
    float distances[4];
    const int level = locate(head, anchor, &cell);
    const uint32_t width = (uint32_t)head->widths[level];
    const size_t cells = (size_t)head->heights[level] * width;
    const float stride = (float)head->strides[level];
    const float x = (float)(cell % width) + 0.5f, y = (float)(cell / width) + 0.5f;
    expected_distances(outputs[head->levels + level] + cell, cells, head->bins, distances);
    box[0] = (x - distances[0]) * stride;
    box[1] = (y - distances[1]) * stride;
    box[2] = (x + distances[2]) * stride;
    box[3] = (y + distances[3]) * stride;
}

static void corners(float x, float y, float width, float height, float box[4])
{
    box[0] = x - width * 0.5f;
    box[1] = y - height * 0.5f;
    box[2] = x + width * 0.5f;
    box[3] = y + height * 0.5f;
}

static void grid_box(const head_shape *head, const float *rows, uint32_t anchor, float box[4])
{
    uint32_t cell;
    const int level = locate(head, anchor, &cell);
    const uint32_t width = (uint32_t)head->widths[level];
    const float stride = (float)head->strides[level];
    const float *row = rows + anchor * (5 + (size_t)head->classes);
    const float flaw = row[2] * 0.0f + row[3] * 0.0f; /* the exponential forgets NaN */
    corners((row[0] + (float)(cell % width)) * stride, (row[1] + (float)(cell / width)) * stride,
            exponential(row[2]) * stride + flaw, exponential(row[3]) * stride + flaw, box);
}

static float clamp(float value, float least, float most)
{
    value = value > least ? value : least;
    return value < most ? value : most;
}

void decode_to_frame(const frame_view *view, const float box[4], float out[4])
{
    out[0] = clamp((box[0] - view->left) / view->scale, 0.0f, view->width);
    out[1] = clamp((box[1] - view->top) / view->scale, 0.0f, view->height);
    out[2] = clamp((box[2] - view->left) / view->scale, 0.0f, view->width);
    out[3] = clamp((box[3] - view->top) / view->scale, 0.0f, view->height);
}

int decode_box(const head_shape *head, const float *const *outputs, uint32_t anchor,
               const frame_view *view, float box[4])
{
    float inside[4];
    const size_t anchors = head->anchors;
    switch (head->layout) {
    case LAYOUT_DFL:
        dfl_box(head, outputs, anchor, box);
        break;
    case LAYOUT_GRID:
        grid_box(head, outputs[0], anchor, box);
        break;
    case LAYOUT_BOXES:
        corners(outputs[0][anchor], outputs[0][anchors + anchor], outputs[0][2 * anchors + anchor],
                outputs[0][3 * anchors + anchor], box);
        break;
    case LAYOUT_DECODED:
        memcpy(box, outputs[0] + 4 * (size_t)anchor, 4 * sizeof *box);
        break;
    }
    for (int i = 0; i < 4; i++) {
        if (isnan(box[i]))
            return 0;
        box[i] = clamp(box[i], -FAR_AWAY, FAR_AWAY);
    }
    decode_to_frame(view, box, inside);
    return inside[0] < inside[2] && inside[1] < inside[3];
}
