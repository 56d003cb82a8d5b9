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

/* Which pixels of the frame the columns of a tile are made of, for all warps of a block. */
struct Columns {
    int pixel[TILE];        /* of the frame: the left one; rising */
    uint4 weights[TILE / 4]; /* Q15: of the left one in the lower half, of the right one in the upper */
    short4 local[TILE / 4]; /* where the left one lies in shared memory; the right one is next to it */

    /* The pixels of the frame that are needed: from `first`, which is even, to `last`. */
    __device__ int first() const { return pixel[0] & ~1; }
    __device__ int last(int width) const { return min(pixel[TILE - 1] + 1, width - 1); }
    __device__ bool dense(int width) const { return last(width) - first() < LOCAL; }

    __device__ void set_weight(int place, unsigned right)
    {
        reinterpret_cast<unsigned *>(weights)[place] = (32768 - right) | right << 16;
    }

    __device__ bool has_right(int place) const
    {
        return reinterpret_cast<const unsigned *>(weights)[place] >> 16 != 0;
    }

    __device__ void set_local(int place, int width)
    {
        const int position = dense(width) ? pixel[place] - first() : 4 * place + (pixel[place] & 1);
        reinterpret_cast<short *>(local)[place] = static_cast<short>(position);
    }

    __device__ int local_of(int place) const { return reinterpret_cast<const short *>(local)[place]; }
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

/* Where the local pixel 0 of two rows lies in shared memory; they are one where only one is needed,
 * or where two rows of pixels share their colours. */
struct Staged {
    const unsigned char *upper, *lower;
};

/* One plane of a frame: units of BYTES bytes that stand for 1 << SHIFT pixels each. */
template <int BYTES, int SHIFT> struct Plane {
    static constexpr int SLOT = (LOCAL >> SHIFT) * BYTES + SLACK; /* shared memory for a row */

    bool dense;
    int begin, length; /* the bytes of a row that the tile needs */
    int size;          /* of a row: beyond it there is nothing */

    __device__ Plane(const Columns &columns, int width)
        : dense(columns.dense(width)), begin((columns.first() >> SHIFT) * BYTES),
          length(((columns.last(width) >> SHIFT) + 1) * BYTES - begin),
          size((((width - 1) >> SHIFT) + 1) * BYTES)
    {
    }

    /* The unit that a local pixel belongs to, in a row that was staged. */
    __device__ static const unsigned char *unit(const unsigned char *staged, int local)
    {
        return staged + (local >> SHIFT) * BYTES;
    }

    /* Copy what the tile needs of one row, or of two rows, into slots of SPACING bytes. */
    template <int SPACING>
    __device__ Staged stage(const unsigned char *upper, const unsigned char *lower,
                            const Columns &columns, int lane, unsigned char *slot) const
    {
        const bool two = upper != lower;
        const int lanes = two ? LANES / 2 : LANES; /* for a row */
        const bool second = lane >= lanes;
        const unsigned char *row = second ? lower : upper;
        copy(row, columns, lane & (lanes - 1), lanes, second ? slot + SPACING : slot);
        const unsigned char *first = slot + shift_of(upper);
        return {first, two ? slot + SPACING + shift_of(lower) : first};
    }

  private:
    /* Where local pixel 0 of a row comes to lie in its slot. */
    __device__ int shift_of(const unsigned char *row) const
    {
        return dense ? static_cast<int>(reinterpret_cast<unsigned long long>(row + begin) & 15) : 0;
    }

    __device__ void copy(const unsigned char *row, const Columns &columns, int lane, int lanes,
                         unsigned char *slot) const
    {
        if (!dense) {
            copy_samples(row, columns, lane, lanes, slot);
            return;
        }
        const int shift = shift_of(row);
        const unsigned whole = max(size - 15, 0); /* where 16 bytes can begin */
        for (int piece = 16 * lane; piece < shift + length; piece += 16 * lanes) {
            const int byte = begin - shift + piece;
            if (static_cast<unsigned>(byte) < whole)
                copy_16(slot + piece, row + byte);
            else
#pragma unroll 1
                for (int i = max(byte, 0); i < min(byte + 16, size); i++)
                    slot[piece + i - byte] = row[i];
        }
    }

    __device__ static void copy_samples(const unsigned char *row, const Columns &columns, int lane,
                                        int lanes, unsigned char *slot)
    {
#pragma unroll 1
        for (int place = lane; place < TILE; place += lanes) {
            const int pixel = columns.pixel[place], local = columns.local_of(place);
            for (int i = 0; i <= columns.has_right(place); i++)
                for (int byte = 0; byte < BYTES; byte++)
                    slot[((local + i) >> SHIFT) * BYTES + byte] =
                        row[((pixel + i) >> SHIFT) * BYTES + byte];
        }
    }
};
