#include "raster.h"

#include <math.h>
#include <string.h>

/* Loops worth compiling for wider vectors too; all integer or IEEE, so the result is the same. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__GLIBC__)
#define WIDE __attribute__((target_clones("default", "avx2")))
#else
#define WIDE
#endif

enum { TILE_BITS = 9, TILE = 1 << TILE_BITS, TILE_MASK = TILE - 1 };
enum { LEVELS = 64, NOISE = 1 << 17 };
enum { KEEP_ID = -1, NOWHERE = 1 << 29 };

typedef int32_t four_ints __attribute__((vector_size(16)));

static const float NEAR = 0.25f;
static const float TEXEL = 0.02f; /* metres */

static uint8_t ground_tile[TILE * TILE]; /* grain and stains, 0..LEVELS-1 */
static uint8_t cloud_tile[TILE * TILE];  /* smooth, 0..255 */
static int8_t noise_table[NOISE];        /* nearly normal, standard deviation 32 */

/* ---- integer noise ------------------------------------------------------------------- */

static uint32_t hash32(uint32_t x)
{
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    return x ^ (x >> 16);
}

static uint32_t smoothstep(uint32_t t)
{
    return t * t / 256 * (768 - 2 * t) / 256; /* 0..256 */
}

/* Add periodic value noise in 0..255 times `weight`, with cells of 2^bits texels. */
static void add_noise(uint16_t *sum, uint32_t bits, uint32_t salt, uint32_t weight)
{
    static uint8_t lattice[TILE / 4][TILE / 4];
    uint32_t cells = TILE >> bits, wrap = cells - 1, inside = (1u << bits) - 1;
    for (uint32_t j = 0; j < cells; j++)
        for (uint32_t i = 0; i < cells; i++)
            lattice[j][i] = (uint8_t)hash32(j * 4096 + i + salt);
    for (uint32_t y = 0; y < TILE; y++) {
        const uint8_t *upper = lattice[y >> bits], *lower = lattice[((y >> bits) + 1) & wrap];
        uint32_t b = smoothstep((y & inside) << 8 >> bits);
        for (uint32_t x = 0; x < TILE; x++) {
            uint32_t i = x >> bits, j = (i + 1) & wrap, a = smoothstep((x & inside) << 8 >> bits);
            uint32_t top = upper[i] * (256 - a) + upper[j] * a;
            uint32_t low = lower[i] * (256 - a) + lower[j] * a;
            uint32_t value = (top / 256 * (256 - b) + low / 256 * b) / 256;
            sum[y * TILE + x] = (uint16_t)(sum[y * TILE + x] + value * weight);
        }
    }
}

void street_tables(void)
{
    static uint16_t ground[TILE * TILE], cloud[TILE * TILE];
    for (uint32_t i = 0; i < TILE * TILE; i++) {
        ground[i] = (uint16_t)((hash32(i + 77u) & 255) * 5);
        cloud[i] = 0;
    }
    add_noise(ground, 6, 11u, 4);
    add_noise(ground, 4, 23u, 3);
    add_noise(ground, 2, 31u, 4);
    add_noise(cloud, 7, 5u, 8);
    add_noise(cloud, 6, 6u, 5);
    add_noise(cloud, 5, 7u, 3);
    add_noise(cloud, 4, 8u, 2);
    for (int i = 0; i < TILE * TILE; i++) {
        ground_tile[i] = (uint8_t)(ground[i] / 16 * LEVELS / 256);
        cloud_tile[i] = (uint8_t)(cloud[i] / 18);
    }
    for (uint32_t i = 0; i < NOISE; i++) {
        uint32_t a = hash32(i * 2 + 1), b = hash32(i * 2 + 0x9e3779b9u);
        int sum = -510;
        for (int k = 0; k < 4; k++)
            sum += (int)(((k < 2 ? a : b) >> (8 * (k & 1))) & 255);
        sum = sum * 28 / 128; /* four bytes: deviation 148 */
        noise_table[i] = (int8_t)(sum < -127 ? -127 : sum > 127 ? 127 : sum);
    }
}

/* ---- colours ------------------------------------------------------------------------- */

static int byte_of(float value)
{
    value = value > 0.0f ? value : 0.0f;
    value = value < 255.0f ? value : 255.0f;
    return (int)(value + 0.5f);
}

static uint32_t pack(const float colour[3])
{
    return (uint32_t)byte_of(colour[0]) | (uint32_t)byte_of(colour[1]) << 8 |
           (uint32_t)byte_of(colour[2]) << 16;
}

/* a + (b - a) * weight / 256 in each byte. */
static uint32_t mix(uint32_t a, uint32_t b, uint32_t weight)
{
    uint32_t keep = 256 - weight;
    uint32_t even = ((a & 0xff00ffu) * keep + (b & 0xff00ffu) * weight + 0x800080u) >> 8;
    uint32_t odd = ((a >> 8 & 0xffu) * keep + (b >> 8 & 0xffu) * weight + 0x80u) >> 8;
    return (even & 0xff00ffu) | odd << 8;
}

/* Share of fog at a depth: d^2 / (d^2 + D^2). */
static float fog_share(const view *v, float depth)
{
    float square = depth * depth;
    return square / (square + v->fog_distance * v->fog_distance);
}

/* ---- polygons ------------------------------------------------------------------------ */

typedef struct {
    float top[3], bottom[3];     /* colours at the polygon's upper and lower end */
    float texture;               /* amplitude in grey levels; 0: flat */
    int on_ground;               /* texture lies on the ground plane */
    uint32_t alpha;              /* 0..256 */
    int id;                      /* KEEP_ID leaves the ids */
    int32_t u, v, step;          /* 16.16 texels; for faces in the picture plane */
    const int32_t *hidden;       /* [height, 2] columns that need no paint, or NULL */
    const view *view;
} paint;

typedef struct {
    int textured, tabled;
    float colour[3], amplitude;
    uint32_t flat;
    uint32_t shades[LEVELS];
    uint32_t u, v, du, dv; /* 16.16 texels at x = 0 and a pixel */
} row_paint;

static uint32_t texels(float metres)
{
    double value = (double)metres / (double)TEXEL;
    value -= floor(value / TILE) * TILE;
    return (uint32_t)(int32_t)(value * 65536.0);
}

static uint32_t texel_step(float metres)
{
    float value = metres / TEXEL * 65536.0f;
    return value > 1e9f ? 1000000000u : value < -1e9f ? (uint32_t)-1000000000 : (uint32_t)(int32_t)value;
}

static void meet_ground(const canvas *c, const view *v)
{
    float a = -v->centre_x / v->focal;
    for (int y = 0; y < c->height; y++) {
        ground_row *row = c->ground + y;
        float s = ((float)y + 0.5f - v->centre_y) / v->focal;
        float fall = -(v->forward[1] + s * v->down[1]);
        if (fall < 1e-3f)
            fall = 1e-3f;
        float depth = v->position[1] / fall;
        row->depth = depth;
        row->fog = fog_share(v, depth);
        row->texel = depth / v->focal / TEXEL;
        row->u = texels(v->position[0] +
                        depth * (v->forward[0] + s * v->down[0] + a * v->right[0]));
        row->v = texels(v->position[2] +
                        depth * (v->forward[2] + s * v->down[2] + a * v->right[2]));
        row->du = texel_step(depth * v->right[0] / v->focal);
        row->dv = texel_step(depth * v->right[2] / v->focal);
    }
}

static uint32_t shade(const float colour[3], float amplitude, int level)
{
    float t = ((float)level - 0.5f * (LEVELS - 1)) * (2.0f / LEVELS) * amplitude;
    return (uint32_t)byte_of(colour[0] + t) | (uint32_t)byte_of(colour[1] + t) << 8 |
           (uint32_t)byte_of(colour[2] + t) << 16;
}

WIDE static void shade_levels(uint32_t *shades, const float colour[3], float amplitude)
{
    float row[3] = {colour[0], colour[1], colour[2]};
    for (int i = 0; i < LEVELS; i++)
        shades[i] = shade(row, amplitude, i);
}

/* Colour of a row of `columns` pixels of a polygon, `t` of the way from its top. */
static void start_row(const canvas *c, row_paint *row, const paint *p, int y, float t, int columns)
{
    float amplitude = p->texture, *colour = row->colour;
    for (int k = 0; k < 3; k++)
        colour[k] = p->top[k] + (p->bottom[k] - p->top[k]) * t;
    row->textured = amplitude > 0.4f;
    if (p->on_ground) {
        const ground_row *ground = c->ground + y;
        for (int k = 0; k < 3; k++)
            colour[k] += (p->view->fog[k] - colour[k]) * ground->fog;
        amplitude *= (1.0f - ground->fog) * 2.0f / (2.0f + ground->texel);
        row->textured = amplitude > 0.6f;
        if (row->textured) {
            row->u = ground->u;
            row->v = ground->v;
            row->du = ground->du;
            row->dv = ground->dv;
        }
    } else if (row->textured) {
        row->u = (uint32_t)p->u;
        row->v = (uint32_t)p->v + (uint32_t)y * (uint32_t)p->step;
        row->du = (uint32_t)p->step;
        row->dv = 0;
    }
    row->amplitude = amplitude;
    row->tabled = row->textured && columns >= LEVELS / 2;
    if (row->tabled)
        shade_levels(row->shades, colour, amplitude);
    else if (!row->textured)
        row->flat = pack(colour);
}

static uint32_t colour_at(const row_paint *row, uint32_t x)
{
    if (!row->textured)
        return row->flat;
    uint32_t u = (row->u + x * row->du) >> 16 & TILE_MASK;
    uint32_t v = (row->v + x * row->dv) >> 16 & TILE_MASK;
    int level = ground_tile[v << TILE_BITS | u];
    return row->tabled ? row->shades[level] : shade(row->colour, row->amplitude, level);
}

WIDE static void mix_span(uint32_t *pixels, int count, uint32_t colour, uint32_t weight)
{
    for (int x = 0; x < count; x++)
        pixels[x] = mix(pixels[x], colour, weight);
}

/* Texture that runs along the row only. */
static void face_span(uint32_t *pixels, int count, const row_paint *row, uint32_t u)
{
    const uint8_t *tile = ground_tile + ((row->v >> 16 & TILE_MASK) << TILE_BITS);
    const uint32_t *shades = row->shades;
    uint32_t du = row->du;
    for (int x = 0; x < count; x++, u += du)
        pixels[x] = shades[tile[u >> 16 & TILE_MASK]];
}

static void plane_span(uint32_t *pixels, int count, const row_paint *row, uint32_t u, uint32_t v)
{
    const uint32_t *shades = row->shades;
    uint32_t du = row->du, dv = row->dv;
    for (int x = 0; x < count; x++, u += du, v += dv) {
        uint32_t at = (v >> (16 - TILE_BITS) & TILE_MASK << TILE_BITS) | (u >> 16 & TILE_MASK);
        pixels[x] = shades[ground_tile[at]];
    }
}

static void fill_span(canvas *c, const row_paint *row, int y, int x0, int x1, uint32_t weight)
{
    uint32_t *pixels = c->pixels + (size_t)y * c->width;
    if (weight < 256 && !row->textured) {
        mix_span(pixels + x0, x1 - x0, row->flat, weight);
    } else if (weight < 256 || (row->textured && !row->tabled)) {
        for (int x = x0; x < x1; x++)
            pixels[x] = mix(pixels[x], colour_at(row, (uint32_t)x), weight);
    } else if (!row->textured) {
        for (int x = x0; x < x1; x++)
            pixels[x] = row->flat;
    } else {
        uint32_t u = row->u + (uint32_t)x0 * row->du, v = row->v + (uint32_t)x0 * row->dv;
        if (row->dv == 0)
            face_span(pixels + x0, x1 - x0, row, u);
        else
            plane_span(pixels + x0, x1 - x0, row, u, v);
    }
}

/* The same, without the columns `hidden` that something opaque is going to cover. */
static void fill_around(canvas *c, const row_paint *row, int y, int x0, int x1, uint32_t weight,
                        const int32_t *hidden)
{
    int from = x1 < hidden[0] ? x1 : hidden[0], to = x0 > hidden[1] ? x0 : hidden[1];
    if (hidden[0] >= hidden[1]) {
        fill_span(c, row, y, x0, x1, weight);
        return;
    }
    if (x0 < from)
        fill_span(c, row, y, x0, from, weight);
    if (to < x1)
        fill_span(c, row, y, to, x1, weight);
}

WIDE static void mark_span(canvas *c, int id, int y, int x0, int x1)
{
    uint16_t *ids = c->ids + (size_t)y * c->width;
    uint32_t fresh = 0;
    for (int x = x0; x < x1; x++) {
        fresh += ids[x] != id;
        ids[x] = (uint16_t)id;
    }
    c->areas[id] += fresh;
}

/* a where the mask is set, else b. */
static four_ints choose(four_ints mask, four_ints a, four_ints b)
{
    return (a & mask) | (b & ~mask);
}

/* Pixels of a row that the polygon covers in part: x0 to x1, by its ends on the subrows. */
static void blend_ends(canvas *c, const paint *p, const row_paint *row, int y, int x0, int x1,
                       const int32_t *left, const int32_t *right)
{
    uint32_t *pixels = c->pixels + (size_t)y * c->width;
    uint16_t *ids = c->ids + (size_t)y * c->width;
    four_ints l, r;
    memcpy(&l, left, sizeof l);
    memcpy(&r, right, sizeof r);
    for (int x = x0; x < x1; x++) {
        four_ints a = {x * 256, x * 256, x * 256, x * 256}, b = a + 256;
        four_ints from = choose(l > a, l, a), length = choose(r < b, r, b) - from;
        length &= length > 0;
        uint32_t cover = (uint32_t)(length[0] + length[1] + length[2] + length[3]) / SUBROWS;
        if (cover == 0)
            continue;
        pixels[x] = mix(pixels[x], colour_at(row, (uint32_t)x), cover * p->alpha >> 8);
        if (p->id != KEEP_ID && cover >= 128) {
            c->areas[p->id] += ids[x] != p->id;
            ids[x] = (uint16_t)p->id;
        }
    }
}

static int clamp_int(int value, int low, int high)
{
    return value < low ? low : value > high ? high : value;
}

static int floor_div(int32_t value, int32_t by)
{
    return value >= 0 ? value / by : -((-value + by - 1) / by);
}

/* Walk one edge over the sub-scanlines and widen their ends. */
static void trace_edge(int32_t *left, int32_t *right, int first, int last, int32_t xa,
                       int32_t ya, int32_t xb, int32_t yb)
{
    if (ya == yb)
        return;
    if (ya > yb) {
        int32_t t = xa;
        xa = xb;
        xb = t;
        t = ya;
        ya = yb;
        yb = t;
    }
    /* Sub-scanline s lies at y = 64 s + 32; an edge owns those with ya <= y < yb. */
    int from = floor_div(ya - 32 + 63, 64), to = floor_div(yb - 32 + 63, 64);
    from = clamp_int(from, first, last);
    to = clamp_int(to, first, last);
    if (from >= to)
        return;
    int64_t slope = ((int64_t)(xb - xa) << 20) / (yb - ya);
    int64_t x = ((int64_t)xa << 20) + (int64_t)(64 * from + 32 - ya) * slope;
    for (int s = from; s < to; s++, x += 64 * slope) {
        int32_t at = (int32_t)(x >> 20);
        if (at < left[s])
            left[s] = at;
        if (at > right[s])
            right[s] = at;
    }
}

typedef struct {
    int top, end;         /* rows; none if top == end */
    int32_t y_low, y_high;
} extent;

/* Find a convex polygon's ends on every sub-scanline; corners in 24.8 fixed point. */
static extent trace_polygon(canvas *c, const int32_t (*corners)[2], int count)
{
    int32_t x_low = corners[0][0], x_high = x_low, y_low = corners[0][1], y_high = y_low;
    for (int i = 1; i < count; i++) {
        int32_t x = corners[i][0], y = corners[i][1];
        x_low = x < x_low ? x : x_low;
        x_high = x > x_high ? x : x_high;
        y_low = y < y_low ? y : y_low;
        y_high = y > y_high ? y : y_high;
    }
    if (x_high <= 0 || x_low >= c->width * 256 || y_high <= 0 || y_low >= c->height * 256)
        return (extent){0, 0, 0, 0};
    extent found = {
        clamp_int(floor_div(y_low, 256), 0, c->height),
        clamp_int(floor_div(y_high + 255, 256), 0, c->height), y_low, y_high,
    };
    int first = found.top * SUBROWS, last = found.end * SUBROWS;
    int32_t *left = c->edges, *right = c->edges + (size_t)SUBROWS * c->height;
    for (int s = first; s < last; s++) {
        left[s] = NOWHERE;
        right[s] = -NOWHERE;
    }
    for (int i = 0; i < count; i++) {
        const int32_t *a = corners[i], *b = corners[i + 1 == count ? 0 : i + 1];
        trace_edge(left, right, first, last, a[0], a[1], b[0], b[1]);
    }
    return found;
}

/* One row of a traced polygon: partly covered columns x0..x1 and x2..x3, evenly covered ones
 * x1..x2 of which `cover` / 256 is the polygon's. */
typedef struct {
    int x0, x1, x2, x3;
    uint32_t cover;
} reach;

static int reach_of(const canvas *c, const int32_t *l, const int32_t *r, reach *found)
{
    int32_t l_low = INT32_MAX, l_high = INT32_MIN, r_low = INT32_MAX, r_high = INT32_MIN;
    found->cover = 0;
    for (int k = 0; k < SUBROWS; k++) {
        if (r[k] < l[k])
            continue;
        found->cover += 256 / SUBROWS;
        l_low = l[k] < l_low ? l[k] : l_low;
        l_high = l[k] > l_high ? l[k] : l_high;
        r_low = r[k] < r_low ? r[k] : r_low;
        r_high = r[k] > r_high ? r[k] : r_high;
    }
    if (r_high <= l_low || r_high <= 0 || l_low >= c->width * 256)
        return 0;
    found->x0 = clamp_int(l_low >> 8, 0, c->width);
    found->x3 = clamp_int((r_high + 255) >> 8, 0, c->width);
    found->x1 = clamp_int((l_high + 255) >> 8, found->x0, found->x3);
    found->x2 = clamp_int(r_low >> 8, found->x1, found->x3);
    return 1;
}

static void fill_polygon(canvas *c, const paint *p, const int32_t (*corners)[2], int count)
{
    extent rows = trace_polygon(c, corners, count);
    const int32_t *left = c->edges, *right = c->edges + (size_t)SUBROWS * c->height;
    float span = (float)(rows.y_high - rows.y_low);
    for (int y = rows.top; y < rows.end; y++) {
        const int32_t *l = left + y * SUBROWS, *r = right + y * SUBROWS;
        reach at;
        if (!reach_of(c, l, r, &at))
            continue;
        row_paint row;
        float t = ((float)(y * 256 + 128) - (float)rows.y_low) / span;
        start_row(c, &row, p, y, t < 0.0f ? 0.0f : t > 1.0f ? 1.0f : t, at.x3 - at.x0);
        blend_ends(c, p, &row, y, at.x0, at.x1, l, r);
        if (at.x2 > at.x1) {
            uint32_t weight = at.cover * p->alpha >> 8;
            if (p->hidden)
                fill_around(c, &row, y, at.x1, at.x2, weight, p->hidden + 2 * y);
            else
                fill_span(c, &row, y, at.x1, at.x2, weight);
            if (p->id != KEEP_ID && at.cover >= 128)
                mark_span(c, p->id, y, at.x1, at.x2);
        }
        blend_ends(c, p, &row, y, at.x2, at.x3, l, r);
    }
}

/* ---- projection ---------------------------------------------------------------------- */

static float dot(const float a[3], const float b[3])
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

static void to_camera(const view *v, const float world[3], float camera[3])
{
    float d[3] = {world[0] - v->position[0], world[1] - v->position[1],
                  world[2] - v->position[2]};
    camera[0] = dot(v->right, d);
    camera[1] = dot(v->down, d);
    camera[2] = dot(v->forward, d);
}

static int32_t fixed(float value)
{
    if (value > 1e6f)
        value = 1e6f;
    if (value < -1e6f)
        value = -1e6f;
    return (int32_t)floorf(value * 256.0f + 0.5f);
}

static void project_point(const view *v, const float camera[3], int32_t out[2])
{
    float scale = v->focal / camera[2];
    out[0] = fixed(v->centre_x + camera[0] * scale);
    out[1] = fixed(v->centre_y + camera[1] * scale);
}

/* Clip a world polygon at the near plane and project it; the number of corners left. */
static int project(const view *v, const float (*world)[3], int count, int32_t (*out)[2])
{
    float camera[MAX_CORNERS][3];
    int kept = 0;
    for (int i = 0; i < count; i++)
        to_camera(v, world[i], camera[i]);
    for (int i = 0; i < count; i++) {
        const float *a = camera[i], *b = camera[i + 1 == count ? 0 : i + 1];
        if (a[2] >= NEAR)
            project_point(v, a, out[kept++]);
        if ((a[2] >= NEAR) != (b[2] >= NEAR)) {
            float t = (NEAR - a[2]) / (b[2] - a[2]);
            float cut[3] = {a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, NEAR};
            project_point(v, cut, out[kept++]);
        }
    }
    return kept;
}

/* ---- sky and ground ------------------------------------------------------------------ */

static int cloud_at(uint32_t u, uint32_t v)
{
    uint32_t x = u >> 16, y = v >> 16;
    int a = (int)(u >> 8 & 255), b = (int)(v >> 8 & 255);
    const uint8_t *row0 = cloud_tile + ((y & TILE_MASK) << TILE_BITS);
    const uint8_t *row1 = cloud_tile + (((y + 1) & TILE_MASK) << TILE_BITS);
    uint32_t i = x & TILE_MASK, j = (x + 1) & TILE_MASK;
    int top = row0[i] * (256 - a) + row0[j] * a, low = row1[i] * (256 - a) + row1[j] * a;
    return ((top >> 4) * (256 - b) + (low >> 4) * b) >> 8; /* 0..4080 */
}

static void sky_row(canvas *c, const view *v, int y)
{
    uint32_t *pixels = c->pixels + (size_t)y * c->width;
    float s = ((float)y + 0.5f - v->centre_y) / v->focal;
    float rise = v->forward[1] + s * v->down[1];
    if (rise < 0.0f)
        rise = 0.0f;
    float t = rise / (rise + 0.25f), sky[3];
    for (int k = 0; k < 3; k++)
        sky[k] = v->horizon[k] + (v->zenith[k] - v->horizon[k]) * t;
    uint32_t clear = pack(sky), cloud = pack(v->cloud);
    float fade = 256.0f * rise / (rise + 0.12f);
    if (v->cloud_cover <= 0.01f || fade < 4.0f) {
        for (int x = 0; x < c->width; x++)
            pixels[x] = clear;
        return;
    }
    float depth = 1.0f / (rise + 0.03f), a = -v->centre_x / v->focal, unit = 60.0f * 65536.0f;
    float u = depth * (v->forward[0] + s * v->down[0] + a * v->right[0]);
    float w = depth * (v->forward[2] + s * v->down[2] + a * v->right[2]) + v->cloud_shift;
    float du = depth * v->right[0] / v->focal, dw = depth * v->right[2] / v->focal;
    uint32_t fu = (uint32_t)(int64_t)(u * unit), fw = (uint32_t)(int64_t)(w * unit);
    uint32_t fdu = (uint32_t)(int64_t)(du * unit * 4.0f), fdw = (uint32_t)(int64_t)(dw * unit * 4.0f);
    int threshold = (int)((0.75f - 0.55f * v->cloud_cover) * 4080.0f), strength = (int)fade;
    int last = 0;
    for (int x = -4; x < c->width; x += 4, fu += fdu, fw += fdw) {
        int weight = clamp_int((cloud_at(fu, fw) - threshold) >> 2, 0, 256) * strength >> 8;
        int columns = x < 0 ? 0 : c->width - x < 4 ? c->width - x : 4;
        if (last == weight) { /* open sky, or the middle of a cloud */
            uint32_t even = mix(clear, cloud, (uint32_t)weight);
            for (int k = 0; k < columns; k++)
                pixels[x + k] = even;
            continue;
        }
        for (int k = 0; k < columns; k++)
            pixels[x + k] = mix(clear, cloud, (uint32_t)((last * (4 - k) + weight * k) >> 2));
        last = weight;
    }
}

static void lit_ground(const view *v, const float colour[3], float out[3])
{
    float sun = v->sun[1] > 0.0f ? v->sun[1] : 0.0f;
    for (int k = 0; k < 3; k++)
        out[k] = colour[k] * (v->ambient[k] + v->sun_colour[k] * sun);
}

static int place_patch(const view *v, const patch *q, int32_t (*corners)[2])
{
    float world[4][3];
    for (int k = 0; k < 4; k++) {
        world[k][0] = q->corners[k][0];
        world[k][1] = 0.0f;
        world[k][2] = q->corners[k][1];
    }
    return project(v, (const float(*)[3])world, 4, corners);
}

/* Before anything is painted: the ground's rows, and the columns that pavement and road hide. */
void street_ground(canvas *c, const view *v, const patch *patches, int count)
{
    const int32_t *left = c->edges, *right = c->edges + (size_t)SUBROWS * c->height;
    meet_ground(c, v);
    memset(c->covered, 0, sizeof *c->covered * 4 * (size_t)c->height);
    for (int i = 0; i < count; i++) {
        int layer = (int)patches[i].layer;
        int32_t corners[MAX_CORNERS][2];
        if (layer != 1 && layer != 3)
            continue;
        int kept = place_patch(v, patches + i, corners);
        if (kept < 3)
            continue;
        int32_t *covered = c->covered + (layer == 3 ? 2 * (size_t)c->height : 0);
        extent rows = trace_polygon(c, (const int32_t(*)[2])corners, kept);
        for (int y = rows.top; y < rows.end; y++) {
            reach at;
            int32_t *row = covered + 2 * y;
            if (reach_of(c, left + y * SUBROWS, right + y * SUBROWS, &at) && at.cover == 256 &&
                at.x2 - at.x1 > row[1] - row[0]) {
                row[0] = at.x1;
                row[1] = at.x2;
            }
        }
    }
}

void street_backdrop(canvas *c, const view *v)
{
    float level = v->centre_y + v->focal * v->forward[1] / -v->down[1];
    int split = clamp_int((int)ceilf(level - 0.5f), 0, c->height);
    for (int y = 0; y < split; y++)
        sky_row(c, v, y);
    paint p = {.texture = 26.0f * v->grain, .on_ground = 1, .alpha = 256, .id = KEEP_ID, .view = v};
    lit_ground(v, v->ground, p.top);
    memcpy(p.bottom, p.top, sizeof p.top);
    for (int y = split; y < c->height; y++) {
        row_paint row;
        start_row(c, &row, &p, y, 0.0f, c->width);
        fill_around(c, &row, y, 0, c->width, 256, c->covered + 2 * y);
    }
    memset(c->ids, 0, sizeof *c->ids * (size_t)c->width * c->height);
}

void street_patches(canvas *c, const view *v, const patch *patches, int count)
{
    for (int i = 0; i < count; i++) {
        const patch *q = patches + i;
        int32_t corners[MAX_CORNERS][2];
        paint p = {.texture = q->texture * v->grain, .on_ground = 1, .id = KEEP_ID, .view = v};
        p.alpha = (uint32_t)(q->alpha * 256.0f);
        lit_ground(v, q->colour, p.top);
        memcpy(p.bottom, p.top, sizeof p.top);
        if (q->layer == 1.0f || q->layer == 2.0f)
            p.hidden = c->covered + 2 * (size_t)c->height;
        int left = place_patch(v, q, corners);
        if (left >= 3)
            fill_polygon(c, &p, (const int32_t(*)[2])corners, left);
    }
}

/* ---- shadows ------------------------------------------------------------------------- */

static float turn(const float *a, const float *b, const float *p)
{
    return (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0]);
}

/* Convex hull by gift wrapping; the number of corners. */
static int hull(const float (*points)[2], int count, float (*out)[2])
{
    int start = 0, at, kept = 0;
    for (int i = 1; i < count; i++)
        if (points[i][0] < points[start][0] ||
            (points[i][0] == points[start][0] && points[i][1] < points[start][1]))
            start = i;
    at = start;
    do {
        out[kept][0] = points[at][0];
        out[kept++][1] = points[at][1];
        int next = at == 0 ? 1 : 0;
        for (int i = 0; i < count; i++)
            if (i != at && turn(points[at], points[next], points[i]) < 0.0f)
                next = i;
        at = next;
    } while (at != start && kept < count);
    return kept;
}

void street_shadows(canvas *c, const view *v, const instance *list, int count, float alpha)
{
    float reach = v->sun[1] > 0.2f ? 1.0f / v->sun[1] : 5.0f;
    for (int i = 0; i < count; i++) {
        const instance *m = list + i;
        if (m->shadow_height <= 0.0f)
            continue;
        float points[8][2], outline[8][2], world[8][3];
        int32_t corners[MAX_CORNERS][2];
        for (int k = 0; k < 8; k++) {
            float a = (k & 1 ? 1.0f : -1.0f) * m->shadow_x;
            float b = (k & 2 ? 1.0f : -1.0f) * m->shadow_z;
            float h = k & 4 ? m->shadow_height * reach : 0.0f;
            points[k][0] = m->x + m->cosine * a + m->sine * b - v->sun[0] * h;
            points[k][1] = m->z - m->sine * a + m->cosine * b - v->sun[2] * h;
        }
        int sides = hull((const float(*)[2])points, 8, outline);
        for (int k = 0; k < sides; k++) {
            world[k][0] = outline[k][0];
            world[k][1] = 0.0f;
            world[k][2] = outline[k][1];
        }
        paint p = {.on_ground = 1, .alpha = (uint32_t)(alpha * 256.0f), .id = KEEP_ID, .view = v};
        for (int k = 0; k < 3; k++)
            p.top[k] = p.bottom[k] = 12.0f * v->ambient[k];
        int left = project(v, (const float(*)[3])world, sides, corners);
        if (left >= 3)
            fill_polygon(c, &p, (const int32_t(*)[2])corners, left);
    }
}

/* ---- models -------------------------------------------------------------------------- */

static void place(const instance *m, const float local[4], float world[3])
{
    float x = local[0] * m->scale_x, y = local[1] * m->scale_y;
    float z = (local[2] + local[3] * m->swing) * m->scale_z;
    world[0] = m->x + m->cosine * x + m->sine * z;
    world[1] = m->y + y;
    world[2] = m->z - m->sine * x + m->cosine * z;
}

static void halo(canvas *c, const view *v, const float world[3], float metres, const float *colour)
{
    float camera[3];
    to_camera(v, world, camera);
    if (camera[2] < 1.0f)
        return;
    float scale = v->focal / camera[2], x = v->centre_x + camera[0] * scale;
    float y = v->centre_y + camera[1] * scale, radius = metres * scale, most = 0.2f * c->height;
    radius = radius > most ? most : radius;
    if (radius < 1.0f || x < -radius || y < -radius || x > c->width + radius || y > c->height + radius)
        return;
    int x0 = clamp_int((int)(x - radius), 0, c->width), x1 = clamp_int((int)(x + radius) + 1, 0, c->width);
    int y0 = clamp_int((int)(y - radius), 0, c->height), y1 = clamp_int((int)(y + radius) + 1, 0, c->height);
    float inverse = 1.0f / (radius * radius);
    for (int j = y0; j < y1; j++)
        for (int i = x0; i < x1; i++) {
            float dx = (float)i + 0.5f - x, dy = (float)j + 0.5f - y;
            float w = 1.0f - (dx * dx + dy * dy) * inverse;
            if (w <= 0.0f)
                continue;
            w *= w * w * v->glow * 0.7f;
            uint32_t *pixel = c->pixels + (size_t)j * c->width + i, sum = 0;
            for (int k = 0; k < 3; k++) {
                int value = (int)(*pixel >> (8 * k) & 255) + (int)(w * colour[k]);
                sum |= (uint32_t)(value > 255 ? 255 : value) << (8 * k);
            }
            *pixel = sum;
        }
}

static void light_face(paint *p, const view *v, const float *slot, int flags, const float normal[3],
                       float depth)
{
    float facing = dot(normal, v->sun), fog = fog_share(v, depth);
    facing = flags & FACE_LEAVES ? 0.6f : facing > 0.0f ? facing : 0.0f;
    float hemisphere = 0.82f + 0.18f * normal[1], emission = slot[3];
    for (int k = 0; k < 3; k++) {
        float light = v->ambient[k] * hemisphere + v->sun_colour[k] * facing;
        float colour = slot[k] * (light * (1.0f - emission) + emission);
        float upper = 1.06f, lower = 0.9f;
        if (flags & FACE_GLASS && emission < 0.5f) {
            colour += 0.22f * v->horizon[k];
            upper = 1.3f;
            lower = 0.7f;
        }
        p->top[k] = colour * upper + (v->fog[k] - colour * upper) * fog;
        p->bottom[k] = colour * lower + (v->fog[k] - colour * lower) * fog;
    }
    float bright = v->ambient[1] + v->sun_colour[1];
    bright = bright > 1.0f ? 1.0f : bright;
    p->texture = flags & FACE_LEAVES ? 60.0f : flags & FACE_GRAIN ? 18.0f : 0.0f;
    p->texture *= (1.0f - fog) * v->grain * bright;
}

static void draw_face(canvas *c, const view *v, const instance *m, const float *vertices,
                      const int32_t *face)
{
    float world[MAX_CORNERS][3], middle[3] = {0.0f, 0.0f, 0.0f}, camera[3];
    int32_t corners[MAX_CORNERS + 1][2];
    int count = face[1], flags = face[3];
    for (int i = 0; i < count; i++) {
        place(m, vertices + 4 * (face[0] + i), world[i]);
        for (int k = 0; k < 3; k++)
            middle[k] += world[i][k] / (float)count;
    }
    float a[3], b[3], n[3], to[3];
    for (int k = 0; k < 3; k++) {
        a[k] = world[1][k] - world[0][k];
        b[k] = world[2][k] - world[0][k];
        to[k] = world[0][k] - v->position[k];
    }
    n[0] = a[1] * b[2] - a[2] * b[1];
    n[1] = a[2] * b[0] - a[0] * b[2];
    n[2] = a[0] * b[1] - a[1] * b[0];
    float side = dot(n, to), length = sqrtf(dot(n, n));
    if (side >= 0.0f && !(flags & FACE_TWO_SIDED))
        return;
    float flip = side >= 0.0f ? -1.0f : 1.0f;
    length = length > 1e-12f ? flip / length : 0.0f;
    for (int k = 0; k < 3; k++)
        n[k] *= length;
    int left = project(v, (const float(*)[3])world, count, corners);
    if (left < 3)
        return;
    const float *slot = m->palette[face[2]];
    to_camera(v, middle, camera);
    float depth = camera[2] < NEAR ? NEAR : camera[2];
    paint p = {.alpha = 256, .id = (int)m->id, .view = v};
    light_face(&p, v, slot, flags, n, depth);
    if (p.texture > 0.0f) {
        float step = depth / v->focal / TEXEL;
        if (step < 0.5f) /* no large squares on what is near */
            step = 0.5f;
        p.texture *= 2.0f / (2.0f + step);
        p.step = (int32_t)texel_step(step * TEXEL);
        int64_t along = (int64_t)corners[0][0] * p.step, down = (int64_t)corners[0][1] * p.step;
        p.u = (int32_t)(uint32_t)(face[0] * 7919 * 65536ll - along / 256);
        p.v = (int32_t)(uint32_t)(face[0] * 104729ll * 65536ll - down / 256);
    }
    fill_polygon(c, &p, (const int32_t(*)[2])corners, left);
    if (flags & FACE_LAMP && slot[3] > 0.5f && v->glow > 0.02f)
        halo(c, v, middle, 0.7f, slot);
}

/* Parts are convex and do not interpenetrate: lower layers first, then far before near. */
static void draw_instance(canvas *c, const view *v, const library *lib, const instance *m)
{
    const int32_t *mesh = lib->meshes + 2 * (int)m->mesh;
    int count = mesh[1] > MAX_PARTS ? MAX_PARTS : mesh[1], order[MAX_PARTS];
    float key[MAX_PARTS];
    for (int i = 0; i < count; i++) {
        const float *part = lib->parts + 6 * (mesh[0] + i);
        float local[4] = {part[3], part[4], part[5], 0.0f}, world[3], d[3];
        place(m, local, world);
        for (int k = 0; k < 3; k++)
            d[k] = world[k] - v->position[k];
        float value = part[0] * 1e5f - sqrtf(dot(d, d));
        int j = i;
        for (; j > 0 && key[j - 1] > value; j--) {
            key[j] = key[j - 1];
            order[j] = order[j - 1];
        }
        key[j] = value;
        order[j] = i;
    }
    for (int i = 0; i < count; i++) {
        const float *part = lib->parts + 6 * (mesh[0] + order[i]);
        for (int k = 0; k < (int)part[2]; k++)
            draw_face(c, v, m, lib->vertices, lib->faces + 4 * ((int)part[1] + k));
    }
}

void street_instances(canvas *c, const view *v, const library *models, const instance *list,
                      int count)
{
    for (int i = 0; i < count; i++)
        draw_instance(c, v, models, list + i);
}

/* ---- the sensor ---------------------------------------------------------------------- */

/* One pass of the kernel (w, 1 - 2w, w), w in 1/256; out may not be in. */
WIDE static void blur_bytes(const uint8_t *a, const uint8_t *b, const uint8_t *c, uint8_t *out, int count,
                       uint16_t w)
{
    uint16_t middle = (uint16_t)(256 - 2 * w);
    for (int i = 0; i < count; i++)
        out[i] = (uint8_t)((uint16_t)(b[i] * middle + (uint16_t)(a[i] + c[i]) * w + 128) >> 8);
}

static void blur_rows(canvas *c, uint16_t w, uint8_t *scratch)
{
    int bytes = 4 * c->width;
    for (int y = 0; y < c->height; y++) {
        uint8_t *row = (uint8_t *)(c->pixels + (size_t)y * c->width);
        memcpy(scratch + 4, row, bytes);
        memcpy(scratch, row, 4);
        memcpy(scratch + 4 + bytes, row + bytes - 4, 4);
        blur_bytes(scratch, scratch + 4, scratch + 8, row, bytes, w);
    }
}

static void blur_columns(canvas *c, uint16_t w, uint8_t *scratch)
{
    int bytes = 4 * c->width;
    uint8_t *above = scratch, *here = scratch + bytes;
    memcpy(above, c->pixels, bytes);
    for (int y = 0; y < c->height; y++) {
        uint8_t *row = (uint8_t *)(c->pixels + (size_t)y * c->width);
        memcpy(here, row, bytes);
        blur_bytes(above, here, y + 1 < c->height ? row + bytes : here, row, bytes, w);
        uint8_t *t = above;
        above = here;
        here = t;
    }
}

/* Passes of weight at most 1/4 add up to the variance: 2 w each. */
static void blur(canvas *c, float deviation, void (*pass)(canvas *, uint16_t, uint8_t *),
                 uint8_t *scratch)
{
    float variance = deviation * deviation;
    for (int i = 0; i < 12 && variance > 0.02f; i++) {
        float w = variance * 0.5f > 0.25f ? 0.25f : variance * 0.5f;
        pass(c, (uint16_t)(w * 256.0f), scratch);
        variance -= 2.0f * w;
    }
}

typedef float four_floats __attribute__((vector_size(16)));
typedef uint16_t four_shorts __attribute__((vector_size(8)));

/* Gains of one row in 4.12: what the lens leaves of each pixel, times the channels' gains. */
WIDE static void gain_row(uint16_t *gain, float *fall, const sensor *s, int width, int height, int y)
{
    float half_w = 0.5f * width, half_h = 0.5f * height, square = half_w * half_w + half_h * half_h;
    float dy = (float)y + 0.5f - half_h;
    four_floats channels = {s->gain[0], s->gain[1], s->gain[2], 0.0f};
    for (int x = 0; x < width; x++) {
        float dx = (float)x + 0.5f - half_w;
        fall[x] = 4096.0f * (1.0f - s->vignette * (dx * dx + dy * dy) / square);
    }
    for (int x = 0; x < width; x++) {
        four_ints whole = __builtin_convertvector(channels * fall[x], four_ints);
        four_shorts narrow = __builtin_convertvector(whole, four_shorts);
        memcpy(gain + 4 * x, &narrow, sizeof narrow);
    }
}

/* Drop the fourth byte of every pixel. */
static void pack_row(const uint8_t *from, uint8_t *to, int width)
{
    int x = 0;
    for (; x + 4 <= width; x += 4, from += 16, to += 12) {
        uint32_t in[4], out[3];
        memcpy(in, from, 16);
        out[0] = (in[0] & 0xffffffu) | in[1] << 24;
        out[1] = (in[1] >> 8 & 0xffffu) | in[2] << 16;
        out[2] = (in[2] >> 16 & 0xffu) | in[3] << 8;
        memcpy(to, out, 12);
    }
    for (; x < width; x++, from += 4, to += 3)
        memcpy(to, from, 3);
}

WIDE static void expose_row(const uint8_t *row, const uint16_t *gain, const int8_t *noise, int read,
                       int shot, uint8_t *out, int count)
{
    for (int i = 0; i < count; i++) {
        int16_t value = (int16_t)((uint32_t)(uint16_t)(row[i] << 8) * gain[i] >> 16); /* 12.4 */
        int16_t amplitude = (int16_t)(read + (int16_t)((int16_t)(row[i] >> 1) * (int16_t)shot >> 7));
        value = (int16_t)(value + (int16_t)((int16_t)(noise[i] * amplitude) >> 6) + 8);
        value = (int16_t)(value >> 4);
        value = value < 0 ? 0 : value;
        out[i] = (uint8_t)(value > 255 ? 255 : value);
    }
}

void street_develop(canvas *c, const sensor *s, uint32_t seed, uint8_t *scratch, uint8_t *out)
{
    int bytes = 4 * c->width;
    blur(c, s->blur_x, blur_rows, scratch);
    blur(c, s->blur_y, blur_columns, scratch);
    uint16_t *gain = (uint16_t *)scratch;
    uint8_t *exposed = scratch + 2 * (size_t)bytes;
    float *fall = (float *)(scratch + 3 * (size_t)bytes);
    int read = clamp_int((int)(s->read_noise * 32.0f), 0, 120);
    int shot = clamp_int((int)(s->shot_noise * 32.0f), 0, 120);
    for (int i = 0; i < c->height; i++) {
        /* rows in pairs from both ends: the vignette is the same on both */
        int y = i % 2 ? c->height - 1 - i / 2 : i / 2;
        if (i % 2 == 0)
            gain_row(gain, fall, s, c->width, c->height, y);
        const int8_t *noise = noise_table + (hash32(seed + (uint32_t)y * 0x9e3779b9u) & 0xffff);
        expose_row((const uint8_t *)(c->pixels + (size_t)y * c->width), gain, noise, read, shot,
                   exposed, bytes);
        pack_row(exposed, out + 3 * (size_t)y * c->width, c->width);
    }
}

void street_boxes(const canvas *c, int count, int32_t *boxes, uint32_t *visible)
{
    for (int i = 0; i < count; i++) {
        int32_t *box = boxes + 4 * i;
        box[0] = c->width;
        box[1] = c->height;
        box[2] = box[3] = 0;
        visible[i] = 0;
    }
    for (int y = 0; y < c->height; y++) {
        const uint16_t *ids = c->ids + (size_t)y * c->width;
        for (int x = 0; x < c->width;) {
            uint64_t four = 1;
            if (x + 4 <= c->width)
                memcpy(&four, ids + x, 8);
            if (four == 0) {
                x += 4;
                continue;
            }
            int id = ids[x], start = x;
            while (x < c->width && ids[x] == id)
                x++;
            if (id == 0 || id > count)
                continue;
            int32_t *box = boxes + 4 * (id - 1);
            box[0] = start < box[0] ? start : box[0];
            box[1] = y < box[1] ? y : box[1];
            box[2] = x > box[2] ? x : box[2];
            box[3] = y + 1;
            visible[id - 1] += (uint32_t)(x - start);
        }
    }
}
