# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""The C kernels as objects that own their workspaces. Arguments are checked by the callers."""

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree
from libc.stdint cimport int32_t, uint8_t, uint32_t


cdef extern from "kernels.h" nogil:
    ctypedef struct instruction_set_t "instruction_set":
        const char *name
    const instruction_set_t *kernels_instruction_set()
    int kernels_choose(const char *name)
    const char *kernels_supported(size_t position)

    ctypedef enum element:
        pass
    ctypedef struct letterbox_plan:
        int frame_height, frame_width
    ctypedef struct letterbox_output:
        element type
        int rgb, pad_value
        float scale
    size_t letterbox_memory(int height, int width)
    void letterbox_init(letterbox_plan *plan, int height, int width, void *memory)
    void letterbox_fit(letterbox_plan *plan, int frame_height, int frame_width, int top, int left,
                       int rows, int columns)
    void letterbox_run(letterbox_plan *plan, const uint8_t *frame, Py_ssize_t stride,
                       const letterbox_output *output, void *out)

    enum: MAX_LEVELS
    enum: MAX_BINS
    ctypedef enum head_layout:
        pass
    ctypedef struct head_shape:
        head_layout layout
        uint32_t anchors, classes
        int bins, levels
        int heights[MAX_LEVELS]
        int widths[MAX_LEVELS]
        int strides[MAX_LEVELS]
    ctypedef struct frame_view:
        float scale, left, top, width, height
    ctypedef struct nms_options:
        float iou
        int class_agnostic, max_detections
    ctypedef struct postprocess_options:
        float threshold
        int multi_label
        uint32_t max_candidates
        nms_options nms
    ctypedef struct postprocessor:
        pass
    size_t postprocess_memory(const head_shape *head, const postprocess_options *options)
    void postprocess_init(postprocessor *post, const head_shape *head,
                          const postprocess_options *options, void *memory)
    int postprocess_run(postprocessor *post, const float *const *outputs, const frame_view *view,
                        float (*boxes)[4], float *scores, int32_t *class_ids)


LEVELS = MAX_LEVELS
BINS = MAX_BINS


def instruction_set():
    return kernels_instruction_set().name.decode()


def supported():
    """Name the instruction sets that this machine can run, best first."""
    cdef const char *name
    names = []
    while (name := kernels_supported(len(names))) != NULL:
        names.append(name.decode())
    return names


def choose(name):
    """Choose an instruction set by name, or the best for None; return whether it could be."""
    cdef bytes encoded
    if name is None:
        return kernels_choose(NULL) == 0
    encoded = name.encode()
    return kernels_choose(encoded) == 0


cdef class Letterboxer:
    """Letterboxes frames into one canvas; for one thread at a time."""

    cdef letterbox_plan plan
    cdef void *memory

    def __cinit__(self, int height, int width):
        self.memory = PyMem_RawCalloc(1, letterbox_memory(height, width))
        if self.memory == NULL:
            raise MemoryError
        letterbox_init(&self.plan, height, width, self.memory)

    def __dealloc__(self):
        PyMem_RawFree(self.memory)

    def fits(self, int height, int width):
        return self.plan.frame_height == height and self.plan.frame_width == width

    def fit(self, int height, int width, int top, int left, int rows, int columns):
        with nogil:
            letterbox_fit(&self.plan, height, width, top, left, rows, columns)

    def run(self, const uint8_t[:, :, :] frame, int type, bint rgb, int pad_value, float scale,
            uint8_t[::1] out):
        cdef letterbox_output output
        output.type = <element>type
        output.rgb = rgb
        output.pad_value = pad_value
        output.scale = scale
        with nogil:
            letterbox_run(&self.plan, &frame[0, 0, 0], frame.strides[0], &output, &out[0])


cdef class Postprocess:
    """Turns raw outputs into detections; for one thread at a time."""

    cdef postprocessor post
    cdef void *memory
    cdef readonly int max_detections

    def __cinit__(self, int layout, uint32_t anchors, uint32_t classes, int bins, tuple levels,
                  float threshold, float iou, bint class_agnostic, bint multi_label,
                  uint32_t max_candidates, int max_detections):
        cdef head_shape head
        cdef postprocess_options options
        head.layout = <head_layout>layout
        head.anchors = anchors
        head.classes = classes
        head.bins = bins
        head.levels = len(levels)
        for i, (height, width, stride) in enumerate(levels):
            head.heights[i] = height
            head.widths[i] = width
            head.strides[i] = stride
        options.threshold = threshold
        options.multi_label = multi_label
        options.max_candidates = max_candidates
        options.nms.iou = iou
        options.nms.class_agnostic = class_agnostic
        options.nms.max_detections = max_detections
        self.max_detections = max_detections
        self.memory = PyMem_RawCalloc(1, postprocess_memory(&head, &options))
        if self.memory == NULL:
            raise MemoryError
        postprocess_init(&self.post, &head, &options, self.memory)

    def __dealloc__(self):
        PyMem_RawFree(self.memory)

    def run(self, tuple outputs, float scale, float left, float top, int height, int width,
            float[:, ::1] boxes, float[::1] scores, int32_t[::1] class_ids):
        """Write detections into the arrays, of length max_detections, and return their number."""
        cdef const float *pointers[2 * MAX_LEVELS]
        cdef const float[::1] flat
        cdef frame_view view
        cdef int count
        for i, output in enumerate(outputs):
            flat = output.reshape(-1)
            pointers[i] = &flat[0]
        view.scale = scale
        view.left = left
        view.top = top
        view.height = height
        view.width = width
        with nogil:
            count = postprocess_run(&self.post, pointers, &view, <float (*)[4]>&boxes[0, 0],
                                    &scores[0], &class_ids[0])
        return count
