/* Whether the map of the blocks and the counters agree: for tests, because both are written in the same
   breath. */

#include "ledger.h"

#include <stdlib.h>

typedef struct {
    int64_t bytes, blocks;
} Sum;

/* What begins in one table; a block may reach into the next one, which has no tag for it. */
static int64_t
add_table(const uint32_t *table, Sum *sums)
{
    int64_t wrong = 0;
    for (uint32_t at = 0; at < TABLE_TAGS;) {
        const uint32_t *tag = table + at;
        if (!*tag) {
            at++;
            continue;
        }
        int64_t bytes = tagged_bytes(tag), granules = bytes >> GRANULE_SHIFT;
        uint32_t number = *tag >> ACCOUNT_SHIFT;
        if (number >= accounts_used || granules < 1) {
            wrong++;
            at++;
            continue;
        }
        sums[number].bytes += bytes;
        sums[number].blocks++;
        at = granules < TABLE_TAGS - at ? at + (uint32_t)granules : TABLE_TAGS;
    }
    return wrong;
}

static int64_t
add_tables(Sum *sums)
{
    int64_t wrong = 0;
    for (uint32_t i = 0; i < 1u << TABLES_SHIFT; i++)
        for (uint32_t k = 0; tag_tables[i] && k < 1u << TABLES_SHIFT; k++)
            if (tag_tables[i][k])
                wrong += add_table(tag_tables[i][k], sums);
    return wrong;
}

int
audit_ledger(Audit *audit)
{
    *audit = (Audit){0};
    Sum *sums = calloc(accounts_used, sizeof *sums); /* not from Python: it would be counted */
    if (!sums)
        return -1;
    audit->wrong = add_tables(sums);
    int64_t counted = 0;
    for (uint32_t i = 0; i < accounts_used; i++) {
        audit->wrong += sums[i].bytes != accounts[i].bytes || sums[i].blocks != blocks_of(&accounts[i]);
        audit->wrong += sums[i].blocks && !accounts[i].flags;
        audit->bytes += sums[i].bytes;
        audit->blocks += sums[i].blocks;
        counted += accounts[i].bytes;
    }
    audit->wrong += counted != ledger_bytes;
    free(sums);
    return 0;
}
