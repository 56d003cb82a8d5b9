# cython: boundscheck=False, wraparound=False
"""Thin binding of raster.c: shapes are checked here, the interpreter lock is released there."""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t

import threading

import numpy as np


cdef extern from "raster.h" nogil:
    ctypedef struct ground_row:
        pass
    ctypedef struct canvas:
        int width
        int height
        uint32_t *pixels
        uint16_t *ids
        uint32_t *areas
        int32_t *edges
        ground_row *ground
        int32_t *covered
    ctypedef struct view:
        pass
    ctypedef struct patch:
        pass
    ctypedef struct instance:
        pass
    ctypedef struct sensor:
        pass
    ctypedef struct library:
        const float *vertices
        const int32_t *faces
        const float *parts
        const int32_t *meshes
    void street_tables()
    void street_ground(canvas *c, const view *v, const patch *patches, int count)
    void street_backdrop(canvas *c, const view *v)
    void street_patches(canvas *c, const view *v, const patch *patches, int count)
    void street_shadows(canvas *c, const view *v, const instance *items, int count, float alpha)
    void street_instances(
        canvas *c, const view *v, const library *models, const instance *items, int count)
    void street_develop(
        canvas *c, const sensor *s, uint32_t seed, uint8_t *scratch, uint8_t *out)
    void street_boxes(const canvas *c, int count, int32_t *boxes, uint32_t *visible)


VIEW_FLOATS = sizeof(view) // 4
PATCH_FLOATS = sizeof(patch) // 4
INSTANCE_FLOATS = sizeof(instance) // 4
SENSOR_FLOATS = sizeof(sensor) // 4

street_tables()

_buffers = threading.local()


def _paper(height, width):
    """Return this thread's pixels, ids and silhouette areas, kept from frame to frame."""
    pixels = getattr(_buffers, "pixels", None)
    if pixels is None or pixels.shape != (height, width):
        _buffers.pixels = np.empty((height, width), np.uint32)
        _buffers.ids = np.empty((height, width), np.uint16)
        _buffers.areas = np.empty(65536, np.uint32)
    return _buffers.pixels, _buffers.ids, _buffers.areas


def render(
    int height,
    int width,
    const float[::1] camera,
    const float[:, ::1] patches,
    const float[:, ::1] buildings,
    const float[:, ::1] figures,
    float shadow,
    models,
    const float[::1] exposure,
    uint32_t noise_seed,
    int labels,
):
    """Paint one frame.

    `patches`, `buildings` and `figures` are painted in this order, each from its first row to
    its last. Returns (image uint8 [h, w, 3], ids uint16 [h, w], boxes int32 [labels, 4],
    visible uint32 [labels], whole uint32 [labels]): boxes and pixels of the ids 1..labels. The
    ids are good until this thread's next frame.
    """
    cdef const float[:, ::1] vertices = models[0]
    cdef const int32_t[:, ::1] faces = models[1]
    cdef const float[:, ::1] parts = models[2]
    cdef const int32_t[:, ::1] meshes = models[3]
    if (camera.shape[0] != VIEW_FLOATS or exposure.shape[0] != SENSOR_FLOATS
            or patches.shape[1] != PATCH_FLOATS or buildings.shape[1] != INSTANCE_FLOATS
            or figures.shape[1] != INSTANCE_FLOATS):
        raise ValueError("a record has the wrong number of floats")
    if labels < 0 or labels > 65534:
        raise ValueError("ids are 16 bits wide")
    pixels, ids, areas = _paper(height, width)
    areas[:labels + 1] = 0
    edges = np.empty((2, 4 * height), np.int32)
    covered = np.empty((2, height, 2), np.int32)
    rows = np.empty(height * sizeof(ground_row), np.uint8)
    scratch = np.empty(16 * width + 64, np.uint8)
    image = np.empty((height, width, 3), np.uint8)
    boxes = np.empty((labels, 4), np.int32)
    visible = np.empty(labels, np.uint32)
    cdef uint32_t[:, ::1] pixels_view = pixels
    cdef uint16_t[:, ::1] ids_view = ids
    cdef uint32_t[::1] areas_view = areas
    cdef int32_t[:, ::1] edges_view = edges
    cdef int32_t[:, :, ::1] covered_view = covered
    cdef uint8_t[::1] rows_view = rows
    cdef uint8_t[::1] scratch_view = scratch
    cdef uint8_t[:, :, ::1] image_view = image
    cdef int32_t[:, ::1] boxes_view = boxes
    cdef uint32_t[::1] visible_view = visible
    cdef canvas c
    cdef library lib
    c.width = width
    c.height = height
    c.pixels = &pixels_view[0, 0]
    c.ids = &ids_view[0, 0]
    c.areas = &areas_view[0]
    c.edges = &edges_view[0, 0]
    c.covered = &covered_view[0, 0, 0]
    c.ground = <ground_row *> &rows_view[0]
    lib.vertices = &vertices[0, 0]
    lib.faces = &faces[0, 0]
    lib.parts = &parts[0, 0]
    lib.meshes = &meshes[0, 0]
    cdef const view *v = <const view *> &camera[0]
    cdef const sensor *s = <const sensor *> &exposure[0]
    cdef const patch *ground = <const patch *> &patches[0, 0] if patches.shape[0] else NULL
    cdef const instance *back = <const instance *> &buildings[0, 0] if buildings.shape[0] else NULL
    cdef const instance *front = <const instance *> &figures[0, 0] if figures.shape[0] else NULL
    cdef int n_ground = <int> patches.shape[0]
    cdef int n_back = <int> buildings.shape[0]
    cdef int n_front = <int> figures.shape[0]
    with nogil:
        street_ground(&c, v, ground, n_ground)
        street_backdrop(&c, v)
        street_patches(&c, v, ground, n_ground)
        street_shadows(&c, v, back, n_back, shadow)
        street_shadows(&c, v, front, n_front, shadow)
        street_instances(&c, v, &lib, back, n_back)
        street_instances(&c, v, &lib, front, n_front)
        street_develop(&c, s, noise_seed, &scratch_view[0], &image_view[0, 0, 0])
        if labels:
            street_boxes(&c, labels, &boxes_view[0, 0], &visible_view[0])
    return image, ids, boxes, visible, areas[1:labels + 1].copy()
