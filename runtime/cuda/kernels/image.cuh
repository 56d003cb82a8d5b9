/* Frames in the GPU's memory, as the host describes them (letterbox.py has the same layout). */
#pragma once

enum Format { BGR, RGB, NV12, YUYV };

/* From Y, U, V to R, G, B: factors in Q14; what is subtracted from Y is in Q7, U and V are centred
 * at 128. */
struct Colours {
    int black, luma;
    int v_to_red, u_to_green, v_to_green, u_to_blue;
};

struct Image {
    const unsigned char *pixels; /* of the first pixel; of NV12 the Y plane */
    const unsigned char *chroma; /* the UV plane of NV12 */
    int pitch, chroma_pitch;       /* bytes from a row to the next */
    int height, width;
    int top, left, rows, columns; /* of the picture in the canvas */
    int format;
    Colours colours;
};

/* A batch, handed over as an argument of the kernel: nothing needs to be uploaded before. */
constexpr int MAX_IMAGES = 32;

struct Images {
    Image image[MAX_IMAGES];
};

/* The network's input; `element` is an Element. */
struct Canvas {
    int height, width;
    int element;
    int rgb;    /* plane order: 1 for RGB, 0 for BGR */
    int pad;    /* 0..255 */
    float step; /* of float elements: what 1/128 of a pixel value becomes */
};
