/* Greedy non-maximum suppression: each box, best first, against those kept so far.
 *
 * One block an image. Candidates are taken in groups of 32, best first. One warp settles a group:
 * each lane notes which better ones of its group overlap its own, and the lanes are gone through in
 * order. Then all threads drop the later candidates that overlap what the group kept. So the result
 * is that of the C kernel (runtime/kernels/nms.c), which goes through the candidates one by one.
 */
constexpr int THREADS = 512, LANES = 32, ROOM = 1024, GROUPS = ROOM / LANES;
constexpr unsigned ALL = 0xffffffffu;

/* Boxes that reach farther than this, in pixels, are cut: areas stay finite. */
constexpr float FAR_AWAY = 1e6f;

struct Options {
    int candidates;     /* of an image, at most ROOM */
    int max_detections; /* at most ROOM */
    float iou;          /* boxes of a class that overlap by more are one object */
    int class_agnostic;
    int multi_label;    /* 0: an anchor's best label alone */
};

/* Where the picture lies in the network's input, and how large the frame is. */
struct Place {
    float scale, left, top, width, height;
};

struct Box {
    float x1, y1, x2, y2;
};

__device__ inline float clamp(float value, float least, float most)
{
    value = value > least ? value : least;
    return value < most ? value : most;
}

__device__ inline Box to_frame(const Box &box, const Place &place)
{
    return {clamp((box.x1 - place.left) / place.scale, 0.0f, place.width),
            clamp((box.y1 - place.top) / place.scale, 0.0f, place.height),
            clamp((box.x2 - place.left) / place.scale, 0.0f, place.width),
            clamp((box.y2 - place.top) / place.scale, 0.0f, place.height)};
}

/* The candidates of one image, in shared memory. */
struct Rivals {
    Box *box;
    int *label;

    __device__ bool overlap(int a, int b, const Options &options) const
    {
        const Box one = box[a], other = box[b];
        if (!options.class_agnostic && label[a] != label[b])
            return false;
        const float right = one.x2 < other.x2 ? one.x2 : other.x2;
        const float left = one.x1 > other.x1 ? one.x1 : other.x1;
        const float bottom = one.y2 < other.y2 ? one.y2 : other.y2;
        const float top = one.y1 > other.y1 ? one.y1 : other.y1;
        const float width = right - left > 0.0f ? right - left : 0.0f;
        const float height = bottom - top > 0.0f ? bottom - top : 0.0f;
        const float common = width * height;
        const float areas = (one.x2 - one.x1) * (one.y2 - one.y1) +
                            (other.x2 - other.x1) * (other.y2 - other.y1);
        return common > options.iou * (areas - common);
    }
};

/* Drop of equal boxes, which are those of one anchor, all but the first. */
__device__ void keep_best_labels(const Box *box, unsigned *alive)
{
    for (int i = threadIdx.x; i < ROOM; i += THREADS) {
        bool stays = alive[i / LANES] >> i % LANES & 1;
        for (int k = 0; stays && k < i; k++)
            stays = box[k].x1 != box[i].x1 || box[k].y1 != box[i].y1 || box[k].x2 != box[i].x2 ||
                    box[k].y2 != box[i].y2;
        const unsigned staying = __ballot_sync(ALL, stays);
        if (i % LANES == 0)
            alive[i / LANES] = staying;
    }
}

/* Which of a group are kept; `alive` are its members that no kept box overlaps yet. */
__device__ unsigned settle(const Rivals &rivals, int group, unsigned alive, int room,
                           const Options &options)
{
    const int lane = threadIdx.x % LANES;
    unsigned rival = 0, kept = 0;
    for (unsigned rest = alive & ((1u << lane) - 1); rest != 0; rest &= rest - 1) {
        const int other = __ffs(rest) - 1;
        if (rivals.overlap(group * LANES + lane, group * LANES + other, options))
            rival |= 1u << other;
    }
    for (unsigned rest = alive; rest != 0 && __popc(kept) < room; rest &= rest - 1) {
        const int next = __ffs(rest) - 1;
        if ((__shfl_sync(ALL, rival, next) & kept) == 0)
            kept |= 1u << next;
    }
    return kept;
}

/* boxes[images][candidates][4] (x1, y1, x2, y2 in pixels of the network's input), scores and
 * labels[images][candidates] by falling score; least[1], below which they are left out;
 * places[images].
 * results[images], in words of 32 bits: count, three unused, boxes[max_detections][4] in pixels of
 * the frame, scores[max_detections], labels[max_detections]; 0 beyond the count.
 * Grid: images; blocks of 512 threads. */
extern "C" __global__ void __launch_bounds__(THREADS)
    suppress(const float4 *boxes, const float *scores, const int *labels, const float *least,
             const Place *places, const __grid_constant__ Options options, int *results)
{
    __shared__ Box box[ROOM];
    __shared__ int label[ROOM], winners[ROOM];
    __shared__ unsigned alive[GROUPS], kept;
    const Rivals rivals = {box, label};
    const int thread = threadIdx.x, lane = thread % LANES;
    const Place place = places[blockIdx.x];
    const long long first = static_cast<long long>(blockIdx.x) * options.candidates;
    for (int i = thread; i < ROOM; i += THREADS) {
        bool usable = i < options.candidates && scores[first + i] >= *least;
        if (usable) {
            const float4 found = boxes[first + i];
            const bool number = found.x == found.x && found.y == found.y && found.z == found.z &&
                                found.w == found.w;
            box[i] = {clamp(found.x, -FAR_AWAY, FAR_AWAY), clamp(found.y, -FAR_AWAY, FAR_AWAY),
                      clamp(found.z, -FAR_AWAY, FAR_AWAY), clamp(found.w, -FAR_AWAY, FAR_AWAY)};
            label[i] = labels[first + i];
            const Box inside = to_frame(box[i], place);
            usable = number && inside.x1 < inside.x2 && inside.y1 < inside.y2;
        }
        const unsigned usables = __ballot_sync(ALL, usable);
        if (lane == 0)
            alive[i / LANES] = usables;
    }
    if (!options.multi_label) {
        __syncthreads();
        keep_best_labels(box, alive);
    }
    int count = 0;
    for (int group = 0; group < GROUPS && count < options.max_detections; group++) {
        __syncthreads();
        if (alive[group] == 0)
            continue;
        if (thread < LANES) {
            const unsigned mine =
                settle(rivals, group, alive[group], options.max_detections - count, options);
            if (mine >> lane & 1)
                winners[count + __popc(mine & ((1u << lane) - 1))] = group * LANES + lane;
            if (lane == 0)
                kept = mine;
        }
        __syncthreads();
        const int before = count;
        count += __popc(kept);
        for (int i = thread; i < ROOM; i += THREADS) {
            if (i / LANES <= group || alive[i / LANES] == 0)
                continue;
            bool stays = alive[i / LANES] >> lane & 1;
            for (int k = before; stays && k < count; k++)
                stays = !rivals.overlap(i, winners[k], options);
            const unsigned staying = __ballot_sync(ALL, stays);
            if (lane == 0)
                alive[i / LANES] = staying;
        }
    }
    __syncthreads();

    const int limit = options.max_detections;
    int *header = results + static_cast<long long>(blockIdx.x) * (4 + 6 * limit);
    float *out_boxes = reinterpret_cast<float *>(header + 4), *out_scores = out_boxes + 4 * limit;
    int *out_labels = reinterpret_cast<int *>(out_scores + limit);
    if (thread < 4)
        header[thread] = thread == 0 ? count : 0;
    for (int i = thread; i < limit; i += THREADS) {
        const bool used = i < count;
        const Box out = used ? to_frame(box[winners[i]], place) : Box{};
        out_boxes[4 * i] = out.x1;
        out_boxes[4 * i + 1] = out.y1;
        out_boxes[4 * i + 2] = out.x2;
        out_boxes[4 * i + 3] = out.y2;
        out_scores[i] = used ? scores[first + winners[i]] : 0.0f;
        out_labels[i] = used ? label[winners[i]] : 0;
    }
}
