/* Where blocks were allocated. */

#include "ledger.h"

void
note_site_of(Account *account, uintptr_t block, int64_t bytes, uint32_t *tag)
{
}

void
drop_site_of(uintptr_t block)
{
}

void
forget_sites(void)
{
}

uint64_t
next_sample_of(Account *account)
{
    return UINT64_MAX;
}
