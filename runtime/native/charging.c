/* What a coroutine costs: the time that it runs, and whose account pays for what is allocated meanwhile.

   Nobody is asked at a switch. Who pays stands in one place of each thread, where the allocator hooks read
   it, and is written over where one is left for another: the copies of C stacks that a switch makes are
   nobody's, nor is what the scheduler keeps of its own. Whoever goes on with what is not the scheduler's
   work says so with `running_pays`. */

#include "ledger.h"

void
settle(Switching *self)
{
    double now = perf_counter();
    if (self->running)
        self->running->busy_s += now - self->charged_at;
    self->charged_at = now;
}

Account *
scheduler_pays(void)
{
    Account *before = paying;
    if (counting)
        paying = &accounts[SCHEDULER];
    return before;
}

void
stacks_pay(void)
{
    if (counting)
        paying = &accounts[STACKS];
}

void
running_pays(Switching *self)
{
    if (counting)
        paying = self->running ? account_of(self->running) : &accounts[OUTSIDE];
}
