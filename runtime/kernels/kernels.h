/* The per-frame work of the runtime: letterbox, choice of candidates, box decoding, NMS, tracking.
 *
 * Nothing here allocates or blocks; callers own all memory. The only global state is the
 * instruction set. Results do not depend on it: integers are computed alike everywhere, and
 * floats are added, multiplied and compared in one fixed order, never fused.
 */
#ifndef EDGE_SDK_KERNELS_H
#define EDGE_SDK_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* ------------------------------------------------------------------------------------ cpu.c */

/* Boxes that suppression keeps, coordinate by coordinate; capacities are multiples of 16. */
typedef struct {
    float *x1, *y1, *x2, *y2, *area;
    int32_t *class_id;
} box_columns;

/* How the columns of a picture fall between those of the frame. */
typedef struct {
    int count, pitch;          /* `pitch` elements lie between the planes of a row */
    int32_t *offsets;          /* [pitch] of the pixels to the left, in bytes; rising */
    int16_t *weights;          /* [pitch] of the pixels to the right, in Q15 */
} column_table;

/* Write `count` values in Q7 as elements of one type; floats are multiplied by `scale`. */
typedef void write_row(const int16_t *values, int count, float scale, void *out);

/* The inner loops that exist once an instruction set. */
typedef struct {
    const char *name;

    /* Interpolate a row of BGR bytes into three planes (B, G, R) in Q7. `readable` bytes from
     * `row` may be read; the bytes `ahead` of those are wanted soon. */
    void (*resample)(const uint8_t *row, size_t readable, ptrdiff_t ahead,
                     const column_table *columns, int16_t *planes);

    /* Interpolate between two rows of `count` values in Q7; weight of the lower one in Q15. */
    void (*blend)(const int16_t *upper, const int16_t *lower, int16_t weight, int count,
                  int16_t *out);

    write_row *write_float32, *write_float16, *write_int8, *write_uint8;

    /* First i in [start, count) with values[i] * factor >= threshold, or count; no NaN passes. */
    size_t (*next_at_least)(const float *values, size_t start, size_t count, float factor,
                            float threshold);

    /* Whether a box overlaps one of the first `count` boxes of its class by more than `limit`. */
    int (*overlaps_any)(const box_columns *kept, int count, const float box[4], int32_t class_id,
                        float limit);
} instruction_set;

const instruction_set *kernels_instruction_set(void);

/* Choose by name ("portable", "avx2", "avx512", "neon"), or the best one for NULL.
 * Returns 0, or -1 if this machine or this build has no such instruction set. */
int kernels_choose(const char *name);

/* Name what kernels_choose() takes here, best first; NULL after the last. */
const char *kernels_supported(size_t position);

/* ------------------------------------------------------------------------------ letterbox.c */

typedef enum { ELEMENT_FLOAT32, ELEMENT_FLOAT16, ELEMENT_INT8, ELEMENT_UINT8 } element;

/* Tables for one size of frame, and rows of scratch. */
typedef struct {
    int height, width;                 /* of the canvas */
    int frame_height, frame_width;     /* of the frames the tables stand for */
    int top, left, rows, columns;      /* of the picture in the canvas */
    column_table table;
    int32_t *row_indices;              /* [height] */
    int16_t *row_weights;              /* [height] */
    int16_t *resampled[2], *blended;   /* [3 * pitch] each */
} letterbox_plan;

typedef struct {
    element type;
    int rgb;            /* plane order: 1 for RGB, 0 for BGR */
    int pad_value;      /* 0..255 */
    float scale;        /* of float elements */
} letterbox_output;

/* Bytes that a plan for a canvas needs. */
size_t letterbox_memory(int height, int width);

/* Lay a plan out in `memory`. */
void letterbox_init(letterbox_plan *plan, int height, int width, void *memory);

/* Compute the tables for frames of one size, whose picture is `rows` x `columns`. */
void letterbox_fit(letterbox_plan *plan, int frame_height, int frame_width, int top, int left,
                   int rows, int columns);

/* Letterbox a BGR frame (rows `stride` bytes apart, which may be negative) into
 * out[3][height][width]. */
void letterbox_run(letterbox_plan *plan, const uint8_t *frame, ptrdiff_t stride,
                   const letterbox_output *output, void *out);

/* ----------------------------------------------------------------------------- candidates.c */

/* A candidate is one number: its raw score in the upper half, mapped so that unsigned order is
 * the order of floats, and the complement of anchor * classes + class in the lower. Sorting
 * downwards gives falling scores and, among equals, rising anchors. */
typedef uint64_t candidate;

typedef struct {
    candidate *found, *spare;   /* [capacity] each */
    candidate *best;            /* [anchors], the best of each anchor; NULL for several labels */
    size_t capacity, count;
    size_t limit;               /* at most so many are wanted; less than capacity */
    float threshold;            /* raw scores below it cannot be among the best `limit` */
    uint32_t anchors, classes;
} candidate_set;

float candidate_score(candidate c);
uint32_t candidate_index(candidate c);

void candidates_clear(candidate_set *set, float threshold);

/* Add those of `count` raw scores, values[i] * factor, that reach the threshold. The index of
 * the i-th is first + i * step. */
void candidates_scan(candidate_set *set, const float *values, size_t count, float factor,
                     uint32_t first, uint32_t step);

/* Sort the best `limit` candidates to the front and return their number. */
size_t candidates_finish(candidate_set *set);

/* --------------------------------------------------------------------------------- decode.c */

enum { MAX_LEVELS = 8, MAX_BINS = 64 };

typedef enum { LAYOUT_DFL, LAYOUT_GRID, LAYOUT_BOXES, LAYOUT_DECODED } head_layout;

/* How raw outputs are laid out; see edge_sdk.head_spec.Layout. */
typedef struct {
    head_layout layout;
    uint32_t anchors, classes;
    int bins;                                     /* reg_max + 1 */
    int levels;
    int heights[MAX_LEVELS], widths[MAX_LEVELS], strides[MAX_LEVELS];
} head_shape;

/* Where the picture lies in the canvas, and how large the frame is. */
typedef struct {
    float scale, left, top, width, height;
} frame_view;

/* Scan all raw scores of one image. */
void decode_candidates(const head_shape *head, const float *const *outputs, candidate_set *set);

/* Decode an anchor's box in pixels of the canvas: x1, y1, x2, y2. Returns 0, leaving it
 * undefined, if the box is not a number or has no area inside the frame. */
int decode_box(const head_shape *head, const float *const *outputs, uint32_t anchor,
               const frame_view *view, float box[4]);

/* Turn a box in pixels of the canvas into one in pixels of the frame, clipped to it. */
void decode_to_frame(const frame_view *view, const float box[4], float out[4]);

/* Turn a raw score of this layout into a probability. */
float decode_score(head_layout layout, float raw);

/* ------------------------------------------------------------------------------------ nms.c */

typedef struct {
    float iou;             /* boxes of a class that overlap by more are one object */
    int class_agnostic;
    int max_detections;
} nms_options;

/* Greedy suppression of boxes[count][4] in order of falling score. Writes the positions of
 * those kept and returns their number. `kept` holds max_detections, rounded up to 16. */
int nms_run(const nms_options *options, const float (*boxes)[4], const int32_t *class_ids,
            int count, const box_columns *kept, int32_t *positions);

/* ---------------------------------------------------------------------------- postprocess.c */

typedef struct {
    float threshold;       /* raw score that a candidate reaches */
    int multi_label;       /* 1: every class of an anchor that passes; 0: its best class only */
    uint32_t max_candidates;
    nms_options nms;
} postprocess_options;

typedef struct {
    head_shape head;
    postprocess_options options;
    candidate_set candidates;
    int32_t *decoded;      /* [anchors]: position of the anchor's box among `boxes`, or a mark */
    float (*boxes)[4];     /* [max_candidates], in pixels of the canvas */
    float *scores;         /* [max_candidates] */
    int32_t *class_ids;    /* [max_candidates] */
    int32_t *positions;    /* [max_detections] */
    box_columns kept;      /* [max_detections, rounded up] */
} postprocessor;

/* Bytes that a postprocessor needs. */
size_t postprocess_memory(const head_shape *head, const postprocess_options *options);

/* Lay a postprocessor out in `memory`. */
void postprocess_init(postprocessor *post, const head_shape *head,
                      const postprocess_options *options, void *memory);

/* Detect objects in the raw outputs of one image. Writes at most max_detections, by falling
 * score, boxes in pixels of the frame, and returns their number. */
int postprocess_run(postprocessor *post, const float *const *outputs, const frame_view *view,
                    float (*boxes)[4], float *scores, int32_t *class_ids);

/* ----------------------------------------------------------------------------- assignment.c */

/* Pairs of a row and a column that may be matched, row by row. */
typedef struct {
    int32_t rows, width;   /* columns are 0 .. width - 1 */
    int32_t *starts;       /* [rows + 1]: where a row's pairs begin */
    int32_t *columns;      /* [starts[rows]] */
    float *costs;          /* [starts[rows]], 0 or more */
} pair_table;

typedef struct {
    double *row_prices;                    /* [rows] */
    double *column_prices, *distances;     /* [columns] */
    int32_t *row_of, *came_from;           /* [columns] */
    int32_t *reached, *place;              /* [columns], and where each is among them, or -1 */
} assignment;

/* Bytes that tables of at most so many rows and columns need. */
size_t assignment_memory(int rows, int columns);

/* Lay an assignment out in `memory`. */
void assignment_init(assignment *work, int rows, int columns, void *memory);

/* Match rows and columns such that the costs of all pairs, and `alone` for each row without one,
 * are least. Writes each row's column, or -1. */
void assignment_run(const pair_table *pairs, float alone, assignment *work, int32_t *column_of);

/* ------------------------------------------------------------------------------- tracking.c */

enum { TRACKS = 1024 }; /* at most, and so many detections of a frame are looked at */

/* A quantity that moves, and how sure of it one is. */
typedef struct {
    float place, speed;
    float place_variance, covariance, speed_variance;
} motion;

typedef enum { TRACK_NEW, TRACK_SEEN, TRACK_LOST, TRACK_GONE } track_state;

typedef struct {
    motion motion[4];      /* centre x, centre y, width / height, height */
    float unseen, known;   /* steps since it was last and first seen */
    track_state state;
    int32_t id;            /* 0 until it is seen a second time */
} track;

typedef struct {
    float strong;   /* scores that take part in the first round */
    float begin;    /* scores that begin a track */
    float weak;     /* scores that continue one */
    float memory;   /* steps that a lost object is remembered */
} tracking_options;

typedef struct {
    tracking_options options;
    track *tracks;
    int count;
    int32_t last_id;
    int started;                    /* a frame has been seen */
    int32_t *rows, *column_of;      /* [TRACKS]: of those being matched */
    int32_t *chosen, *left;         /* [TRACKS]: detections being matched */
    float *overlaps;                /* [TRACKS] */
    box_columns columns;            /* [TRACKS] */
    pair_table pairs;
    assignment work;
} tracker;

/* Bytes that a tracker needs. */
size_t tracker_memory(void);

/* Lay a tracker out in `memory`. */
void tracker_init(tracker *t, const tracking_options *options, void *memory);

/* Follow the objects of the next frame, `steps` thirtieths of a second after the last. Writes the
 * number of the object that each of `count` detections shows, or 0 where it is not known yet. */
void tracker_run(tracker *t, const float (*boxes)[4], const float *scores, int count, float steps,
                 int32_t *ids);

#endif
