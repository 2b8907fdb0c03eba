/* Where the living blocks were allocated: of all of them, or of some that chance has chosen.

   Chance strikes at a byte, on the average once in so many that each account is charged with, and the
   block that has the byte is noted. So a block of `size` bytes is noted with a probability of 1 -
   exp(-size / interval), and stands for as many as that is less than one: the sums are right on the
   average, whatever the sizes, and how far they may be off follows from the same figures. Noting every
   block costs half as much again as counting; noting one in 16 KiB costs nothing.

   A block that is noted has a bit in its tag, so that the others are freed without a look at this table. */

#include "ledger.h"

#include <math.h>
#include <stdlib.h>

#define FEWEST 1024

typedef struct {
    uintptr_t block; /* 0: nothing */
    uint32_t stack, account;
    int64_t bytes;
    double share; /* how many blocks it stands for */
} Noted;

static Noted *noted;
static size_t noted_mask, noted_count;
static double interval; /* bytes; 0: nothing is noted, 1: everything is */
static uint64_t chance = 0x9E3779B97F4A7C15u;

static inline size_t
place_of(uintptr_t block)
{
    return (size_t)((block >> GRANULE_SHIFT) * 0x9E3779B97F4A7C15u >> 20) & noted_mask;
}

static double
draw(void)
{
    chance ^= chance << 13;
    chance ^= chance >> 7;
    chance ^= chance << 17;
    return (double)((chance >> 11) + 1) * 0x1p-53;
}

static inline int
notes_all(Account *account)
{
    return interval == 1 || particulars[number_of(account)].is_exact;
}

/* What a switch copies is told by no line; and in its midst no frame can be read. */
uint64_t
next_sample_of(Account *account)
{
    if (number_of(account) == STACKS || interval == 0)
        return UINT64_MAX;
    if (notes_all(account))
        return 0;
    return account->allocated + (uint64_t)(-log(draw()) * interval);
}

static int
grow(void)
{
    size_t size = noted ? (noted_mask + 1) * 2 : FEWEST, old_size = noted ? noted_mask + 1 : 0;
    Noted *old = noted, *grown = calloc(size, sizeof *grown);
    if (!grown)
        return -1;
    noted = grown;
    noted_mask = size - 1;
    for (size_t i = 0; i < old_size; i++) {
        if (!old[i].block)
            continue;
        size_t at = place_of(old[i].block);
        while (noted[at].block)
            at = (at + 1) & noted_mask;
        noted[at] = old[i];
    }
    free(old);
    return 0;
}

void
note_site_of(Account *account, uintptr_t block, int64_t bytes, uint32_t *tag)
{
    if ((!noted || noted_count * 2 > noted_mask) && grow() < 0)
        return;
    double share = notes_all(account) ? 1.0 : 1.0 / -expm1(-(double)bytes / interval);
    account->next_sample = next_sample_of(account);
    size_t at = place_of(block);
    while (noted[at].block && noted[at].block != block)
        at = (at + 1) & noted_mask;
    if (!noted[at].block)
        noted_count++;
    else if (stacks) /* it was freed while nobody saw it */
        stacks[noted[at].stack].blocks--;
    uint32_t stack = current_stack();
    noted[at] = (Noted){block, stack, number_of(account), bytes, share};
    if (stacks)
        stacks[stack].blocks++;
    *tag |= IS_SAMPLED;
}

void
drop_site_of(uintptr_t block)
{
    if (!noted)
        return;
    size_t at = place_of(block);
    while (noted[at].block != block) {
        if (!noted[at].block)
            return;
        at = (at + 1) & noted_mask;
    }
    if (stacks)
        stacks[noted[at].stack].blocks--;
    noted_count--;
    for (size_t next = at;;) { /* those behind that are not where they belong move up */
        noted[at].block = 0;
        size_t home;
        do {
            next = (next + 1) & noted_mask;
            if (!noted[next].block)
                return;
            home = place_of(noted[next].block);
        } while (at <= next ? at < home && home <= next : at < home || home <= next);
        noted[at] = noted[next];
        at = next;
    }
}

/* Note the places from now on: each of so many bytes on the average; 1: of every block; 0: none, and
   forget them. */
void
note_sites(double mean_bytes)
{
    interval = mean_bytes;
    for (uint32_t i = 0; i < accounts_used; i++)
        accounts[i].next_sample = next_sample_of(&accounts[i]);
    if (interval == 0)
        forget_sites();
}

void
note_all_of(Account *account, int all)
{
    particulars[number_of(account)].is_exact = (char)all;
    account->next_sample = next_sample_of(account);
}

void
forget_sites(void)
{
    free(noted);
    noted = NULL;
    noted_mask = noted_count = 0;
    forget_stacks();
}

/* -- what is told */

static int
by_owner_and_stack(const void *left, const void *right)
{
    const HeapOf *a = left, *b = right;
    if (a->coroutine != b->coroutine)
        return a->coroutine < b->coroutine ? -1 : 1;
    return a->stack < b->stack ? -1 : a->stack > b->stack;
}

/* The sums by coroutine and stack; freed by the caller. NULL without an exception and `*count` -1: there
   is no room. */
HeapOf *
sum_sites(Py_ssize_t *count)
{
    HeapOf *found = malloc((noted_count + 1) * sizeof *found);
    *count = found ? 0 : -1;
    for (size_t i = 0; found && noted && i <= noted_mask; i++) {
        Noted *each = &noted[i];
        if (!each->block)
            continue;
        double bytes = (double)each->bytes;
        found[(*count)++] = (HeapOf){
            .coroutine = particulars[each->account].coroutine,
            .stack = each->stack,
            .bytes = each->share * bytes,
            .blocks = each->share,
            .variance = each->share * (each->share - 1.0) * bytes * bytes,
        };
    }
    if (!found || !*count)
        return found;
    qsort(found, (size_t)*count, sizeof *found, by_owner_and_stack);
    Py_ssize_t last = 0;
    for (Py_ssize_t i = 1; i < *count; i++) {
        if (by_owner_and_stack(&found[last], &found[i]))
            found[++last] = found[i];
        else {
            found[last].bytes += found[i].bytes;
            found[last].blocks += found[i].blocks;
            found[last].variance += found[i].variance;
        }
    }
    *count = last + 1;
    return found;
}
