/* The chain from raw outputs to detections, in a workspace of fixed size. */
#include "kernels.h"

#include <string.h>

#include "workspace.h"

/* Marks beside positions in `decoded`. */
enum { NOT_DECODED = -1, NO_BOX = -2 };

/* Room beyond the wanted candidates, so that sorting a full set is rare. */
enum { CANDIDATE_ROOM = 4096 };

static void lay_out(postprocessor *post, workspace *space)
{
    const size_t anchors = post->head.anchors, limit = post->options.max_candidates;
    const size_t detections = (size_t)post->options.nms.max_detections;
    const size_t columns = (detections + 15) / 16 * 16;
    candidate_set *set = &post->candidates;
    set->anchors = post->head.anchors;
    set->classes = post->head.classes;
    set->limit = limit;
    set->capacity = 2 * limit + CANDIDATE_ROOM;
    set->found = carve(space, set->capacity * sizeof *set->found);
    set->spare = carve(space, set->capacity * sizeof *set->spare);
    set->best = post->options.multi_label ? NULL : carve(space, anchors * sizeof *set->best);
    post->decoded = carve(space, anchors * sizeof *post->decoded);
    post->boxes = carve(space, limit * sizeof *post->boxes);
    post->scores = carve(space, limit * sizeof *post->scores);
    post->class_ids = carve(space, limit * sizeof *post->class_ids);
    post->positions = carve(space, detections * sizeof *post->positions);
    float **const coordinates[] = {&post->kept.x1, &post->kept.y1, &post->kept.x2, &post->kept.y2,
                                   &post->kept.area};
    for (size_t i = 0; i < sizeof coordinates / sizeof *coordinates; i++)
        *coordinates[i] = carve(space, columns * sizeof(float));
    post->kept.class_id = carve(space, columns * sizeof *post->kept.class_id);
}

size_t postprocess_memory(const head_shape *head, const postprocess_options *options)
{
    postprocessor post = {.head = *head, .options = *options};
    workspace space = measured_workspace();
    lay_out(&post, &space);
    return workspace_size(&space);
}

void postprocess_init(postprocessor *post, const head_shape *head,
                      const postprocess_options *options, void *memory)
{
    workspace space = workspace_in(memory);
    *post = (postprocessor){.head = *head, .options = *options};
    lay_out(post, &space);
}

/* Decode the boxes of `count` candidates, each anchor's once, and return how many have one. */
static int decode_all(postprocessor *post, const float *const *outputs, const frame_view *view,
                      size_t count)
{
    const uint32_t classes = post->head.classes;
    int number = 0;
    memset(post->decoded, NOT_DECODED, post->head.anchors * sizeof *post->decoded);
    for (size_t i = 0; i < count; i++) {
        const candidate found = post->candidates.found[i];
        const uint32_t anchor = candidate_index(found) / classes;
        const int32_t before = post->decoded[anchor];
        if (before == NO_BOX)
            continue;
        if (before >= 0) {
            memcpy(post->boxes[number], post->boxes[before], sizeof *post->boxes);
        } else if (decode_box(&post->head, outputs, anchor, view, post->boxes[number])) {
            post->decoded[anchor] = number;
        } else {
            post->decoded[anchor] = NO_BOX;
            continue;
        }
        post->scores[number] = decode_score(post->head.layout, candidate_score(found));
        post->class_ids[number] = (int32_t)(candidate_index(found) % classes);
        number++;
    }
    return number;
}

int postprocess_run(postprocessor *post, const float *const *outputs, const frame_view *view,
                    float (*boxes)[4], float *scores, int32_t *class_ids)
{
    candidates_clear(&post->candidates, post->options.threshold);
    decode_candidates(&post->head, outputs, &post->candidates);
    const size_t found = candidates_finish(&post->candidates);
    const int count = decode_all(post, outputs, view, found);
    const int kept = nms_run(&post->options.nms, (const float (*)[4])post->boxes, post->class_ids,
                             count, &post->kept, post->positions);
    for (int i = 0; i < kept; i++) {
        const int32_t position = post->positions[i];
        decode_to_frame(view, post->boxes[position], boxes[i]);
        scores[i] = post->scores[position];
        class_ids[i] = post->class_ids[position];
    }
    return kept;
}
