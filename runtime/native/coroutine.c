/* One coroutine: its fields, and nothing that it could do. See `_coroutine_state.py`. */

#include "native.h"

static int
state_init(State *self, PyObject *args, PyObject *kwargs)
{
    PyObject *scheduler, *id, *name, *parent_id, *site, *limit;
    double started_at;
    if (!PyArg_ParseTuple(args, "OOOOOOd", &scheduler, &id, &name, &parent_id, &site, &limit, &started_at))
        return -1;
    Py_XSETREF(self->scheduler, Py_NewRef(scheduler));
    Py_XSETREF(self->id, Py_NewRef(id));
    Py_XSETREF(self->name, Py_NewRef(name));
    Py_XSETREF(self->parent_id, Py_NewRef(parent_id));
    Py_XSETREF(self->site, Py_NewRef(site));
    if (check_limit(limit) < 0)
        return -1;
    set_limit(self, limit);
    Py_XSETREF(self->state, Py_NewRef(of.ready));
    self->started_at = started_at;
    return 0;
}

/* What can be part of a cycle, and what cannot: a collection visits each many times. */
#define STATE_OBJECTS(what)                                                                                   \
    what(self->scheduler) what(self->greenlet) what(self->subject) what(self->raise) what(self->value)        \
    what(self->interrupts) what(self->watchers) what(self->defers) what(self->error) what(self->context)      \
    what(self->tally) what(self->site) what(self->traceback)

#define STATE_WORDS(what)                                                                                     \
    what(self->state) what(self->verb) what(self->name) what(self->id) what(self->parent_id)                  \
    what(self->code) what(self->limit)

static int
state_traverse(State *self, visitproc visit, void *arg)
{
    STATE_OBJECTS(VISIT)
    return 0;
}

static int
state_clear(State *self)
{
    STATE_OBJECTS(CLEAR)
    STATE_WORDS(CLEAR)
    return 0;
}

static void
state_dealloc(State *self)
{
    PyObject_GC_UnTrack(self);
    if (self->weakrefs)
        PyObject_ClearWeakRefs((PyObject *)self);
    close_account(self);
    state_clear(self);
    Py_TYPE(self)->tp_free(self);
}

PyObject *
state_tally(State *self)
{
    if (!self->tally) {
        self->tally = PyObject_CallNoArgs(of.Tally);
        if (!self->tally)
            return NULL;
    }
    return Py_NewRef(self->tally);
}

PyObject *
site_of(PyObject *code, int instruction)
{
    return PyObject_CallFunction(of.Site, "Oi", code, instruction);
}

static PyObject *
state_get_site(State *self, void *_)
{
    if (!self->site && self->code) {
        self->site = site_of(self->code, self->instruction);
        if (!self->site)
            return NULL;
    }
    return Py_NewRef(self->site ? self->site : Py_None);
}

static PyObject *
state_get_ended_at(State *self, void *_)
{
    if (!self->has_ended)
        Py_RETURN_NONE;
    return PyFloat_FromDouble(self->ended_at);
}

static PyObject *
state_get_limit(State *self, void *_)
{
    return Py_NewRef(self->limit ? self->limit : Py_None);
}

static int
state_set_limit(State *self, PyObject *limit, void *_)
{
    if (check_limit(limit ? limit : Py_None) < 0)
        return -1;
    set_limit(self, limit ? limit : Py_None);
    return 0;
}

static PyObject *
state_get_heap(State *self, void *_)
{
    Figures heap;
    read_account(self, &heap);
    return Py_BuildValue("LLLL", heap.bytes, heap.blocks, heap.peak, heap.allocated);
}

static PyObject *
state_ended(State *self, void *_)
{
    return PyBool_FromLong(self->has_ended);
}

/* The context of one that has not needed any so far: made now, and given to whoever switches contexts. */
static PyObject *
make_context(State *self)
{
    if (((Switching *)self->scheduler)->running == self) {
        PyObject *context = PyThreadState_Get()->context;
        if (context)
            return Py_NewRef(context);
        context = PyContext_New();
        if (context)
            set_context(context);
        return context;
    }
    PyObject *context = PyObject_GetAttr(self->greenlet, str.gr_context);
    if (context == Py_None) {
        Py_DECREF(context);
        context = PyContext_New();
        if (context && PyObject_SetAttr(self->greenlet, str.gr_context, context) < 0)
            Py_CLEAR(context);
    }
    return context;
}

int
keep_context(State *self)
{
    if (!self->context && !self->has_ended && self->greenlet && !(self->context = make_context(self)))
        return -1;
    return 0;
}

static PyObject *
state_context(State *self, void *_)
{
    return keep_context(self) < 0 ? NULL : Py_NewRef(self->context ? self->context : Py_None);
}

static PyGetSetDef state_getset[] = {
    {"ended", (getter)state_ended, NULL, "Whether it is done, failed or cancelled.", NULL},
    {"context", (getter)state_context, NULL, NULL, NULL},
    {"_limit", (getter)state_get_limit, (setter)state_set_limit, NULL, NULL},
    {"_heap", (getter)state_get_heap, NULL, NULL, NULL},
    {"_tally", (getter)state_tally, NULL, NULL, NULL},
    {"_site", (getter)state_get_site, NULL, NULL, NULL},
    {"_ended_at", (getter)state_get_ended_at, NULL, NULL, NULL},
    {NULL},
};

#define OBJECT(name, field) {name, T_OBJECT, offsetof(State, field), 0, NULL}

static PyMemberDef state_members[] = {
    OBJECT("_scheduler", scheduler), OBJECT("_greenlet", greenlet), OBJECT("_state", state),
    OBJECT("_verb", verb), OBJECT("_subject", subject), OBJECT("_raise", raise), OBJECT("_value", value),
    OBJECT("_interrupts", interrupts), OBJECT("_watchers", watchers), OBJECT("_defers", defers),
    OBJECT("_error", error), OBJECT("_traceback", traceback), OBJECT("name", name), OBJECT("id", id),
    OBJECT("parent_id", parent_id),
    {"busy_s", T_DOUBLE, offsetof(State, busy_s), 0, NULL},
    {"switches", T_PYSSIZET, offsetof(State, switches), 0, NULL},
    {"_started_at", T_DOUBLE, offsetof(State, started_at), 0, NULL},
    {"_observed", T_BOOL, offsetof(State, observed), 0, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(State, weakrefs), READONLY, NULL},
    {NULL},
};

PyTypeObject StateType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "coloop._native.CoroutineState",
    .tp_basicsize = sizeof(State),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_doc = "What switching knows of a coroutine: see `_coroutine_state.py`.",
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)state_init,
    .tp_dealloc = (destructor)state_dealloc,
    .tp_traverse = (traverseproc)state_traverse,
    .tp_clear = (inquiry)state_clear,
    .tp_members = state_members,
    .tp_getset = state_getset,
    .tp_weaklistoffset = offsetof(State, weakrefs),
};


/* To wait for one that has ended. */
PyObject *
state_join(PyObject *coroutine, PyObject *const *args, Py_ssize_t count)
{
    State *self = (State *)coroutine;
    if (!self->has_ended || count > 1)
        return Py_NotImplemented;
    self->observed = 1;
    Py_RETURN_TRUE;
}

int
add_coroutine(PyObject *module)
{
    if (PyType_Ready(&StateType) < 0)
        return -1;
    return PyModule_AddObjectRef(module, "CoroutineState", (PyObject *)&StateType);
}
