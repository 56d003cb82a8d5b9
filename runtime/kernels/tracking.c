/* ByteTrack (Zhang et al. 2022): objects keep their numbers from frame to frame.
 *
 * Where an object will be is foretold by a Kalman filter over centre, aspect and height, each with
 * its speed. Nothing in the filter's matrices links two of the four, so it is four filters of two
 * numbers each, and that is how it is computed. Time is counted in steps of a thirtieth of a
 * second, so that frames may be missed, and cameras be slower or faster than the paper's.
 *
 * Every track looks for a detection by the overlap of the boxes, in three rounds:
 *   1. all known objects among the strong detections, with their scores;
 *   2. those of the last frame that found none among the weak ones: something hides them;
 *   3. objects seen only once so far among the strong detections that are left.
 * What is left then, strong enough and not just another class's box around an object that was
 * found begins a track. It gets a number when it is seen again.
 *
 * Unlike the paper's, the cost of a match holds half of the score only: a whole one, with scores
 * that begin as low as a detector's usually do, takes good matches from weak detections (it made
 * half as many switches again on the test camera).
 */
#include <string.h>

#include "kernels.h"
#include "workspace.h"

static const float FIRST_LIMIT = 0.8f, WEAK_LIMIT = 0.5f, NEW_LIMIT = 0.7f;
static const float SAME = 0.85f; /* overlap above which two tracks are one */
static const float FOUND = 0.7f; /* overlap above which a detection shows what another does */

/* Standard deviations, as shares of the object's height; those of the aspect are absolute. */
static const float PLACE = 1.0f / 20, SPEED = 1.0f / 160;
static const float ASPECT = 1e-2f, ASPECT_SPEED = 1e-5f, ASPECT_SEEN = 1e-1f;

enum { ASPECT_AT = 2, HEIGHT_AT = 3 };

static float square(float x)
{
    return x * x;
}

/* -------------------------------------------------------------------------------- the filter */

static void measure(const float box[4], float seen[4])
{
    const float width = box[2] - box[0], height = box[3] - box[1];
    seen[0] = (box[0] + box[2]) * 0.5f;
    seen[1] = (box[1] + box[3]) * 0.5f;
    seen[HEIGHT_AT] = height > 1e-3f ? height : 1e-3f;
    seen[ASPECT_AT] = width / seen[HEIGHT_AT];
}

static void begin_motion(track *object, const float seen[4])
{
    for (int i = 0; i < 4; i++) {
        const float place = i == ASPECT_AT ? ASPECT : 2 * PLACE * seen[HEIGHT_AT];
        const float speed = i == ASPECT_AT ? ASPECT_SPEED : 10 * SPEED * seen[HEIGHT_AT];
        object->motion[i] = (motion){seen[i], 0.0f, square(place), 0.0f, square(speed)};
    }
}

static void foretell(track *object, float steps)
{
    const float height = object->motion[HEIGHT_AT].place;
    if (object->state == TRACK_LOST)
        object->motion[HEIGHT_AT].speed = 0.0f;
    for (int i = 0; i < 4; i++) {
        motion *m = &object->motion[i];
        const float place = i == ASPECT_AT ? ASPECT : PLACE * height;
        const float speed = i == ASPECT_AT ? ASPECT_SPEED : SPEED * height;
        m->place += steps * m->speed;
        m->place_variance += steps * (2 * m->covariance + steps * m->speed_variance) +
                             steps * square(place);
        m->covariance += steps * m->speed_variance;
        m->speed_variance += steps * square(speed);
    }
}

static void correct(track *object, const float seen[4])
{
    const float height = object->motion[HEIGHT_AT].place;
    for (int i = 0; i < 4; i++) {
        motion *m = &object->motion[i];
        const float noise = i == ASPECT_AT ? ASPECT_SEEN : PLACE * height;
        const float scale = 1.0f / (m->place_variance + square(noise));
        const float gain = m->place_variance * scale, speed_gain = m->covariance * scale;
        const float error = seen[i] - m->place;
        m->place += gain * error;
        m->speed += speed_gain * error;
        m->speed_variance -= speed_gain * m->covariance;
        m->covariance -= gain * m->covariance;
        m->place_variance -= gain * m->place_variance;
    }
}

/* --------------------------------------------------------------------------------- the boxes */

static void put_box(box_columns *columns, int position, const float box[4])
{
    columns->x1[position] = box[0];
    columns->y1[position] = box[1];
    columns->x2[position] = box[2];
    columns->y2[position] = box[3];
    columns->area[position] = (box[2] - box[0]) * (box[3] - box[1]);
}

static void box_of(const track *object, float box[4])
{
    const motion *m = object->motion;
    const float width = m[ASPECT_AT].place * m[HEIGHT_AT].place, height = m[HEIGHT_AT].place;
    box[0] = m[0].place - width * 0.5f;
    box[1] = m[1].place - height * 0.5f;
    box[2] = m[0].place + width * 0.5f;
    box[3] = m[1].place + height * 0.5f;
}

/* The overlap of a box with each of the first `count`, 0..1. */
static void overlaps(const box_columns *boxes, int count, const float box[4], float *out)
{
    const float x1 = box[0], y1 = box[1], x2 = box[2], y2 = box[3];
    const float area = (x2 - x1) * (y2 - y1);
    for (int i = 0; i < count; i++) {
        const float right = x2 < boxes->x2[i] ? x2 : boxes->x2[i];
        const float left = x1 > boxes->x1[i] ? x1 : boxes->x1[i];
        const float bottom = y2 < boxes->y2[i] ? y2 : boxes->y2[i];
        const float top = y1 > boxes->y1[i] ? y1 : boxes->y1[i];
        const float width = right - left > 0.0f ? right - left : 0.0f;
        const float height = bottom - top > 0.0f ? bottom - top : 0.0f;
        const float common = width * height, together = area + boxes->area[i] - common;
        out[i] = together > 0.0f ? common / together : 0.0f;
    }
}

/* ---------------------------------------------------------------------------------- matching */

/* Match tracks [number] with the first `left` of the detections that wait in `chosen`. Those that
 * find one take it; the others stay in `tracks`, whose new number is returned, and the detections
 * that nobody took stay in `chosen`. */
static int match(tracker *t, int32_t *tracks, int number, int *left, float limit, int with_score,
                 const float (*boxes)[4], const float *scores, int32_t *ids)
{
    pair_table *pairs = &t->pairs;
    for (int i = 0; i < *left; i++)
        put_box(&t->columns, i, boxes[t->chosen[i]]);
    int32_t count = 0;
    for (int row = 0; row < number; row++) {
        float box[4];
        pairs->starts[row] = count;
        box_of(&t->tracks[tracks[row]], box);
        overlaps(&t->columns, *left, box, t->overlaps);
        for (int i = 0; i < *left; i++) {
            const float trust = with_score ? (1.0f + scores[t->chosen[i]]) * 0.5f : 1.0f;
            const float cost = 1.0f - t->overlaps[i] * trust;
            if (cost < limit) {
                pairs->columns[count] = i;
                pairs->costs[count++] = cost;
            }
        }
    }
    pairs->starts[number] = count;
    pairs->rows = number;
    pairs->width = *left;
    assignment_run(pairs, limit, &t->work, t->column_of);

    int alone = 0;
    for (int row = 0; row < number; row++) {
        track *object = &t->tracks[tracks[row]];
        if (t->column_of[row] < 0) {
            tracks[alone++] = tracks[row];
            continue;
        }
        const int32_t detection = t->chosen[t->column_of[row]];
        float seen[4];
        t->chosen[t->column_of[row]] = -1;
        measure(boxes[detection], seen);
        correct(object, seen);
        object->state = TRACK_SEEN;
        object->unseen = 0.0f;
        if (!object->id)
            object->id = ++t->last_id;
        ids[detection] = object->id;
    }
    int kept = 0;
    for (int i = 0; i < *left; i++)
        if (t->chosen[i] >= 0)
            t->chosen[kept++] = t->chosen[i];
    *left = kept;
    return alone;
}

static int choose_tracks(tracker *t, int number, int32_t *out)
{
    int count = 0;
    for (int i = 0; i < t->count; i++)
        if ((t->tracks[i].state == TRACK_NEW) == number)
            out[count++] = i;
    return count;
}

/* ----------------------------------------------------------------------------- births, deaths */

static void forget(tracker *t)
{
    int kept = 0;
    for (int i = 0; i < t->count; i++)
        if (t->tracks[i].state != TRACK_GONE)
            t->tracks[kept++] = t->tracks[i];
    t->count = kept;
}

static void begin(tracker *t, const float box[4], int32_t *id)
{
    float seen[4];
    track *object = &t->tracks[t->count++];
    measure(box, seen);
    begin_motion(object, seen);
    object->unseen = object->known = 0.0f;
    object->state = t->started ? TRACK_NEW : TRACK_SEEN;
    object->id = *id = t->started ? 0 : ++t->last_id; /* in the first frame all are known */
}

/* Begin tracks with the first `left` detections in `chosen`, if none of those found shows them. */
static void begin_all(tracker *t, int left, const float (*boxes)[4], const float *scores,
                      int count, int32_t *ids)
{
    int found = 0;
    for (int i = 0; i < count; i++)
        if (ids[i])
            put_box(&t->columns, found++, boxes[i]);
    for (int i = 0; i < left && t->count < TRACKS && found < TRACKS; i++) {
        const float *box = boxes[t->chosen[i]];
        int shown = scores[t->chosen[i]] < t->options.begin;
        overlaps(&t->columns, found, box, t->overlaps);
        for (int k = 0; k < found && !shown; k++)
            shown = t->overlaps[k] > FOUND;
        if (!shown) {
            begin(t, box, &ids[t->chosen[i]]);
            put_box(&t->columns, found++, box);
        }
    }
}

/* Where an object that is seen lies on one that was lost, the one known for longer stays. */
static void merge(tracker *t, int32_t *ids, int count)
{
    int lost = 0;
    for (int i = 0; i < t->count; i++)
        if (t->tracks[i].state == TRACK_LOST) {
            float box[4];
            box_of(&t->tracks[i], box);
            put_box(&t->columns, lost, box);
            t->rows[lost++] = i;
        }
    for (int i = 0; lost && i < t->count; i++) {
        track *object = &t->tracks[i];
        float box[4];
        if (object->state != TRACK_SEEN)
            continue;
        box_of(object, box);
        overlaps(&t->columns, lost, box, t->overlaps);
        for (int k = 0; k < lost; k++) {
            track *other = &t->tracks[t->rows[k]];
            if (t->overlaps[k] <= SAME || other->state != TRACK_LOST)
                continue;
            if (other->known - other->unseen > object->known) {
                for (int d = 0; d < count; d++)
                    if (ids[d] == object->id)
                        ids[d] = other->id;
                object->id = other->id;
                object->known = other->known;
            }
            other->state = TRACK_GONE;
        }
    }
}

/* ------------------------------------------------------------------------------- the tracker */

static void lay_out(tracker *t, workspace *space)
{
    t->tracks = carve(space, TRACKS * sizeof *t->tracks);
    t->rows = carve(space, TRACKS * sizeof *t->rows);
    t->column_of = carve(space, TRACKS * sizeof *t->column_of);
    t->chosen = carve(space, TRACKS * sizeof *t->chosen);
    t->left = carve(space, TRACKS * sizeof *t->left);
    t->overlaps = carve(space, TRACKS * sizeof *t->overlaps);
    t->columns.x1 = carve(space, TRACKS * sizeof(float));
    t->columns.y1 = carve(space, TRACKS * sizeof(float));
    t->columns.x2 = carve(space, TRACKS * sizeof(float));
    t->columns.y2 = carve(space, TRACKS * sizeof(float));
    t->columns.area = carve(space, TRACKS * sizeof(float));
    t->pairs.starts = carve(space, (TRACKS + 1) * sizeof *t->pairs.starts);
    t->pairs.columns = carve(space, (size_t)TRACKS * TRACKS * sizeof *t->pairs.columns);
    t->pairs.costs = carve(space, (size_t)TRACKS * TRACKS * sizeof *t->pairs.costs);
}

size_t tracker_memory(void)
{
    tracker measured;
    workspace space = measured_workspace();
    lay_out(&measured, &space);
    return workspace_size(&space) + assignment_memory(TRACKS, TRACKS);
}

void tracker_init(tracker *t, const tracking_options *options, void *memory)
{
    workspace space = workspace_in(memory);
    memset(t, 0, sizeof *t);
    t->options = *options;
    lay_out(t, &space);
    assignment_init(&t->work, TRACKS, TRACKS, (void *)space.next);
}

/* Put those detections into `chosen` whose score lies in [from, below). */
static int choose(tracker *t, const float *scores, int count, float from, float below)
{
    int number = 0;
    for (int i = 0; i < count; i++)
        if (scores[i] >= from && scores[i] < below)
            t->chosen[number++] = i;
    return number;
}

void tracker_run(tracker *t, const float (*boxes)[4], const float *scores, int count, float steps,
                 int32_t *ids)
{
    const tracking_options *options = &t->options;
    memset(ids, 0, (size_t)count * sizeof *ids);
    count = count < TRACKS ? count : TRACKS;
    for (int i = 0; i < t->count; i++) {
        track *object = &t->tracks[i];
        foretell(object, steps);
        object->known += steps;
        object->unseen += steps;
        if (object->state == TRACK_LOST && object->unseen > options->memory)
            object->state = TRACK_GONE;
    }
    forget(t);

    int strong = choose(t, scores, count, options->strong, 2.0f);
    int known = choose_tracks(t, 0, t->rows);
    known = match(t, t->rows, known, &strong, FIRST_LIMIT, 1, boxes, scores, ids);
    memcpy(t->left, t->chosen, (size_t)strong * sizeof *t->left);

    int recent = 0;
    for (int i = 0; i < known; i++)
        if (t->tracks[t->rows[i]].state == TRACK_SEEN)
            t->rows[recent++] = t->rows[i];
    int weak = choose(t, scores, count, options->weak, options->strong);
    recent = match(t, t->rows, recent, &weak, WEAK_LIMIT, 0, boxes, scores, ids);
    for (int i = 0; i < recent; i++)
        t->tracks[t->rows[i]].state = TRACK_LOST;

    memcpy(t->chosen, t->left, (size_t)strong * sizeof *t->left);
    int fresh = choose_tracks(t, 1, t->rows);
    fresh = match(t, t->rows, fresh, &strong, NEW_LIMIT, 1, boxes, scores, ids);
    for (int i = 0; i < fresh; i++)
        t->tracks[t->rows[i]].state = TRACK_GONE;
    merge(t, ids, count);
    forget(t);

    begin_all(t, strong, boxes, scores, count, ids);
    t->started = 1;
}
