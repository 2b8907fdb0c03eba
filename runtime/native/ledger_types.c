/* Which objects are on an account, by type: the blocks of the map, looked at for what lies in them.

   An object begins where its block does, or behind what the collector keeps before it, and its second word
   is the address of its type. So a block is an object if one of these places says so of a type that there
   is, and nothing speaks against it; all others are what objects keep elsewhere: the bytes of a bytearray,
   the entries of a dict. What speaks against it matters, because a block is not cleared when it is given out
   anew: of a list that has room for four and holds one, the second word is still the type of what lay there. */

#include "ledger.h"

#include <stdlib.h>

#if PY_VERSION_HEX < 0x030C0000
#define PREHEADER Py_TPFLAGS_MANAGED_DICT
#else
#define PREHEADER (Py_TPFLAGS_MANAGED_DICT | Py_TPFLAGS_MANAGED_WEAKREF)
#endif

typedef struct {
    TypeSum *sums;
    size_t mask;
} Types;

static TypeSum *
find_type(Types *types, PyTypeObject *type)
{
    size_t at = (size_t)((uintptr_t)type >> 4) * 0x9E3779B97F4A7C15u >> 20 & types->mask;
    while (types->sums[at].type && types->sums[at].type != type)
        at = (at + 1) & types->mask;
    return &types->sums[at];
}

/* The bytes of a block that lie before the object in it. */
int64_t
header_of(PyTypeObject *type)
{
    int64_t collected = PyType_HasFeature(type, Py_TPFLAGS_HAVE_GC) ? 2 * (int64_t)sizeof(PyObject *) : 0;
    return collected + (type->tp_flags & PREHEADER ? 2 * (int64_t)sizeof(PyObject *) : 0);
}

/* Memory that nobody has cleared looks like an object with an address in place of a count: those are larger. */
static int
may_be_a_count(Py_ssize_t references)
{
    return references > 0 && (uint64_t)references <= UINT32_MAX;
}

static int
may_be_a_str(const char *block, int64_t bytes)
{
    const PyASCIIObject *text = (const PyASCIIObject *)block;
    if (bytes < (int64_t)sizeof(PyASCIIObject) || text->length < 0 || text->length > bytes)
        return 0;
    if (!text->state.compact)
        return 1;
    int64_t head = text->state.ascii ? sizeof(PyASCIIObject) : sizeof(PyCompactUnicodeObject);
    return head + (text->length + 1) * text->state.kind <= bytes;
}

/* The first sum is that of what is no object. */
static TypeSum *
type_in(Types *types, TypeSum *none, const char *block, int64_t bytes)
{
    for (int64_t header = 0; header <= 32 && header + (int64_t)sizeof(PyObject) <= bytes; header += 16) {
        PyObject *object = (PyObject *)(block + header);
        TypeSum *sum = Py_TYPE(object) ? find_type(types, Py_TYPE(object)) : NULL;
        if (sum && sum->type && header == header_of(sum->type) && may_be_a_count(Py_REFCNT(object)) &&
            (sum->type != &PyUnicode_Type || may_be_a_str(block, bytes)))
            return sum;
    }
    return none;
}

static void
add_table(Types *types, TypeSum *none, const uint32_t *table, uintptr_t start, int64_t coroutine)
{
    for (uint32_t at = 0; at < TABLE_TAGS;) {
        const uint32_t *tag = table + at;
        int64_t bytes = *tag ? tagged_bytes(tag) : GRANULE_BYTES, granules = granules_of(bytes);
        uint32_t number = *tag >> ACCOUNT_SHIFT;
        if (*tag && number >= FIRST_ACCOUNT && particulars[number].coroutine == coroutine) {
            const char *block = (const char *)(start + ((uintptr_t)at << GRANULE_SHIFT));
            TypeSum *sum = type_in(types, none, block, bytes);
            sum->count++;
            sum->bytes += bytes;
        }
        at = granules < TABLE_TAGS - at ? at + (uint32_t)granules : TABLE_TAGS;
    }
}

/* Add up what is on the account of a coroutine: `types` is a list of all types, and `none` is for what is
   no object. NULL without an exception: there is no room. The caller frees it; `*size` of it, those
   without a type are empty. */
TypeSum *
sum_types(PyObject *list, int64_t coroutine, TypeSum *none, size_t *size)
{
    *size = 16;
    while (*size < 2 * (size_t)PyList_GET_SIZE(list))
        *size *= 2;
    Types types = {calloc(*size, sizeof(TypeSum)), *size - 1};
    if (!types.sums)
        return NULL;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); i++) {
        PyTypeObject *type = (PyTypeObject *)PyList_GET_ITEM(list, i);
        find_type(&types, type)->type = type;
    }
    for (uintptr_t i = 0; i < 1u << TABLES_SHIFT; i++)
        for (uintptr_t k = 0; tag_tables[i] && k < 1u << TABLES_SHIFT; k++)
            if (tag_tables[i][k])
                add_table(&types, none, tag_tables[i][k], (i << TABLES_SHIFT | k) << TABLE_SHIFT, coroutine);
    return types.sums;
}
