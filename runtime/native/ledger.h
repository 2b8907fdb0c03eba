/* The ledger, for the files that it is made of: what the allocator hooks touch, small enough to be written
   out in them.

       ledger_tags.c      whose a block is, and how large: a map beside the heap
       ledger_accounts.c  what each has allocated; opening and closing accounts
       ledger_births.c    what the dead have left, by the place where they were started
       ledger_limits.c    what happens when one holds more than it may             _limits.py
       ledger_hooks.c     standing between CPython and its allocators
       ledger_sites.c     where blocks were allocated: of all, or of some
       ledger_stacks.c    by which calls
       ledger_frames.h    the frames that are read for that
       ledger_types.c     which objects are on an account, by type
       ledger_objects.c   and which of some objects are
       ledger_audit.c     whether the map and the counters agree
       ledger.c           what Python asks for                                      _native_ledger.py

   Nothing here may allocate from Python or run Python: it is called in the midst of an allocation. All of
   it is guarded by the interpreter's lock. */

#ifndef COLOOP_LEDGER_H
#define COLOOP_LEDGER_H

#include "native.h"

#include <stdint.h>

#if defined(Py_GIL_DISABLED) || SIZEOF_VOID_P != 8
#error "the ledger counts under the lock of the interpreter, and its map is made for addresses of 64 bits"
#endif

#pragma GCC visibility push(hidden)

#define LIKELY(is) __builtin_expect(!!(is), 1)
#define UNLIKELY(is) __builtin_expect(!!(is), 0)

/* -- accounts: what each allocation touches, in one line of the cache; the rest is in `Particulars` */

enum { IS_OPEN = 1, IS_CLOSED = 2 };

struct Account {
    int64_t bytes;        /* live */
    int64_t trip;         /* look closer when `bytes` exceeds it: it is the peak, or the limit if that is less */
    uint64_t allocations; /* so far; less `frees`: the live blocks */
    uint64_t frees;
    uint64_t allocated;   /* bytes so far */
    uint64_t next_sample; /* note the place when `allocated` exceeds it */
    uint32_t generation;  /* tells this account from the one before it that had the same number */
    uint32_t birth;       /* where its coroutine was started */
    uint32_t flags;
    uint32_t following;   /* in the list of those that are free */
};

enum { RAISE, WARN, CANCEL };

typedef struct {
    int64_t bytes, used, tried;
    uint32_t times;
    int instruction;
    char action;
} Crossing;

typedef struct {
    PyObject_HEAD
    Account *account; /* whose limit it is; NULL: that of all together, or of one that has no account yet */
    PyObject *code;   /* where it was crossed, or a request refused */
    int64_t bytes;
    int64_t wire;     /* what is looked at; moved up when it was crossed, for there must be room to handle that */
    Crossing crossing;
    uint32_t times;   /* that it was crossed, since it last held less than `bytes` */
    char action, is_pending, is_refused;
} Limit;

typedef struct {
    int64_t peak;
    int64_t coroutine; /* its id */
    Limit *limit;      /* borrowed from the coroutine */
    char is_exact;     /* every block's place is noted, not that of some */
} Particulars;

#define MAX_ACCOUNTS (1u << 22)

/* Those that belong to no coroutine. */
enum { THREADS, OUTSIDE, SCHEDULER, STACKS, OWN, PROBE, FIRST_ACCOUNT };

extern Account *accounts;
extern Particulars *particulars;
extern uint32_t accounts_used;
extern int64_t ledger_bytes;  /* live, on whatever account */
extern int64_t closed_bytes, closed_blocks, closed_accounts, open_accounts;

static inline uint32_t
number_of(const Account *account)
{
    return (uint32_t)(account - accounts);
}

static inline int64_t
blocks_of(const Account *account)
{
    return (int64_t)(account->allocations - account->frees);
}

int reserve_accounts(void); /* -1 without an exception: there is no room */
void reset_accounts(void);
Account *account_of(State *coroutine);
void note_peak(Account *account, int64_t bytes);
void late_credit(Account *account, int64_t bytes);

/* -- limits */

int64_t living_bytes(void);
void look_at_limits(Account *account, int64_t tried);
int refuses(size_t size, const void *old);
void attach_limit(Account *account, PyObject *limit);

/* -- births */

typedef struct {
    PyObject *place; /* a code object or a text; NULL: it is free */
    int instruction;
    uint32_t living;
    int64_t ended, bytes, blocks;
} Birth;

#define MAX_BIRTHS 1000

extern Birth births[MAX_BIRTHS + 1]; /* the first stands for all that found no room */
extern uint32_t births_used;

uint32_t birth_of(State *coroutine);
void forget_births(void);

/* -- tags: four bytes for each sixteen of the heap */

#define GRANULE_BYTES 16
#define GRANULE_SHIFT 4
#define TABLE_SHIFT 20 /* one table of tags for each MiB of addresses */
#define TABLES_SHIFT 14
#define TABLE_TAGS (1u << (TABLE_SHIFT - GRANULE_SHIFT))
#define LARGE 511u /* the size is in the two tags that follow */
#define SIZE_MASK 511u
#define IS_SAMPLED 512u
#define ACCOUNT_SHIFT 10
#define LARGEST_SMALL 510

extern uint32_t **tag_tables[1u << TABLES_SHIFT];
extern int64_t tag_bytes;

uint32_t *make_tag(uintptr_t address);
void wipe_tags(void);

/* A block of no bytes has an address of its own, and counts as one. */
static inline int64_t
counted(size_t size)
{
    return size ? (int64_t)size : 1;
}

static inline int64_t
granules_of(int64_t bytes)
{
    return (bytes + GRANULE_BYTES - 1) >> GRANULE_SHIFT;
}

static inline uint32_t *
find_tag(uintptr_t address)
{
    if (UNLIKELY(address >> (TABLE_SHIFT + 2 * TABLES_SHIFT)))
        return NULL;
    uint32_t **tables = tag_tables[address >> (TABLE_SHIFT + TABLES_SHIFT)];
    if (UNLIKELY(!tables))
        return NULL;
    uint32_t *table = tables[(address >> TABLE_SHIFT) & ((1u << TABLES_SHIFT) - 1)];
    if (UNLIKELY(!table))
        return NULL;
    return table + ((address >> GRANULE_SHIFT) & (TABLE_TAGS - 1));
}

static inline int64_t
tagged_bytes(const uint32_t *tag)
{
    if (LIKELY((*tag & SIZE_MASK) != LARGE))
        return (int64_t)(*tag & SIZE_MASK);
    return (int64_t)tag[1] | (int64_t)tag[2] << 32;
}

static inline Account *
tagged_account(uint32_t tag)
{
    return &accounts[tag >> ACCOUNT_SHIFT];
}

/* -- hooks */

extern const char *ledger_trouble; /* why counting has ended; NULL: it has not, or was told to */
extern int64_t foreign_frees, foreign_resizes, unmapped_blocks;

int start_ledger(void);
void stop_ledger(void);
int check_ledger(void);
void check_interpreter(void);
int is_hooked(void);
int is_guest(void);

extern _Thread_local char thread_is_own; /* it is the shell's, and does nothing for the program */

/* -- whether all is well */

typedef struct {
    int64_t wrong, bytes, blocks;
} Audit;

int audit_ledger(Audit *audit); /* -1 without an exception: there is no room */

/* -- sites */

void note_site_of(Account *account, uintptr_t block, int64_t bytes, uint32_t *tag);
void drop_site_of(uintptr_t block);
void note_sites(double mean_bytes);
void note_all_of(Account *account, int all);
void forget_sites(void);
uint64_t next_sample_of(Account *account);

typedef struct {
    int64_t coroutine; /* its id; 0: none */
    uint32_t stack;
    double bytes, blocks, variance;
} HeapOf;

HeapOf *sum_sites(Py_ssize_t *count);

/* -- stacks */

#define MAX_DEPTH 24

typedef struct {
    PyCodeObject *code;
    int64_t instruction; /* of this width, that there is no gap: frames are compared as they lie */
} Frame;

typedef struct {
    Frame *frames; /* innermost first; NULL: it is free */
    uint64_t hash;
    int depth;
    int blocks; /* that live and have come by it */
} Stack;

extern Stack *stacks;
extern uint32_t stacks_used;

uint32_t current_stack(void);
void sweep_stacks(void);
void drop_stacks(Stack *gone, uint32_t count);
void forget_stacks(void);

/* -- types */

typedef struct {
    PyTypeObject *type;
    int64_t count, bytes;
} TypeSum;

int64_t header_of(PyTypeObject *type);
TypeSum *sum_types(PyObject *list, int64_t coroutine, TypeSum *none, size_t *size);

/* -- objects */

PyObject *native_ledger_objects(PyObject *_, PyObject *const *args, Py_ssize_t count);

#pragma GCC visibility pop
#endif
