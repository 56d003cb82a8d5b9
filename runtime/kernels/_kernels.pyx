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

    ctypedef struct pair_table:
        int32_t rows, width
        int32_t *starts
        int32_t *columns
        float *costs
    ctypedef struct assignment:
        pass
    size_t assignment_memory(int rows, int columns)
    void assignment_init(assignment *work, int rows, int columns, void *memory)
    void assignment_run(const pair_table *pairs, float alone, assignment *work,
                        int32_t *column_of)

    ctypedef struct tracking_options:
        float strong, begin, weak, memory
    ctypedef struct tracker:
        int32_t last_id
    size_t tracker_memory()
    void tracker_init(tracker *t, const tracking_options *options, void *memory)
    void tracker_run(tracker *t, const float (*boxes)[4], const float *scores, int count,
                     float steps, int32_t *ids)


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


cdef class Follow:
    """Follows the objects of one camera; for one thread at a time."""

    cdef tracker state
    cdef void *memory

    def __cinit__(self, float strong, float begin, float weak, float memory):
        cdef tracking_options options
        options.strong = strong
        options.begin = begin
        options.weak = weak
        options.memory = memory
        self.memory = PyMem_RawCalloc(1, tracker_memory())
        if self.memory == NULL:
            raise MemoryError
        tracker_init(&self.state, &options, self.memory)

    def __dealloc__(self):
        PyMem_RawFree(self.memory)

    @property
    def last_id(self):
        return self.state.last_id

    def run(self, const float[:, ::1] boxes, const float[::1] scores, float steps,
            int32_t[::1] ids):
        """Write the number of each detection's object into `ids`, 0 where it has none."""
        cdef int count = scores.shape[0]
        with nogil:
            tracker_run(&self.state, <const float (*)[4]>&boxes[0, 0], &scores[0], count, steps,
                        &ids[0])


def assign(const int32_t[::1] starts, const int32_t[::1] columns, const float[::1] costs,
           int width, float alone, int32_t[::1] column_of):
    """Match the rows of a sparse table (see kernels.h) at the least cost, into `column_of`."""
    cdef assignment work
    cdef pair_table pairs
    cdef int rows = column_of.shape[0]
    cdef void *memory = PyMem_RawCalloc(1, assignment_memory(rows, width))
    if memory == NULL:
        raise MemoryError
    pairs.rows = rows
    pairs.width = width
    pairs.starts = <int32_t *>&starts[0]
    pairs.columns = <int32_t *>&columns[0]
    pairs.costs = <float *>&costs[0]
    with nogil:
        assignment_init(&work, rows, width, memory)
        assignment_run(&pairs, alone, &work, &column_of[0])
    PyMem_RawFree(memory)
