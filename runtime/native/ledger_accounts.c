/* What each has allocated and still holds: the accounts of coroutines, and of those who are none.

   A block is charged to whoever pays at that moment (`paying`, of this thread), and credited to the same
   account when it is freed, whoever frees it. At the end of its coroutine an account is closed. What is
   left on it stays, as what the coroutines of that place of birth have left; with the last block the
   account is free for the next coroutine. So there are never more accounts than living coroutines and
   blocks that the dead have left.

   Numbers are used again, hence the generations: a coroutine that was counted knows its account by both. */

#include "ledger.h"

#include <sys/mman.h>

Account *accounts;
Particulars *particulars;
uint32_t accounts_used = FIRST_ACCOUNT;
int64_t ledger_bytes, closed_bytes, closed_blocks, closed_accounts, open_accounts;

static uint32_t first_free; /* 0: none */

/* Room for all that there can be: they never move, and what is not used takes no memory. */
int
reserve_accounts(void)
{
    if (accounts)
        return 0;
    size_t size = (size_t)MAX_ACCOUNTS * (sizeof(Account) + sizeof(Particulars));
    char *room = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED)
        return -1;
    particulars = (Particulars *)(room + (size_t)MAX_ACCOUNTS * sizeof(Account));
    accounts = (Account *)room; /* last: whoever sees it sees all */
    return 0;
}

static void
begin_account(Account *account, int64_t coroutine, uint32_t birth)
{
    *account = (Account){.generation = account->generation + 1, .birth = birth, .flags = IS_OPEN};
    particulars[number_of(account)] = (Particulars){.coroutine = coroutine};
    account->next_sample = next_sample_of(account);
}

/* Count from zero. */
void
reset_accounts(void)
{
    for (uint32_t i = 0; i < accounts_used; i++)
        begin_account(&accounts[i], 0, 0);
    for (uint32_t i = FIRST_ACCOUNT; i < accounts_used; i++)
        accounts[i].flags = 0;
    accounts_used = FIRST_ACCOUNT;
    first_free = 0;
    ledger_bytes = closed_bytes = closed_blocks = closed_accounts = open_accounts = 0;
}

static inline int
has_account(State *coroutine)
{
    return coroutine->account && coroutine->account->generation == coroutine->generation;
}

/* The account of one that lives, opened when it first pays. When there is no room, it is charged to
   nobody. */
Account *
account_of(State *coroutine)
{
    if (LIKELY(has_account(coroutine)))
        return coroutine->account;
    if (coroutine->has_ended)
        return &accounts[OUTSIDE];
    uint32_t number = first_free;
    if (number)
        first_free = accounts[number].following;
    else if (accounts_used < MAX_ACCOUNTS)
        number = accounts_used++;
    else
        return &accounts[OUTSIDE];
    begin_account(&accounts[number], PyLong_AsLongLong(coroutine->id), birth_of(coroutine));
    births[accounts[number].birth].living++;
    open_accounts++;
    coroutine->account = &accounts[number];
    coroutine->generation = accounts[number].generation;
    return coroutine->account;
}

static void
free_account(Account *account)
{
    account->flags = 0;
    account->generation++; /* who has ended knows it no more */
    account->following = first_free;
    first_free = number_of(account);
}

/* The coroutine has ended. */
void
close_account(State *coroutine)
{
    if (!has_account(coroutine) || !(coroutine->account->flags & IS_OPEN))
        return;
    Account *account = coroutine->account;
    Birth *birth = &births[account->birth];
    coroutine->peak = particulars[number_of(account)].peak;
    coroutine->allocated = (int64_t)account->allocated;
    birth->living--;
    birth->ended++;
    open_accounts--;
    if (blocks_of(account) == 0) {
        free_account(account);
        return;
    }
    account->flags = IS_CLOSED;
    closed_accounts++;
    birth->bytes += account->bytes;
    birth->blocks += blocks_of(account);
    closed_bytes += account->bytes;
    closed_blocks += blocks_of(account);
}

/* A block of one that has ended was freed. */
void
late_credit(Account *account, int64_t bytes)
{
    Birth *birth = &births[account->birth];
    birth->bytes -= bytes;
    birth->blocks--;
    closed_bytes -= bytes;
    closed_blocks--;
    if (blocks_of(account) == 0) {
        closed_accounts--;
        free_account(account);
    }
}

void
note_peak(Account *account)
{
    account->trip = particulars[number_of(account)].peak = account->bytes;
}

/* What is counted of one: live bytes and blocks, the peak, and all that it has ever allocated. */
void
read_account(State *coroutine, Figures *figures)
{
    *figures = (Figures){.peak = coroutine->peak, .allocated = coroutine->allocated};
    if (!counting || !has_account(coroutine))
        return;
    Account *account = coroutine->account;
    figures->bytes = account->bytes;
    figures->blocks = blocks_of(account);
    if (!coroutine->has_ended) {
        figures->peak = particulars[number_of(account)].peak;
        figures->allocated = (int64_t)account->allocated;
    }
}
