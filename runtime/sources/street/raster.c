#include "raster.h"

#include <math.h>
#include <string.h>

enum { TILE_BITS = 9, TILE = 1 << TILE_BITS, TILE_MASK = TILE - 1 };
enum { LEVELS = 64, NOISE = 1 << 17 };
enum { KEEP_ID = -1 };

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

/* Periodic value noise in 0..255 at a cell of `cell` texels (a power of two). */
static int value_noise(int x, int y, int cell, uint32_t salt)
{
    int wrap = TILE / cell - 1, i = x / cell, j = y / cell, u = x % cell, v = y % cell;
    int corner[4];
    for (int k = 0; k < 4; k++) {
        uint32_t at = (uint32_t)(((j + (k >> 1)) & wrap) * 4096 + ((i + (k & 1)) & wrap));
        corner[k] = (int)(hash32(at + salt) & 255);
    }
    /* smoothstep in 0..256 */
    int a = u * 256 / cell, b = v * 256 / cell;
    a = a * a / 256 * (768 - 2 * a) / 256;
    b = b * b / 256 * (768 - 2 * b) / 256;
    int top = corner[0] * (256 - a) + corner[1] * a, low = corner[2] * (256 - a) + corner[3] * a;
    return (top / 256 * (256 - b) + low / 256 * b) / 256;
}

void street_tables(void)
{
    for (int y = 0; y < TILE; y++)
        for (int x = 0; x < TILE; x++) {
            int smooth = value_noise(x, y, 64, 11u) * 4 + value_noise(x, y, 16, 23u) * 3;
            int cloud = value_noise(x, y, 128, 5u) * 8 + value_noise(x, y, 64, 6u) * 5 +
                        value_noise(x, y, 32, 7u) * 3 + value_noise(x, y, 16, 8u) * 2;
            int grain = (int)(hash32((uint32_t)(y * TILE + x) + 77u) & 255) * 5 +
                        value_noise(x, y, 4, 31u) * 4;
            ground_tile[y * TILE + x] = (uint8_t)((smooth + grain) / 16 * LEVELS / 256);
            cloud_tile[y * TILE + x] = (uint8_t)(cloud / 18);
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
    return value <= 0.0f ? 0 : value >= 255.0f ? 255 : (int)(value + 0.5f);
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
    const view *view;
} paint;

typedef struct {
    int textured;
    uint32_t flat;
    uint32_t shades[LEVELS];
    uint32_t u, v, du, dv; /* 16.16 texels at x = 0 and a pixel */
} row_paint;

/* Where a row's rays meet the ground: depth, and x and z linear in the column. */
typedef struct {
    float depth, x, z, dx, dz;
} ground_row;

static ground_row meet_ground(const view *v, float y)
{
    ground_row row;
    float s = (y - v->centre_y) / v->focal;
    float fall = -(v->forward[1] + s * v->down[1]);
    if (fall < 1e-3f)
        fall = 1e-3f;
    row.depth = v->position[1] / fall;
    float a = -v->centre_x / v->focal;
    row.x = v->position[0] + row.depth * (v->forward[0] + s * v->down[0] + a * v->right[0]);
    row.z = v->position[2] + row.depth * (v->forward[2] + s * v->down[2] + a * v->right[2]);
    row.dx = row.depth * v->right[0] / v->focal;
    row.dz = row.depth * v->right[2] / v->focal;
    return row;
}

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

static void shade_levels(row_paint *row, const float colour[3], float amplitude)
{
    for (int i = 0; i < LEVELS; i++) {
        float t = ((float)i - 0.5f * (LEVELS - 1)) * (2.0f / LEVELS) * amplitude, shaded[3];
        for (int k = 0; k < 3; k++)
            shaded[k] = colour[k] + t;
        row->shades[i] = pack(shaded);
    }
}

static void start_row(row_paint *row, const paint *p, int y, float t)
{
    float colour[3], amplitude = p->texture;
    for (int k = 0; k < 3; k++)
        colour[k] = p->top[k] + (p->bottom[k] - p->top[k]) * t;
    row->textured = amplitude > 0.4f;
    if (p->on_ground) {
        ground_row ground = meet_ground(p->view, (float)y + 0.5f);
        float fog = fog_share(p->view, ground.depth);
        for (int k = 0; k < 3; k++)
            colour[k] += (p->view->fog[k] - colour[k]) * fog;
        float pixel = ground.depth / p->view->focal / TEXEL;
        amplitude *= (1.0f - fog) * 2.0f / (2.0f + pixel);
        row->textured = amplitude > 0.6f;
        if (row->textured) {
            row->u = texels(ground.x);
            row->v = texels(ground.z);
            row->du = texel_step(ground.dx);
            row->dv = texel_step(ground.dz);
        }
    } else if (row->textured) {
        row->u = (uint32_t)p->u;
        row->v = (uint32_t)(p->v + (int32_t)((int64_t)y * p->step));
        row->du = (uint32_t)p->step;
        row->dv = 0;
    }
    if (row->textured)
        shade_levels(row, colour, amplitude);
    else
        row->flat = pack(colour);
}

static uint32_t colour_at(const row_paint *row, uint32_t x)
{
    if (!row->textured)
        return row->flat;
    uint32_t u = (row->u + x * row->du) >> 16 & TILE_MASK;
    uint32_t v = (row->v + x * row->dv) >> 16 & TILE_MASK;
    return row->shades[ground_tile[v << TILE_BITS | u]];
}

static void fill_span(canvas *c, const paint *p, const row_paint *row, int y, int x0, int x1)
{
    uint32_t *pixels = c->pixels + (size_t)y * c->width;
    if (p->alpha < 256) {
        for (int x = x0; x < x1; x++)
            pixels[x] = mix(pixels[x], colour_at(row, (uint32_t)x), p->alpha);
    } else if (!row->textured) {
        for (int x = x0; x < x1; x++)
            pixels[x] = row->flat;
    } else {
        uint32_t u = row->u + (uint32_t)x0 * row->du, v = row->v + (uint32_t)x0 * row->dv;
        for (int x = x0; x < x1; x++, u += row->du, v += row->dv) {
            uint32_t at = (v >> 16 & TILE_MASK) << TILE_BITS | (u >> 16 & TILE_MASK);
            pixels[x] = row->shades[ground_tile[at]];
        }
    }
}

static void mark_span(canvas *c, int id, int y, int x0, int x1)
{
    uint16_t *ids = c->ids + (size_t)y * c->width;
    uint32_t fresh = 0;
    for (int x = x0; x < x1; x++) {
        fresh += ids[x] != id;
        ids[x] = (uint16_t)id;
    }
    c->areas[id] += fresh;
}

/* Pixels of a row that the polygon covers in part: x0 to x1, by its ends on the subrows. */
static void blend_ends(canvas *c, const paint *p, const row_paint *row, int y, int x0, int x1,
                       const int32_t *left, const int32_t *right)
{
    uint32_t *pixels = c->pixels + (size_t)y * c->width;
    for (int x = x0; x < x1; x++) {
        int32_t a = x * 256, b = a + 256;
        uint32_t cover = 0;
        for (int k = 0; k < SUBROWS; k++) {
            int32_t from = left[k] > a ? left[k] : a, to = right[k] < b ? right[k] : b;
            if (to > from)
                cover += (uint32_t)(to - from);
        }
        cover /= SUBROWS;
        if (cover == 0)
            continue;
        pixels[x] = mix(pixels[x], colour_at(row, (uint32_t)x), cover * p->alpha >> 8);
        if (p->id != KEEP_ID && cover >= 128)
            mark_span(c, p->id, y, x, x + 1);
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

/* Fill a convex polygon; corners in 24.8 fixed point. */
static void fill_polygon(canvas *c, const paint *p, const int32_t (*corners)[2], int count)
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
        return;
    int top = clamp_int(floor_div(y_low, 256), 0, c->height);
    int end = clamp_int(floor_div(y_high + 255, 256), 0, c->height);
    int first = top * SUBROWS, last = end * SUBROWS;
    int32_t *left = c->edges, *right = c->edges + (size_t)SUBROWS * c->height;
    for (int s = first; s < last; s++) {
        left[s] = INT32_MAX;
        right[s] = INT32_MIN;
    }
    for (int i = 0; i < count; i++) {
        const int32_t *a = corners[i], *b = corners[i + 1 == count ? 0 : i + 1];
        trace_edge(left, right, first, last, a[0], a[1], b[0], b[1]);
    }
    float span = (float)(y_high - y_low);
    for (int y = top; y < end; y++) {
        const int32_t *l = left + y * SUBROWS, *r = right + y * SUBROWS;
        int32_t l_low = INT32_MAX, l_high = INT32_MIN, r_low = INT32_MAX, r_high = INT32_MIN;
        for (int k = 0; k < SUBROWS; k++) {
            l_low = l[k] < l_low ? l[k] : l_low;
            l_high = l[k] > l_high ? l[k] : l_high;
            r_low = r[k] < r_low ? r[k] : r_low;
            r_high = r[k] > r_high ? r[k] : r_high;
        }
        if (r_high <= l_low || r_high <= 0 || l_low >= c->width * 256)
            continue;
        row_paint row;
        float t = ((float)(y * 256 + 128) - (float)y_low) / span;
        start_row(&row, p, y, t < 0.0f ? 0.0f : t > 1.0f ? 1.0f : t);
        int x0 = clamp_int(floor_div(l_low, 256), 0, c->width);
        int x3 = clamp_int(floor_div(r_high > INT32_MAX - 255 ? r_high : r_high + 255, 256), 0, c->width);
        int x1 = x3, x2 = x3;
        if (l_high != INT32_MAX && r_low != INT32_MIN) {
            x1 = clamp_int(floor_div(l_high > INT32_MAX - 255 ? l_high : l_high + 255, 256), x0, x3);
            x2 = clamp_int(floor_div(r_low, 256), x1, x3);
        }
        blend_ends(c, p, &row, y, x0, x1, l, r);
        if (x2 > x1) {
            fill_span(c, p, &row, y, x1, x2);
            if (p->id != KEEP_ID)
                mark_span(c, p->id, y, x1, x2);
        }
        blend_ends(c, p, &row, y, x2, x3, l, r);
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
        for (int k = 0; k < 4 && x >= 0 && x + k < c->width; k++)
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
        start_row(&row, &p, y, 0.0f);
        fill_span(c, &p, &row, y, 0, c->width);
    }
    memset(c->ids, 0, sizeof *c->ids * (size_t)c->width * c->height);
}

void street_patches(canvas *c, const view *v, const patch *patches, int count)
{
    for (int i = 0; i < count; i++) {
        const patch *q = patches + i;
        float world[4][3];
        int32_t corners[MAX_CORNERS][2];
        for (int k = 0; k < 4; k++) {
            world[k][0] = q->corners[k][0];
            world[k][1] = 0.0f;
            world[k][2] = q->corners[k][1];
        }
        paint p = {.texture = q->texture * v->grain, .on_ground = 1, .id = KEEP_ID, .view = v};
        p.alpha = (uint32_t)(q->alpha * 256.0f);
        lit_ground(v, q->colour, p.top);
        memcpy(p.bottom, p.top, sizeof p.top);
        int left = project(v, (const float(*)[3])world, 4, corners);
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
    float x = local[0] * m->scale_x + m->lean * local[1], y = local[1] * m->scale_y;
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
static void blur_bytes(const uint8_t *a, const uint8_t *b, const uint8_t *c, uint8_t *out, int count,
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

static void expose_row(const uint8_t *row, const uint16_t *gain, const int8_t *noise, int read,
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
    int read = clamp_int((int)(s->read_noise * 32.0f), 0, 120);
    int shot = clamp_int((int)(s->shot_noise * 32.0f), 0, 120);
    float half_w = 0.5f * c->width, half_h = 0.5f * c->height, square = half_w * half_w + half_h * half_h;
    for (int y = 0; y < c->height; y++) {
        float dy = (float)y + 0.5f - half_h;
        for (int x = 0; x < c->width; x++) {
            float dx = (float)x + 0.5f - half_w;
            float fall = 1.0f - s->vignette * (dx * dx + dy * dy) / square;
            for (int k = 0; k < 4; k++)
                gain[4 * x + k] = k < 3 ? (uint16_t)(4096.0f * fall * s->gain[k]) : 0;
        }
        const int8_t *noise = noise_table + (hash32(seed + (uint32_t)y * 0x9e3779b9u) & 0xffff);
        expose_row((const uint8_t *)(c->pixels + (size_t)y * c->width), gain, noise, read, shot,
                   exposed, bytes);
        uint8_t *to = out + 3 * (size_t)y * c->width;
        for (int x = 0; x < c->width; x++) {
            to[3 * x] = exposed[4 * x];
            to[3 * x + 1] = exposed[4 * x + 1];
            to[3 * x + 2] = exposed[4 * x + 2];
        }
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
