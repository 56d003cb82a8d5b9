/* A workspace is one block of memory cut into aligned arrays. The same code that cuts it
 * measures it, from address zero. */
#ifndef EDGE_SDK_WORKSPACE_H
#define EDGE_SDK_WORKSPACE_H

#include <stddef.h>
#include <stdint.h>

enum { WORKSPACE_ALIGNMENT = 64 };

typedef struct {
    uintptr_t next;
} workspace;

static inline uintptr_t workspace_aligned(uintptr_t address)
{
    return (address + WORKSPACE_ALIGNMENT - 1) / WORKSPACE_ALIGNMENT * WORKSPACE_ALIGNMENT;
}

static inline workspace measured_workspace(void)
{
    return (workspace){0};
}

static inline workspace workspace_in(void *memory)
{
    return (workspace){workspace_aligned((uintptr_t)memory)};
}

/* Bytes to allocate for what was carved from a measured workspace, at any alignment. */
static inline size_t workspace_size(const workspace *measured)
{
    return (size_t)measured->next + WORKSPACE_ALIGNMENT;
}

static inline void *carve(workspace *space, size_t bytes)
{
    const uintptr_t start = space->next;
    space->next = workspace_aligned(start + bytes);
    return (void *)start;
}

#endif
