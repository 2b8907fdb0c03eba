/* Which calls have led to an allocation: a stack of code and offsets, each kept once.

   It is read from the interpreter's own frames. To ask for frame objects would allocate, in the midst of
   an allocation. The line is decoded when somebody looks.

   A stack is forgotten when no block that came by it is alive any more and room is needed; that is done
   where Python may run, because with the stack its code may go. What comes while there is no room is of
   unknown origin. */

#include "ledger_frames.h"

#include <stdlib.h>

#define MAX_STACKS (1u << 16)
#define INDEX_SIZE (2 * MAX_STACKS)

Stack *stacks; /* the first stands for those that are unknown */
uint32_t stacks_used;

static uint32_t *index_of; /* of stacks, by what is in them; 0: nobody */
static uint32_t free_stacks[MAX_STACKS], free_count;

/* The innermost come first. A frame that is being made or unmade is left out. */
static int
read_frames(Frame *frames)
{
    PyThreadState *thread = _PyThreadState_UncheckedGet();
    if (!thread)
        return 0;
    _PyInterpreterFrame *frame = innermost_frame(thread);
    int depth = 0;
    for (; frame && depth < MAX_DEPTH; frame = frame->previous) {
#if PY_VERSION_HEX >= 0x030C0000
        if (frame->owner == FRAME_OWNED_BY_CSTACK)
            continue;
#endif
        PyCodeObject *code = code_of(frame);
        if (!code || _PyFrame_IsIncomplete(frame))
            continue;
        int instruction = _PyInterpreterFrame_LASTI(frame) * (int)sizeof(_Py_CODEUNIT);
        frames[depth++] = (Frame){code, instruction};
    }
    return depth;
}

static uint64_t
hash_frames(const Frame *frames, int depth)
{
    uint64_t hash = (uint64_t)depth;
    for (int i = 0; i < depth; i++) {
        uint64_t key = (uintptr_t)frames[i].code ^ (uint64_t)frames[i].instruction << 40;
        hash = (hash ^ key) * 0x9E3779B97F4A7C15u ^ hash >> 29;
    }
    return hash ^ hash >> 32;
}

static int
make_room(void)
{
    if (stacks)
        return 0;
    stacks = calloc(MAX_STACKS, sizeof *stacks);
    index_of = calloc(INDEX_SIZE, sizeof *index_of);
    if (!stacks || !index_of) {
        free(stacks);
        free(index_of);
        stacks = NULL;
        return -1;
    }
    stacks_used = 1;
    return 0;
}

static uint32_t
new_stack(const Frame *frames, int depth, uint64_t hash)
{
    uint32_t number = free_count ? free_stacks[free_count - 1] : stacks_used;
    Frame *kept = number < MAX_STACKS ? malloc((size_t)depth * sizeof *kept) : NULL;
    if (!kept)
        return 0;
    if (free_count)
        free_count--;
    else
        stacks_used++;
    for (int i = 0; i < depth; i++) {
        kept[i] = frames[i];
        Py_INCREF(kept[i].code);
    }
    stacks[number] = (Stack){.frames = kept, .hash = hash, .depth = depth};
    return number;
}

/* The number of the stack that runs at this moment. */
uint32_t
current_stack(void)
{
    Frame frames[MAX_DEPTH];
    int depth = read_frames(frames);
    if (!depth || make_room() < 0)
        return 0;
    uint64_t hash = hash_frames(frames, depth);
    uint32_t at = (uint32_t)hash & (INDEX_SIZE - 1), number;
    for (; (number = index_of[at]); at = (at + 1) & (INDEX_SIZE - 1)) {
        Stack *stack = &stacks[number];
        if (stack->hash == hash && stack->depth == depth &&
            !memcmp(stack->frames, frames, (size_t)depth * sizeof *frames))
            return number;
    }
    return index_of[at] = new_stack(frames, depth, hash);
}

/* Forget those by which no living block has come. Here codes may go, and so Python may run: all is in
   order before. */
void
sweep_stacks(void)
{
    if (!stacks || stacks_used - free_count < MAX_STACKS / 2)
        return;
    memset(index_of, 0, INDEX_SIZE * sizeof *index_of);
    Stack *gone = malloc(MAX_STACKS * sizeof *gone);
    uint32_t gone_count = 0;
    for (uint32_t i = 1; i < stacks_used; i++) {
        if (stacks[i].frames && !stacks[i].blocks && gone) {
            gone[gone_count++] = stacks[i];
            stacks[i].frames = NULL;
            free_stacks[free_count++] = i;
        }
        if (!stacks[i].frames)
            continue;
        uint32_t at = (uint32_t)stacks[i].hash & (INDEX_SIZE - 1);
        while (index_of[at])
            at = (at + 1) & (INDEX_SIZE - 1);
        index_of[at] = i;
    }
    drop_stacks(gone, gone_count);
    free(gone);
}

void
drop_stacks(Stack *gone, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        for (int k = 0; gone[i].frames && k < gone[i].depth; k++)
            Py_DECREF(gone[i].frames[k].code);
        free(gone[i].frames);
    }
}

void
forget_stacks(void)
{
    Stack *gone = stacks;
    uint32_t count = stacks_used;
    free(index_of);
    stacks = NULL;
    index_of = NULL;
    stacks_used = free_count = 0;
    if (gone)
        drop_stacks(gone, count);
    free(gone);
}
