/* Where the Python frames of a coroutine lie: a small first chunk, because most stacks are shallow.

   CPython gives each greenlet a data stack of chunks of 16 KiB, each from the arena allocator, which maps and
   unmaps it; so a coroutine costs a page of 4 KiB at least, and a pair of system calls and a page fault at
   its beginning. A worker brings a first chunk of 2 KiB instead, which holds some ten frames. A call that does not
   fit goes to a chunk of 16 KiB, which is given back when that call returns. A loop that crosses the border
   with each call would map and unmap each time; so a few chunks that were given back are kept.

   greenlet frees the chunks of one that has ended with the arena allocator, whichever made them, and tells it the
   size. That is how a first chunk is known for what it is. (CPython 3.11 to 3.13: `push_chunk` in pystate.c,
   `PythonState::did_finish` in greenlet.) */

#include "native.h"

#include <stdatomic.h>
#include <stdlib.h>

#define CHUNK_BYTES 16384 /* DATA_STACK_CHUNK_SIZE of CPython */
#define PAGE_BYTES 4096

static PyObjectArenaAllocator system_arenas;

static struct {
    void *chunks[KEPT_CHUNKS];
    int count;
    atomic_flag taken; /* an interpreter with a lock of its own may come at the same time: it goes to the system */
} kept = {.taken = ATOMIC_FLAG_INIT};

static void *
take_arena(void *_, size_t size)
{
    void *chunk = NULL;
    if (size == CHUNK_BYTES && !atomic_flag_test_and_set_explicit(&kept.taken, memory_order_acquire)) {
        if (kept.count)
            chunk = kept.chunks[--kept.count];
        atomic_flag_clear_explicit(&kept.taken, memory_order_release);
    }
    return chunk ? chunk : system_arenas.alloc(system_arenas.ctx, size);
}

static void
give_back_arena(void *_, void *arena, size_t size)
{
    if (size == FIRST_CHUNK_BYTES) {
        free(arena);
        return;
    }
    if (size == CHUNK_BYTES && !atomic_flag_test_and_set_explicit(&kept.taken, memory_order_acquire)) {
        int keep = kept.count < KEPT_CHUNKS;
        if (keep)
            kept.chunks[kept.count++] = arena;
        atomic_flag_clear_explicit(&kept.taken, memory_order_release);
        if (keep)
            return;
    }
    system_arenas.free(system_arenas.ctx, arena, size);
}

/* Never on the border of a page: should another allocator take the place of ours, its munmap only refuses it. */
static _PyStackChunk *
new_first_chunk(void)
{
    void *chunk = malloc(FIRST_CHUNK_BYTES), *aligned = NULL;
    if (chunk && (uintptr_t)chunk % PAGE_BYTES == 0) {
        aligned = chunk;
        chunk = malloc(FIRST_CHUNK_BYTES);
    }
    free(aligned);
    return chunk;
}

/* In a greenlet that has not called any Python yet: let its frames begin in a small chunk. */
void
begin_small_stack(void)
{
    PyThreadState *thread = PyThreadState_Get();
    if (thread->datastack_chunk)
        return;
    _PyStackChunk *chunk = new_first_chunk();
    if (!chunk) /* CPython takes one of its own, or says that memory is short */
        return;
    chunk->previous = NULL;
    chunk->size = FIRST_CHUNK_BYTES;
    chunk->top = 0;
    thread->datastack_chunk = chunk;
    thread->datastack_top = &chunk->data[1]; /* as CPython: what begins at data[0] frees the chunk when it returns */
    thread->datastack_limit = (PyObject **)((char *)chunk + FIRST_CHUNK_BYTES);
}

int
add_stacks(PyObject *module)
{
    PyObject_GetArenaAllocator(&system_arenas);
    PyObjectArenaAllocator ours = {NULL, take_arena, give_back_arena};
    PyObject_SetArenaAllocator(&ours);
    return PyModule_AddIntConstant(module, "FIRST_CHUNK_BYTES", FIRST_CHUNK_BYTES);
}
