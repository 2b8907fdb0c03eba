/* Standing between CPython and its allocators, to see every block that comes and goes.

   Of the three domains two are watched, of which all objects are, and which are called under the lock of
   the interpreter. What C libraries take by themselves is not seen.

   Others stand there too: tracemalloc, debuggers. Who came after us sits on top, and calls us; then we
   cannot go, but only let everything pass, uncounted. Who came before us and goes first puts back what was
   there before him, and drops us: then blocks come and go unseen and nothing that was counted holds any
   more. CPython tells of neither. So what is asked is not who stands there, but whether a block that is
   asked for passes by here. */

#include "ledger.h"

typedef struct {
    PyMemAllocatorEx below;
    PyMemAllocatorDomain domain;
    char is_in; /* our hooks are called, or were when that was last seen */
} Hook;

static Hook hooks[] = {{.domain = PYMEM_DOMAIN_MEM}, {.domain = PYMEM_DOMAIN_OBJ}};

char counting;
const char *ledger_trouble;
int64_t foreign_frees, foreign_resizes, unmapped_blocks;
_Thread_local Account *paying TLS_IS_NEAR;
_Thread_local char thread_is_own;

/* Who pays on a thread that has run no scheduler so far. */
static __attribute__((noinline)) Account *
stranger(void)
{
    check_interpreter();
    return paying = &accounts[thread_is_own ? OWN : THREADS];
}

static inline void
charge(Account *account, uintptr_t block, int64_t bytes, uint32_t *tag)
{
    *tag = number_of(account) << ACCOUNT_SHIFT;
    if (LIKELY(bytes <= LARGEST_SMALL))
        *tag |= (uint32_t)bytes;
    else {
        *tag |= LARGE;
        tag[1] = (uint32_t)bytes;
        tag[2] = (uint32_t)(bytes >> 32);
    }
    ledger_bytes += bytes;
    account->allocations++;
    if (UNLIKELY((account->bytes += bytes) > account->trip))
        note_peak(account, bytes);
    if (UNLIKELY((account->allocated += (uint64_t)bytes) > account->next_sample))
        note_site_of(account, block, bytes, tag);
}

static inline void
credit(uintptr_t block, uint32_t *tag)
{
    Account *account = tagged_account(*tag);
    int64_t bytes = tagged_bytes(tag);
    if (UNLIKELY(*tag & IS_SAMPLED))
        drop_site_of(block);
    if (bytes > LARGEST_SMALL)
        tag[1] = tag[2] = 0;
    *tag = 0;
    ledger_bytes -= bytes;
    account->bytes -= bytes;
    account->frees++;
    if (UNLIKELY(account->flags & IS_CLOSED))
        late_credit(account, bytes);
}

static inline void
record(void *block, size_t size)
{
    uint32_t *tag = find_tag((uintptr_t)block);
    if (UNLIKELY(!tag) && !(tag = make_tag((uintptr_t)block))) {
        unmapped_blocks++;
        return;
    }
    Account *account = paying;
    charge(LIKELY(account != NULL) ? account : stranger(), (uintptr_t)block, counted(size), tag);
}

/* At least a granule: mimalloc would put two blocks of eight bytes into one. */
static inline size_t
asked(size_t size)
{
    return size < GRANULE_BYTES ? GRANULE_BYTES : size;
}

static void *
hooked_malloc(void *context, size_t size)
{
    Hook *hook = context;
    if (UNLIKELY(refuses(size, NULL)))
        return NULL;
    void *block = hook->below.malloc(hook->below.ctx, asked(size));
    if (LIKELY(counting) && LIKELY(block != NULL))
        record(block, size);
    return block;
}

static void *
hooked_calloc(void *context, size_t count, size_t each)
{
    Hook *hook = context;
    size_t size = count * each;
    if (UNLIKELY(refuses(size, NULL)))
        return NULL;
    void *block = size < GRANULE_BYTES ? hook->below.calloc(hook->below.ctx, 1, GRANULE_BYTES)
                                       : hook->below.calloc(hook->below.ctx, count, each);
    if (LIKELY(counting) && LIKELY(block != NULL))
        record(block, size);
    return block;
}

static void
hooked_free(void *context, void *block)
{
    Hook *hook = context;
    if (LIKELY(counting) && LIKELY(block != NULL)) {
        uint32_t *tag = find_tag((uintptr_t)block);
        if (LIKELY(tag != NULL) && LIKELY(*tag))
            credit((uintptr_t)block, tag);
        else
            foreign_frees++;
    }
    hook->below.free(hook->below.ctx, block);
}

/* The block goes over to whoever resizes it: a list that one has made and another fills is the other's. */
static void *
hooked_realloc(void *context, void *old, size_t size)
{
    if (!old)
        return hooked_malloc(context, size);
    Hook *hook = context;
    if (UNLIKELY(refuses(size, old)))
        return NULL;
    void *block = hook->below.realloc(hook->below.ctx, old, asked(size));
    if (UNLIKELY(!counting) || UNLIKELY(!block))
        return block;
    uint32_t *tag = find_tag((uintptr_t)old);
    if (LIKELY(tag != NULL) && LIKELY(*tag))
        credit((uintptr_t)old, tag);
    else
        foreign_resizes++;
    record(block, size);
    return block;
}

/* -- coming and going */

/* Whether a block that is asked for in this domain passes by here. */
static int
is_called(Hook *hook)
{
    uint64_t seen = accounts[PROBE].allocations;
    Account *before = paying;
    char was_counting = counting;
    int is_mem = hook->domain == PYMEM_DOMAIN_MEM;
    paying = &accounts[PROBE];
    counting = 1;
    void *block = is_mem ? PyMem_Malloc(GRANULE_BYTES) : PyObject_Malloc(GRANULE_BYTES);
    if (is_mem)
        PyMem_Free(block);
    else
        PyObject_Free(block);
    paying = before;
    counting = was_counting;
    return !block || accounts[PROBE].allocations != seen;
}

static int
is_on_top(Hook *hook)
{
    PyMemAllocatorEx now;
    PyMem_GetAllocator(hook->domain, &now);
    return now.malloc == hooked_malloc && now.ctx == hook;
}

static void
install(Hook *hook)
{
    if (hook->is_in && is_called(hook)) /* below somebody who came later */
        return;
    PyMem_GetAllocator(hook->domain, &hook->below);
    PyMemAllocatorEx ours = {hook, hooked_malloc, hooked_calloc, hooked_realloc, hooked_free};
    PyMem_SetAllocator(hook->domain, &ours);
    hook->is_in = 1;
}

static void
uninstall(Hook *hook)
{
    if (!is_on_top(hook))
        return;
    PyMem_SetAllocator(hook->domain, &hook->below);
    hook->is_in = 0;
}

/* In another interpreter than the first. */
int
is_guest(void)
{
    PyThreadState *thread = _PyThreadState_UncheckedGet();
    return thread && thread->interp != PyInterpreterState_Main();
}

/* Another interpreter may have a lock of its own, and would count at the same time as this one. */
void
check_interpreter(void)
{
    PyInterpreterState *first = PyInterpreterState_Head();
    if (is_guest() || (first && PyInterpreterState_Next(first))) {
        ledger_trouble = "another interpreter runs in this process";
        counting = 0;
    }
}

/* Whether what is counted can still be believed; if not, counting ends, and `ledger_trouble` says why. */
int
check_ledger(void)
{
    if (!counting)
        return ledger_trouble ? -1 : 0;
    check_interpreter();
    for (size_t i = 0; counting && i < Py_ARRAY_LENGTH(hooks); i++)
        if (!is_called(&hooks[i])) {
            ledger_trouble = "another tool has taken the allocator hooks away";
            counting = 0;
        }
    return counting ? 0 : -1;
}

/* Count from zero. -1 without an exception: there is no room for the accounts. */
int
start_ledger(void)
{
    check_interpreter();
    if (is_guest())
        return 0;
    if (reserve_accounts() < 0)
        return -1;
    counting = 0;
    ledger_trouble = NULL;
    for (size_t i = 0; i < Py_ARRAY_LENGTH(hooks); i++)
        install(&hooks[i]);
    wipe_tags();
    forget_sites();
    forget_births();
    reset_accounts();
    foreign_frees = foreign_resizes = unmapped_blocks = 0;
    counting = 1;
    check_interpreter();
    return 0;
}

/* Stop counting, and go if nobody sits on top of us. */
void
stop_ledger(void)
{
    if (is_guest())
        return;
    counting = 0;
    ledger_trouble = NULL;
    for (size_t i = 0; i < Py_ARRAY_LENGTH(hooks); i++)
        if (hooks[i].is_in)
            uninstall(&hooks[i]);
}

/* Whether our hooks still stand there, counting or not. */
int
is_hooked(void)
{
    int in = 0;
    for (size_t i = 0; i < Py_ARRAY_LENGTH(hooks); i++)
        in |= hooks[i].is_in && is_called(&hooks[i]);
    return in;
}
