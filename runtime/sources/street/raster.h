/* A small software rasterizer for the rendered street.
 *
 * Convex polygons only, antialiased with four sub-scanlines a row and exact horizontal
 * coverage in 24.8 fixed point; painter's order is the caller's. Every polygon may write an
 * object id beside its colour. Plain IEEE single precision and integers, no table that
 * depends on the machine: the same input gives the same bytes.
 *
 * World axes: x to the right, y up, z along the street, metres. Camera axes: right, down,
 * forward. Colours are blue, green, red in 0..255.
 */
#ifndef EDGE_SDK_STREET_RASTER_H
#define EDGE_SDK_STREET_RASTER_H

#include <stdint.h>

enum { FACE_TWO_SIDED = 1, FACE_GRAIN = 2, FACE_GLASS = 4, FACE_LAMP = 8, FACE_LEAVES = 16 };
enum { SLOTS = 10, SUBROWS = 4, MAX_CORNERS = 16, MAX_PARTS = 96 };

/* Where the rays of one row of pixels meet the ground: depth, x and z linear in the column. */
typedef struct {
    float depth, fog, texel;      /* metres; share of fog; texels a pixel */
    uint32_t u, v, du, dv;        /* 16.16 texels at column 0 and a column */
} ground_row;

/* The picture being painted; everything is allocated by the caller. */
typedef struct {
    int width, height;
    uint32_t *pixels;  /* [height, width] 0x00RRGGBB */
    uint16_t *ids;     /* [height, width] 0 is background */
    uint32_t *areas;   /* [65536] pixels of each object's whole silhouette inside the picture */
    int32_t *edges;    /* [2, 4 * height] left and right ends of the polygon at hand */
    ground_row *ground; /* [height] */
    int32_t *covered;  /* [2, height, 2] columns that pavement, and that road, hide wholly */
} canvas;

/* Camera and light; all floats, so that the caller can fill it as one array. */
typedef struct {
    float right[3], down[3], forward[3], position[3];
    float focal, centre_x, centre_y;         /* pixels */
    float sun[3];                            /* unit vector towards the sun */
    float sun_colour[3], ambient[3];         /* factors on colours */
    float fog[3], fog_distance;              /* metres at which half of the colour is left */
    float zenith[3], horizon[3], cloud[3];   /* colours of the sky */
    float cloud_cover, cloud_shift;          /* 0..1; drift in cloud heights */
    float glow;                              /* 0..1, halos of lamps */
    float ground[3];
    float grain;                             /* 0..1, strength of all textures */
} view;

/* A quadrilateral on the ground. */
typedef struct {
    float corners[4][2];                     /* x, z */
    float colour[3];
    float alpha;                             /* 0..1 */
    float texture;                           /* amplitude in grey levels */
    float layer;                             /* 1 pavement, 2 kerb, 3 road, 0 marks on them */
} patch;

/* One placed model. */
typedef struct {
    float mesh, id;                          /* id 0: not labelled */
    float x, y, z, cosine, sine;             /* turned about the vertical axis */
    float scale_x, scale_y, scale_z;
    float swing;                             /* -1..1, the walk */
    float shadow_x, shadow_z, shadow_height; /* half extents and height; height 0: none */
    float palette[SLOTS][4];                 /* blue, green, red, emission 0..1 */
} instance;

/* The models: vertices [*, 4] x, y, z, swing; faces [*, 4] first vertex, corners, slot, flags;
 * parts [*, 6] layer, first face, faces, centre; meshes [*, 2] first part, parts. */
typedef struct {
    const float *vertices;
    const int32_t *faces;
    const float *parts;
    const int32_t *meshes;
} library;

/* What the sensor does to the picture. */
typedef struct {
    float gain[3];                           /* blue, green, red */
    float vignette;                          /* share of light lost in the corners */
    float read_noise, shot_noise;            /* grey levels at black and more at white */
    float blur_x, blur_y;                    /* standard deviation in pixels */
} sensor;

void street_tables(void);
void street_ground(canvas *c, const view *v, const patch *patches, int count);
void street_backdrop(canvas *c, const view *v);
void street_patches(canvas *c, const view *v, const patch *patches, int count);
void street_shadows(canvas *c, const view *v, const instance *list, int count, float alpha);
void street_instances(canvas *c, const view *v, const library *models, const instance *list,
                      int count);
void street_develop(canvas *c, const sensor *s, uint32_t seed, uint8_t *scratch, uint8_t *out);
/* boxes [count, 4] as x1, y1, x2, y2 (exclusive), visible [count] pixels, of ids 1..count. */
void street_boxes(const canvas *c, int count, int32_t *boxes, uint32_t *visible);

#endif
