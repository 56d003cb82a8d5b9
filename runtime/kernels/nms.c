/* Greedy non-maximum suppression: each box, best first, against those kept so far. */
#include "kernels.h"

static void keep(const box_columns *kept, int position, const float box[4], int32_t class_id)
{
    kept->x1[position] = box[0];
    kept->y1[position] = box[1];
    kept->x2[position] = box[2];
    kept->y2[position] = box[3];
    kept->area[position] = (box[2] - box[0]) * (box[3] - box[1]);
    kept->class_id[position] = class_id;
}

int nms_run(const nms_options *options, const float (*boxes)[4], const int32_t *class_ids,
            int count, const box_columns *kept, int32_t *positions)
{
    const instruction_set *set = kernels_instruction_set();
    int number = 0;
    for (int i = 0; i < count && number < options->max_detections; i++) {
        const int32_t class_id = options->class_agnostic ? 0 : class_ids[i];
        if (set->overlaps_any(kept, number, boxes[i], class_id, options->iou))
            continue;
        keep(kept, number, boxes[i], class_id);
        positions[number++] = i;
    }
    return number;
}
