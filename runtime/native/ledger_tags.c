/* Whose a block is, and how large: a tag of four bytes for each sixteen bytes of the heap, found by the
   block's address.

   A tag is the number of the account, whether the block's place is noted, and its size in bytes. A block of more
   than `LARGEST_SMALL` has its size in the two tags behind, which are its own: so a table has some to spare at its
   end, or the size of a block that begins there would be written into the neighbour's. The map lies beside the heap
   and never in it: were a header put before each block, then whoever takes our hook away would have a shifted
   address freed. And it says nothing, instead of something wrong, of a block that is older than the hook.

   Tables are made when the first block of their MiB comes, from the system, and never given back; what is
   not touched takes no memory. */

#include "ledger.h"

#include <sys/mman.h>

#define SPARE_TAGS 16
#define TABLE_BYTES ((TABLE_TAGS + SPARE_TAGS) * sizeof(uint32_t))
#define SLAB_BYTES ((size_t)64 << 20)
#define MAX_SLABS 4096

uint32_t **tag_tables[1u << TABLES_SHIFT];
int64_t tag_bytes;

static struct {
    char *start[MAX_SLABS];
    int count;
    size_t used; /* of the last */
} slabs = {.used = SLAB_BYTES};

static void *
reserve(size_t size)
{
    void *room = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return room == MAP_FAILED ? NULL : room;
}

static uint32_t *
make_table(void)
{
    if (slabs.used + TABLE_BYTES > SLAB_BYTES) {
        char *slab = slabs.count < MAX_SLABS ? reserve(SLAB_BYTES) : NULL;
        if (!slab)
            return NULL;
        slabs.start[slabs.count++] = slab;
        slabs.used = 0;
    }
    uint32_t *table = (uint32_t *)(slabs.start[slabs.count - 1] + slabs.used);
    slabs.used += TABLE_BYTES;
    tag_bytes += TABLE_BYTES;
    return table;
}

/* The tag of an address that has had none so far; NULL: there is no room for it. */
uint32_t *
make_tag(uintptr_t address)
{
    if (address >> (TABLE_SHIFT + 2 * TABLES_SHIFT))
        return NULL;
    uint32_t ***tables = &tag_tables[address >> (TABLE_SHIFT + TABLES_SHIFT)];
    if (!*tables && !(*tables = reserve(sizeof(uint32_t *) << TABLES_SHIFT)))
        return NULL;
    uint32_t **table = &(*tables)[(address >> TABLE_SHIFT) & ((1u << TABLES_SHIFT) - 1)];
    if (!*table && !(*table = make_table()))
        return NULL;
    return *table + ((address >> GRANULE_SHIFT) & (TABLE_TAGS - 1));
}

/* Forget all blocks. The tables stay where they are, and their pages go back to the system. */
void
wipe_tags(void)
{
    for (int i = 0; i < slabs.count; i++) {
        int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
        if (mmap(slabs.start[i], SLAB_BYTES, PROT_READ | PROT_WRITE, flags, -1, 0) == MAP_FAILED)
            memset(slabs.start[i], 0, SLAB_BYTES);
    }
}
