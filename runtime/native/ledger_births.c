/* What the dead have left, by the place where they were started.

   There are never more than `MAX_BIRTHS` places. A new one takes the room of one that has nobody alive and
   nothing left, and of those of the one that was used least; if there is none, all that come are counted
   together in the first. */

#include "ledger.h"

#define INDEX_SIZE 2048 /* a power of two, twice `MAX_BIRTHS` */

Birth births[MAX_BIRTHS + 1];
uint32_t births_used = 1;

static uint16_t index_of[INDEX_SIZE]; /* 0: nobody */

static uint32_t
hash_of(PyObject *place, int instruction)
{
    uint64_t key = (uintptr_t)place >> 4 ^ (uint64_t)(uint32_t)instruction << 32;
    return (uint32_t)(key * 0x9E3779B97F4A7C15u >> 40) & (INDEX_SIZE - 1);
}

static void
enter(uint32_t number)
{
    uint32_t at = hash_of(births[number].place, births[number].instruction);
    while (index_of[at])
        at = (at + 1) & (INDEX_SIZE - 1);
    index_of[at] = (uint16_t)number;
}

/* `*gone` is what was there before, to be let go of when all is in order: with it Python may run. */
static uint32_t
find_room(PyObject **gone)
{
    if (births_used <= MAX_BIRTHS)
        return births_used++;
    uint32_t least = 0;
    for (uint32_t i = 1; i <= MAX_BIRTHS; i++)
        if (!births[i].living && !births[i].blocks && (!least || births[i].ended < births[least].ended))
            least = i;
    if (!least)
        return 0;
    *gone = births[least].place;
    births[least].place = NULL;
    memset(index_of, 0, sizeof index_of);
    for (uint32_t i = 1; i <= MAX_BIRTHS; i++)
        if (births[i].place)
            enter(i);
    return least;
}

/* A text is the same place as any that is equal. */
static PyObject *
take_text(PyObject *text)
{
    Py_INCREF(text);
    if (PyUnicode_CheckExact(text))
        PyUnicode_InternInPlace(&text);
    return text;
}

/* The number of the place where it was started. */
uint32_t
birth_of(State *coroutine)
{
    PyObject *place = coroutine->code, *site = coroutine->site;
    int instruction = coroutine->instruction;
    if (site && PyTuple_Check(site) && PyTuple_GET_SIZE(site) == 2) {
        place = PyTuple_GET_ITEM(site, 0);
        instruction = (int)PyLong_AsLong(PyTuple_GET_ITEM(site, 1));
    } else if (site && site != Py_None) {
        place = site;
        instruction = 0;
    }
    if (!place)
        return 0;
    place = take_text(place);
    uint32_t at = hash_of(place, instruction), number;
    for (; (number = index_of[at]); at = (at + 1) & (INDEX_SIZE - 1))
        if (births[number].place == place && births[number].instruction == instruction) {
            Py_DECREF(place);
            return number;
        }
    PyObject *gone = NULL;
    number = find_room(&gone);
    if (!number) {
        Py_DECREF(place);
        return 0;
    }
    births[number] = (Birth){.place = place, .instruction = instruction};
    enter(number);
    Py_XDECREF(gone);
    return number;
}

void
forget_births(void)
{
    PyObject *places[MAX_BIRTHS + 1];
    uint32_t count = births_used;
    for (uint32_t i = 0; i < count; i++)
        places[i] = births[i].place;
    memset(births, 0, sizeof births);
    memset(index_of, 0, sizeof index_of);
    births_used = 1;
    for (uint32_t i = 0; i < count; i++)
        Py_XDECREF(places[i]);
}
