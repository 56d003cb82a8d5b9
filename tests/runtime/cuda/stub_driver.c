/* A libcuda.so.1 without a GPU, so that NVIDIA's own bindings have something to call: it shows that
   the arguments of our calls arrive as the C interface wants them, and nothing else. Memory is the
   host's and all is done at once; copies under capture are kept and done when a graph is launched.
   Handles are checked, so that a wrong one is an error and not luck. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OK = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NO_CONTEXT = 201, NOT_FOUND = 500 };
enum { MODULE = 0x6666, FUNCTION = 0x7777 };
enum { CONTEXT = 0x1111, STREAM = 0x2222, EVENT = 0x3333, GRAPH = 0x4444, LAUNCHABLE = 0x5555 };

typedef uintptr_t handle;
static int depth, capturing, copies;
static struct { void *target; const void *source; size_t size; } kept[16];

static int is(handle got, handle wanted) { return got == wanted ? OK : INVALID_VALUE; }

int cuInit(unsigned flags) { return is(flags, 0); }
int cuDriverGetVersion(int *version) { *version = 13000; return OK; }
int cuGetErrorName(int error, const char **text) { *text = error == OUT_OF_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR_INVALID_VALUE"; return OK; }
int cuGetErrorString(int error, const char **text) { *text = error == OUT_OF_MEMORY ? "out of memory" : "invalid argument"; return OK; }
int cuDeviceGetCount(int *count) { *count = 1; return OK; }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return is((handle)ordinal, 0); }
int cuDeviceGetName(char *name, int size, int device) { snprintf(name, (size_t)size, "Stub"); return is((handle)device, 0); }
int cuDeviceGetAttribute(int *value, int attribute, int device) { *value = attribute == 75 ? 7 : attribute == 76 ? 5 : 0; return is((handle)device, 0); }
int cuDevicePrimaryCtxRetain(handle *context, int device) { *context = CONTEXT; return is((handle)device, 0); }
int cuDevicePrimaryCtxRelease_v2(int device) { return is((handle)device, 0); }
int cuCtxGetCurrent(handle *context) { *context = depth ? CONTEXT : 0; return OK; }
int cuCtxGetDevice(int *device) { *device = 0; return depth ? OK : NO_CONTEXT; }
int cuCtxPushCurrent_v2(handle context) { depth++; return is(context, CONTEXT); }
int cuCtxPopCurrent_v2(handle *context) { depth--; *context = CONTEXT; return OK; }
int cuMemGetInfo_v2(size_t *left, size_t *all) { *left = 1 << 20; *all = 1 << 30; return OK; }
int cuMemAlloc_v2(handle *address, size_t size) { *address = (handle)malloc(size); return size > 1 << 28 ? OUT_OF_MEMORY : depth ? OK : NO_CONTEXT; }
int cuMemFree_v2(handle address) { free((void *)address); return OK; }
int cuMemHostAlloc(void **address, size_t size, unsigned flags) { *address = malloc(size); return is(flags, 2); }
int cuMemFreeHost(void *address) { free(address); return OK; }
int cuMemHostGetDevicePointer_v2(handle *there, void *address, unsigned flags) { *there = (handle)address; return is(flags, 0); }
int cuPointerGetAttribute(void *value, int attribute, handle address) { *(int *)value = 0; return address && attribute == 9 ? OK : INVALID_VALUE; }
int cuStreamCreate(handle *stream, unsigned flags) { *stream = STREAM; return is(flags, 1); }
int cuStreamDestroy_v2(handle stream) { return is(stream, STREAM); }
int cuStreamWaitEvent(handle stream, handle event, unsigned flags) { return is(stream, STREAM) | is(event, EVENT) | is(flags, 0); }
int cuEventCreate(handle *event, unsigned flags) { *event = EVENT; return flags == 1 || flags == 3 ? OK : INVALID_VALUE; }
int cuEventRecord(handle event, handle stream) { return is(event, EVENT) | is(stream, STREAM); }
int cuEventSynchronize(handle event) { usleep(100000); return is(event, EVENT); }
int cuEventElapsedTime(float *ms, handle start, handle end) { *ms = 2.5f; return is(start, EVENT) | is(end, EVENT); }
int cuEventElapsedTime_v2(float *ms, handle start, handle end) { return cuEventElapsedTime(ms, start, end); }
int cuEventDestroy_v2(handle event) { return is(event, EVENT); }
int cuStreamBeginCapture_v2(handle stream, int mode) { capturing = 1; copies = 0; return is(stream, STREAM) | is((handle)mode, 1); }
int cuStreamEndCapture(handle stream, handle *graph) { capturing = 0; *graph = GRAPH; return is(stream, STREAM); }
int cuGraphInstantiateWithFlags(handle *launchable, handle graph, unsigned long long flags) { *launchable = LAUNCHABLE; return is(graph, GRAPH) | is(flags, 0); }
int cuGraphDestroy(handle graph) { return is(graph, GRAPH); }
int cuGraphExecDestroy(handle launchable) { return is(launchable, LAUNCHABLE); }

static int copy(void *target, const void *source, size_t size, handle stream)
{
    if (capturing) {
        kept[copies].target = target;
        kept[copies].source = source;
        kept[copies++].size = size;
    } else {
        memcpy(target, source, size);
    }
    return is(stream, STREAM);
}

int cuMemcpyHtoDAsync_v2(handle target, const void *source, size_t size, handle stream) { return copy((void *)target, source, size, stream); }
int cuMemcpyDtoHAsync_v2(void *target, handle source, size_t size, handle stream) { return copy(target, (const void *)source, size, stream); }

int cuGraphLaunch(handle launchable, handle stream)
{
    for (int i = 0; i < copies; i++)
        memcpy(kept[i].target, kept[i].source, kept[i].size);
    return is(launchable, LAUNCHABLE) | is(stream, STREAM);
}

int cuModuleLoadData(handle *module, const void *image) { *module = MODULE; return strcmp(image, "cubin") ? INVALID_VALUE : OK; }
int cuModuleUnload(handle module) { return is(module, MODULE); }
int cuModuleGetFunction(handle *function, handle module, const char *name) { *function = FUNCTION; return is(module, MODULE) | (strcmp(name, "kernel") ? NOT_FOUND : OK); }
int cuCtxSynchronize(void) { return depth ? OK : NO_CONTEXT; }
int cuMemsetD8_v2(handle address, unsigned char value, size_t count) { memset((void *)address, value, count); return OK; }

/* The only kernel there is: its first argument is an address, and the second goes there. */
int cuLaunchKernel(handle function, unsigned x, unsigned y, unsigned z, unsigned threads, unsigned ty,
                   unsigned tz, unsigned shared, handle stream, void **arguments, void **extra)
{
    if (x != 1 || y != 2 || z != 3 || threads != 4 || ty != 5 || tz != 6 || shared || extra)
        return INVALID_VALUE;
    **(float **)arguments[0] = *(float *)arguments[1];
    return is(function, FUNCTION) | is(stream, STREAM);
}

/* The bindings ask for functions by their plain names; the newest version is what they get. */
int cuGetProcAddress_v2(const char *name, void **function, int version, uint64_t flags, int *status)
{
    char versioned[128];
    (void)version, (void)flags;
    snprintf(versioned, sizeof versioned, "%s_v2", name);
    *function = dlsym(RTLD_DEFAULT, versioned);
    if (!*function)
        *function = dlsym(RTLD_DEFAULT, name);
    if (status)
        *status = *function ? 0 : 1;
    return OK;
}
