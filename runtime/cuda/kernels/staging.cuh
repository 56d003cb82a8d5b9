/* Rows of a frame, brought into shared memory by the warp that samples them.
 *
 * A plane of a frame is a row of units: a pixel of BGR (3 bytes), a luma of NV12 (1 byte), or what
 * two neighbouring pixels share: a pair U, V of NV12 (2 bytes), Y U Y V of YUYV (4 bytes).
 *
 * Where the frame is reduced to no less than a fourth, everything between the first and the last
 * sample of the warp is copied, 16 bytes at a time. Beyond that it would be waste: the pixels that
 * are sampled, and their right neighbours, are copied one by one. Either way the pixels lie at a
 * *local* position in shared memory, which keeps even positions even, so that units of two pixels
 * stay whole.
 */
#pragma once

constexpr int LANES = 32, TILE = 128; /* columns of the canvas that a warp fills */
constexpr int LOCAL = 4 * TILE;       /* pixels that fit in shared memory */
constexpr int SLACK = 32;             /* bytes lost to alignment at both ends of a row */

/* Which pixels of the frame make one column of the canvas. */
struct Column {
    int pixel;        /* the left one */
    unsigned weights; /* Q15: of the left one in the lower half, of the right one in the upper */
};

/* The columns of a warp, and how their pixels lie in shared memory. */
struct Columns {
    const Column *column; /* [TILE], rising */
    int first, last;      /* of the frame's pixels; `first` is even */
    bool dense;

    __device__ Columns(const Column *column, int width)
        : column(column), first(column[0].pixel & ~1),
          last(min(column[TILE - 1].pixel + 1, width - 1)), dense(last - first < LOCAL)
    {
    }

    /* Where the left pixel of a column lies; the right one is next to it. */
    __device__ int local(int place) const
    {
        const int pixel = column[place].pixel;
        return dense ? pixel - first : 4 * place + (pixel & 1);
    }
};

/* Copy 16 bytes, both ends aligned; done after `copies_done`. */
__device__ inline void copy_16(unsigned char *to, const unsigned char *from)
{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(to));
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(address), "l"(from) : "memory");
#else
    *reinterpret_cast<uint4 *>(to) = __ldg(reinterpret_cast<const uint4 *>(from));
#endif
}

__device__ inline void copies_done()
{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_all;" ::: "memory");
#endif
    __syncwarp();
}

/* One row of one plane, units of BYTES bytes that stand for 1 << SHIFT pixels each. */
template <int BYTES, int SHIFT> struct Plane {
    static constexpr int SLOT = (LOCAL >> SHIFT) * BYTES + SLACK; /* bytes of shared memory */

    const unsigned char *unit; /* the unit of the local pixel 0, in shared memory */

    /* The unit that a local pixel belongs to. */
    __device__ const unsigned char *at(int local) const { return unit + (local >> SHIFT) * BYTES; }

    /* Copy what `columns` need of a row of `width` pixels into `slot`. */
    __device__ void stage(const unsigned char *row, int width, const Columns &columns, int lane,
                          unsigned char *slot)
    {
        unit = slot;
        if (columns.dense)
            stage_all(row, width, columns, lane, slot);
        else
            stage_samples(row, columns, lane, slot);
    }

  private:
    __device__ void stage_all(const unsigned char *row, int width, const Columns &columns, int lane,
                              unsigned char *slot)
    {
        const int size = (((width - 1) >> SHIFT) + 1) * BYTES; /* of the row: no byte beyond */
        const int begin = (columns.first >> SHIFT) * BYTES;
        const int end = ((columns.last >> SHIFT) + 1) * BYTES;
        const int shift = static_cast<int>(reinterpret_cast<unsigned long long>(row + begin) & 15);
        unit = slot + shift;
        for (int piece = 16 * lane; piece < shift + end - begin; piece += 16 * LANES) {
            const int byte = begin - shift + piece;
            if (byte >= 0 && byte + 16 <= size)
                copy_16(slot + piece, row + byte);
            else
                for (int i = max(byte, 0); i < min(byte + 16, size); i++)
                    slot[piece + i - byte] = row[i];
        }
    }

    __device__ void stage_samples(const unsigned char *row, const Columns &columns, int lane,
                                  unsigned char *slot)
    {
        for (int place = lane; place < TILE; place += LANES) {
            const int pixel = columns.column[place].pixel, local = columns.local(place);
            const int pixels = columns.column[place].weights >> 16 ? 2 : 1;
            for (int i = 0; i < pixels; i++)
                for (int byte = 0; byte < BYTES; byte++)
                    slot[((local + i) >> SHIFT) * BYTES + byte] =
                        row[((pixel + i) >> SHIFT) * BYTES + byte];
        }
    }
};
