/* What is remembered of the dead: numbers and texts, the last `KEPT_DEAD`. They become tuples when somebody looks. */

#include "native.h"

#define GRAVE_OBJECTS(g, what)                                                                                \
    what((g)->name) what((g)->state) what((g)->site) what((g)->code) what((g)->outcome)

void
empty_grave(Grave *grave)
{
    GRAVE_OBJECTS(grave, CLEAR)
}

int
bury(Switching *self, State *coroutine)
{
    PyObject *outcome;
    if (coroutine->error)
        outcome = PyObject_GetAttr((PyObject *)coroutine, str.outcome);
    else if (!coroutine->value || coroutine->value == Py_None)
        outcome = Py_NewRef(str.NoneType);
    else
        outcome = PyType_GetName(Py_TYPE(coroutine->value)); /* asks no metaclass */
    if (!outcome)
        return -1;
    Grave *grave = &self->graves[self->buried++ % KEPT_DEAD];
    Grave old = *grave;
    Figures heap;
    read_account(coroutine, &heap);
    *grave = (Grave){
        .id = PyLong_AsSsize_t(coroutine->id),
        .parent_id = coroutine->parent_id == Py_None ? 0 : PyLong_AsSsize_t(coroutine->parent_id),
        .name = Py_XNewRef(coroutine->name),
        .state = Py_XNewRef(coroutine->state),
        .site = Py_XNewRef(coroutine->site),
        .code = Py_XNewRef(coroutine->site ? NULL : coroutine->code),
        .outcome = outcome,
        .instruction = coroutine->instruction,
        .lived_s = coroutine->ended_at - coroutine->started_at,
        .ended_at = coroutine->ended_at,
        .busy_s = coroutine->busy_s,
        .switches = coroutine->switches,
        .heap_bytes = heap.bytes,
        .heap_peak = heap.peak,
        .allocated_total = heap.allocated,
    };
    if (grave->site && PyTuple_Check(grave->site) && PyTuple_GET_SIZE(grave->site) == 2) { /* a Site */
        grave->code = Py_NewRef(PyTuple_GET_ITEM(grave->site, 0));
        grave->instruction = (int)PyLong_AsLong(PyTuple_GET_ITEM(grave->site, 1));
        Py_CLEAR(grave->site);
    }
    empty_grave(&old);
    return 0;
}

static PyObject *
grave_tuple(Grave *grave)
{
    PyObject *site = grave->site   ? Py_NewRef(grave->site)
                     : grave->code ? site_of(grave->code, grave->instruction)
                                   : Py_NewRef(Py_None);
    PyObject *parent_id = grave->parent_id ? PyLong_FromSsize_t(grave->parent_id) : Py_NewRef(Py_None);
    return Py_BuildValue("nOONNdddnLLLO", grave->id, grave->name, grave->state, parent_id, site, grave->lived_s,
                         grave->ended_at, grave->busy_s, grave->switches, grave->heap_bytes, grave->heap_peak,
                         grave->allocated_total, grave->outcome);
}

/* The last that have ended, the oldest first. */
PyObject *
switching_get_graves(Switching *self, void *_)
{
    PyObject *graves = PyList_New(0);
    Py_ssize_t first = self->buried > KEPT_DEAD ? self->buried - KEPT_DEAD : 0;
    for (Py_ssize_t i = first; graves && i < self->buried; i++) {
        PyObject *grave = grave_tuple(&self->graves[i % KEPT_DEAD]);
        if (!grave || PyList_Append(graves, grave) < 0)
            Py_CLEAR(graves);
        Py_XDECREF(grave);
    }
    return graves;
}

int
traverse_grave(Grave *grave, visitproc visit, void *arg)
{
    GRAVE_OBJECTS(grave, VISIT)
    return 0;
}
