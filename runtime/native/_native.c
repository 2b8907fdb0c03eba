/* The native form of the hot path: what `_switching.py` and `_coroutine_state.py` say, said to the machine.

   The Python form is the reference, and the same tests run on both. Whatever is rare stays in Python and is
   called from here: limits, timeouts, the order that a seed decides, the ledger, the report of a failure.

   Three things differ from the Python form, because they must:

   * No bytecode runs here, so an exception from another thread (`kill`) cannot strike inside. It would
     strike in whatever Python code comes next, which may be another coroutine's. So each way in takes down
     `exposed` and then asks whether one is pending: if so it is raised here, before anything has changed.
   * A spawn site is noted as a code object and an offset, without making a frame object.
   * The dead are remembered as C structures and become tuples when somebody looks. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>
#include <time.h>

#if PY_VERSION_HEX < 0x030C0000
#define Py_BUILD_CORE
#include <internal/pycore_frame.h>
#undef Py_BUILD_CORE
#endif

#include "greenlet.h"

#define SLICE_SWITCHES 64
#define SLICE_S 0.001
#define KEPT_DEAD 256

/* What is asked of the rest of coloop; loaded when the first scheduler is made. */
static struct {
    PyObject *ready, *waiting, *done, *failed, *cancelled; /* states */
    PyObject *Coroutine, *default_name;
    PyObject *Cancelled, *Killed, *NotRunning;
    PyObject *trimmed, *calling_site, *Site, *make_callers_objects, *ours;
    PyObject *Tally, *memory, *MonotonicClock;
} of;

static PyObject *ledger; /* who charges heap; NULL below level `heap` */
static PyObject *str_cancel, *str_call_later, *str_expire, *str_safe_point, *str_check_limits,
    *str_check_limits_of_spawn, *str_settle, *str_outside, *str_bury, *str_name, *str_now;

static _Thread_local PyObject *current; /* the scheduler of this thread; owned */

/* -- one coroutine ------------------------------------------------------------------------------------ */

typedef struct {
    PyObject_HEAD
    PyObject *weakrefs;
    PyObject *scheduler, *greenlet, *state, *verb, *subject, *raise, *value, *interrupts, *watchers, *defers;
    PyObject *error, *context, *name, *id, *parent_id;
    PyObject *tally;      /* made when somebody asks for it */
    PyObject *site;       /* made from `code` when somebody asks for it */
    PyObject *code;
    int instruction;
    PyObject *limit;
    double busy_s, started_at, ended_at;
    Py_ssize_t switches;
    char has_ended, observed;
} State;

static PyTypeObject StateType;

#define IS_STATE(o) PyObject_TypeCheck(o, &StateType)

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
    Py_XSETREF(self->limit, Py_NewRef(limit));
    Py_XSETREF(self->state, Py_NewRef(of.ready));
    self->started_at = started_at;
    return 0;
}

#define STATE_OBJECTS(what)                                                                                   \
    what(self->scheduler) what(self->greenlet) what(self->state) what(self->verb) what(self->subject)         \
    what(self->raise) what(self->value) what(self->interrupts) what(self->watchers) what(self->defers)        \
    what(self->error) what(self->context) what(self->name) what(self->id) what(self->parent_id)               \
    what(self->tally) what(self->site) what(self->code) what(self->limit)

#define VISIT(field) Py_VISIT(field);
#define CLEAR(field) Py_CLEAR(field);

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
    return 0;
}

static void
state_dealloc(State *self)
{
    PyObject_GC_UnTrack(self);
    if (self->weakrefs)
        PyObject_ClearWeakRefs((PyObject *)self);
    state_clear(self);
    Py_TYPE(self)->tp_free(self);
}

static PyObject *
state_get_tally(State *self, void *_)
{
    if (!self->tally) {
        self->tally = PyObject_CallOneArg(of.Tally, self->limit ? self->limit : Py_None);
        if (!self->tally)
            return NULL;
    }
    return Py_NewRef(self->tally);
}

static PyObject *
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

static PyGetSetDef state_getset[] = {
    {"_tally", (getter)state_get_tally, NULL, NULL, NULL},
    {"_site", (getter)state_get_site, NULL, NULL, NULL},
    {"_ended_at", (getter)state_get_ended_at, NULL, NULL, NULL},
    {NULL},
};

#define OBJECT(name, field) {name, T_OBJECT, offsetof(State, field), 0, NULL}
#include <structmember.h>

static PyMemberDef state_members[] = {
    OBJECT("_scheduler", scheduler), OBJECT("_greenlet", greenlet), OBJECT("_state", state),
    OBJECT("_verb", verb), OBJECT("_subject", subject), OBJECT("_raise", raise), OBJECT("_value", value),
    OBJECT("_interrupts", interrupts), OBJECT("_watchers", watchers), OBJECT("_defers", defers),
    OBJECT("_error", error), OBJECT("context", context), OBJECT("name", name), OBJECT("id", id),
    OBJECT("parent_id", parent_id),
    {"busy_s", T_DOUBLE, offsetof(State, busy_s), 0, NULL},
    {"switches", T_PYSSIZET, offsetof(State, switches), 0, NULL},
    {"_started_at", T_DOUBLE, offsetof(State, started_at), 0, NULL},
    {"_observed", T_BOOL, offsetof(State, observed), 0, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(State, weakrefs), READONLY, NULL},
    {NULL},
};

static PyTypeObject StateType = {
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

/* -- the ready, in a ring; the dead, in a ring --------------------------------------------------------- */

typedef struct {
    State **items;
    Py_ssize_t size, first, count; /* size is a power of two */
} Ring;

static int
ring_push(Ring *ring, State *item)
{
    if (ring->count == ring->size) {
        Py_ssize_t size = ring->size ? ring->size * 2 : 64;
        State **items = PyMem_New(State *, size);
        if (!items) {
            PyErr_NoMemory();
            return -1;
        }
        for (Py_ssize_t i = 0; i < ring->count; i++)
            items[i] = ring->items[(ring->first + i) & (ring->size - 1)];
        PyMem_Free(ring->items);
        ring->items = items, ring->size = size, ring->first = 0;
    }
    ring->items[(ring->first + ring->count++) & (ring->size - 1)] = (State *)Py_NewRef(item);
    return 0;
}

static State *
ring_pop(Ring *ring)
{
    State *item = ring->items[ring->first];
    ring->first = (ring->first + 1) & (ring->size - 1);
    ring->count--;
    return item;
}

/* Take out the one at `place`; the order of the others stays. */
static State *
ring_pop_at(Ring *ring, Py_ssize_t place)
{
    Py_ssize_t mask = ring->size - 1;
    State *item = ring->items[(ring->first + place) & mask];
    for (Py_ssize_t i = place; i + 1 < ring->count; i++)
        ring->items[(ring->first + i) & mask] = ring->items[(ring->first + i + 1) & mask];
    ring->count--;
    return item;
}

/* Numbers are copied: an object made for the living would be charged to one and, kept here, credited to nobody. */
typedef struct {
    PyObject *name, *state, *site, *code, *outcome;
    int instruction;
    double lived_s, ended_at, busy_s;
    Py_ssize_t id, parent_id, switches; /* a parent's id of 0: none */
    long long heap_bytes, heap_peak, allocated_total;
} Grave;

#define GRAVE_OBJECTS(g, what)                                                                                \
    what((g)->name) what((g)->state) what((g)->site) what((g)->code) what((g)->outcome)

/* -- switching ----------------------------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    PyObject *dict, *weakrefs;
    PyObject *clock, *living, *workers, *unclaimed, *dice, *max_coroutines, *memory_limit;
    State *running, *exposed;
    PyGreenlet *root, *hirer;
    State *job; /* with its function */
    PyObject *job_fn, *job_args, *job_kwargs;
    State **callers; /* NULL stands for the root */
    Py_ssize_t callers_count, callers_size;
    Ring ready;
    Grave graves[KEPT_DEAD];
    Py_ssize_t buried;
    Py_ssize_t spawned, peak, failures, switches;
    Py_ssize_t slice_left;
    double slice_end, running_since, charged_at;
    unsigned long thread_id;
    char is_monotonic;
} Switching;

static inline double
perf_counter(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* The scheduler's clock, given what `perf_counter` said a moment ago: `time.monotonic` reads the same clock. */
static double
clock_now(Switching *self, double now)
{
    if (self->is_monotonic)
        return now;
    PyObject *told = PyObject_CallMethodNoArgs(self->clock, str_now);
    if (!told)
        return -1.0;
    double seconds = PyFloat_AsDouble(told);
    Py_DECREF(told);
    return seconds;
}

/* An exception that another thread has sent and that has not struck yet: raise it here. */
static inline int
struck(void)
{
    PyThreadState *thread = PyThreadState_Get();
    PyObject *error = thread->async_exc;
    if (!error)
        return 0;
    thread->async_exc = NULL;
    PyErr_SetNone(error);
    Py_DECREF(error);
    return -1;
}

static inline void
set_exposed(Switching *self, State *coroutine)
{
    Py_XINCREF(coroutine);
    Py_XSETREF(self->exposed, coroutine);
}

static inline void
set_running(Switching *self, State *coroutine)
{
    Py_XINCREF(coroutine);
    Py_XSETREF(self->running, coroutine);
}

/* Another thread may take the ledger away at any call into Python: hence the look, and the hold. */
static int
charge(PyObject *tally)
{
    PyObject *held = Py_XNewRef(ledger);
    if (!held)
        return 0;
    PyObject *done = PyObject_CallMethodOneArg(held, str_settle, tally);
    Py_DECREF(held);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* Charge heap to the account of `coroutine`, or to nobody's. */
static int
charge_to(State *coroutine)
{
    PyObject *tally = coroutine ? state_get_tally(coroutine, NULL) : PyObject_GetAttr(of.memory, str_outside);
    if (!tally)
        return -1;
    int done = charge(tally);
    Py_DECREF(tally);
    return done;
}

/* What the scheduler itself takes is nobody's heap, nor are the copies of C stacks that a switch makes. */
static int
charge_switch(void)
{
    return ledger ? charge_to(NULL) : 0;
}

static int
make_objects(void)
{
    PyObject *done = PyObject_CallNoArgs(of.make_callers_objects);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

static int
settle(Switching *self)
{
    double now = perf_counter();
    if (self->running)
        self->running->busy_s += now - self->charged_at;
    self->charged_at = now;
    return ledger ? charge_to(self->running) : 0;
}

static int
call_python(Switching *self, PyObject *method, State *coroutine)
{
    PyObject *done = PyObject_CallMethodOneArg((PyObject *)self, method, (PyObject *)coroutine);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

static State *
pop_any(Switching *self)
{
    PyObject *place = PyObject_CallMethod(self->dice, "randrange", "n", self->ready.count);
    if (!place)
        return NULL;
    Py_ssize_t at = PyLong_AsSsize_t(place);
    Py_DECREF(place);
    return ring_pop_at(&self->ready, at);
}

/* The spawner to which the running one returns; NULL is the root. */
static State *
pop_caller(Switching *self)
{
    while (self->callers_count) {
        State *caller = self->callers[--self->callers_count];
        if (!caller || !caller->has_ended)
            return caller;
        Py_DECREF(caller);
    }
    return NULL;
}

static int
push_caller(Switching *self, State *caller)
{
    if (self->callers_count == self->callers_size) {
        Py_ssize_t size = self->callers_size ? self->callers_size * 2 : 16;
        State **grown = PyMem_Realloc(self->callers, size * sizeof *grown);
        if (!grown) {
            PyErr_NoMemory();
            return -1;
        }
        self->callers = grown, self->callers_size = size;
    }
    Py_XINCREF(caller);
    self->callers[self->callers_count++] = caller;
    return 0;
}

/* Charge the one that has run until `now`; switch to `target` (stolen) or, if that is NULL, to whose turn it
   is. -1 with `*left` 0: it could not leave, and nothing was taken out of a queue. */
static int
leave(Switching *self, double now, State *target, char *left)
{
    State *me = self->running;
    *left = 0;
    if (me)
        me->busy_s += now - self->charged_at;
    self->charged_at = self->running_since = now;
    char charged = ledger != NULL;
    if (charged && (make_objects() < 0 || charge_to(me) < 0)) {
        Py_XDECREF(target);
        return -1;
    }
    if (!target) {
        if (self->callers_count)
            target = pop_caller(self);
        else if (self->ready.count && self->slice_left > 0 && now < self->slice_end) {
            if (self->dice) {
                if (!(target = pop_any(self)))
                    return -1;
            } else
                target = ring_pop(&self->ready);
            self->slice_left--;
        }
    }
    *left = 1;
    if (target == me && me) {
        Py_DECREF(target);
        return 0;
    }
    PyGreenlet *worker = self->root;
    if (target) {
        target->switches++;
        worker = (PyGreenlet *)target->greenlet;
    }
    self->switches++;
    Py_INCREF(worker);
    Py_XSETREF(self->running, target); /* stolen */
    PyObject *back = PyGreenlet_Switch(worker, NULL, NULL);
    Py_DECREF(worker);
    if (!back)
        return -1;
    Py_DECREF(back);
    if (charged && charge_switch() < 0) {
        /* It has left and come back all the same; the next settlement takes it. */
        if (!PyErr_ExceptionMatches(PyExc_RecursionError))
            return -1;
        PyErr_Clear();
    }
    return 0;
}

/* -- workers */

static PyObject *switching_work(Switching *self, PyObject *_);

static PyMethodDef work_def = {"work", (PyCFunction)switching_work, METH_NOARGS, NULL};

static PyObject *
switch_to(PyGreenlet *target)
{
    Py_INCREF(target);
    PyObject *back = PyGreenlet_Switch(target, NULL, NULL);
    Py_DECREF(target);
    return back;
}

static PyGreenlet *
start_worker(Switching *self)
{
    PyObject *body = PyCFunction_New(&work_def, (PyObject *)self);
    if (!body)
        return NULL;
    PyGreenlet *worker = PyGreenlet_New(body, self->root);
    Py_DECREF(body);
    if (!worker)
        return NULL;
    PyObject *back = switch_to(worker);
    if (!back) {
        Py_DECREF(worker);
        return NULL;
    }
    Py_DECREF(back);
    return worker;
}

static PyGreenlet *
pop_worker(Switching *self)
{
    Py_ssize_t count = PyList_GET_SIZE(self->workers);
    if (!count) {
        PyErr_SetString(PyExc_SystemError, "there is no worker");
        return NULL;
    }
    PyGreenlet *worker = (PyGreenlet *)Py_NewRef(PyList_GET_ITEM(self->workers, count - 1));
    if (PyList_SetSlice(self->workers, count - 1, count, NULL) < 0)
        Py_CLEAR(worker);
    return worker;
}

/* A new worker. The root starts it: a greenlet inherits the recursion depth of its starter. */
static PyGreenlet *
hire(Switching *self)
{
    PyGreenlet *me = PyGreenlet_GetCurrent();
    if (!me)
        return NULL;
    if (me == self->root) {
        Py_DECREF(me);
        return start_worker(self);
    }
    Py_XSETREF(self->hirer, me);
    PyObject *back = switch_to(self->root);
    if (!back)
        return NULL;
    Py_DECREF(back);
    return pop_worker(self);
}

/* In the root: somebody asked for a worker, and waits for it. */
static int
serve_hirers(Switching *self)
{
    while (self->hirer) {
        PyGreenlet *hirer = self->hirer;
        self->hirer = NULL;
        PyGreenlet *worker = start_worker(self);
        int kept = worker ? PyList_Append(self->workers, (PyObject *)worker) : -1;
        Py_XDECREF(worker);
        PyObject *back = kept < 0 ? NULL : switch_to(hirer);
        Py_DECREF(hirer);
        if (!back)
            return -1;
        Py_DECREF(back);
    }
    return 0;
}

/* The exception that is set, normalised, with its traceback; takes it. */
static PyObject *
take_error(void)
{
#if PY_VERSION_HEX >= 0x030C0000
    return PyErr_GetRaisedException();
#else
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback);
    PyErr_NormalizeException(&type, &error, &traceback);
    if (traceback)
        PyException_SetTraceback(error, traceback);
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return error;
#endif
}

static void
keep_error(State *coroutine, PyObject *error)
{
    PyObject *trimmed = PyObject_CallOneArg(of.trimmed, error);
    if (!trimmed) {
        PyErr_Clear();
        trimmed = Py_NewRef(error);
    }
    Py_XSETREF(coroutine->error, trimmed);
}

/* Call what is not ours, exposed. */
static PyObject *
call_exposed(Switching *self, State *coroutine, PyObject *fn, PyObject *args, PyObject *kwargs)
{
    set_exposed(self, coroutine);
    PyObject *value = PyObject_Call(fn, args, kwargs);
    set_exposed(self, NULL);
    if (value && struck() < 0)
        Py_CLEAR(value);
    return value;
}

/* The context variables of the greenlet that runs; greenlet itself sets them so at each switch. */
static void
set_context(PyObject *context)
{
    PyThreadState *thread = PyThreadState_Get();
    Py_XINCREF(context);
    Py_XSETREF(thread->context, context);
    thread->context_ver++;
}

static void
run_defer(Switching *self, State *coroutine)
{
    Py_ssize_t count = PyList_GET_SIZE(coroutine->defers);
    PyObject *call = Py_NewRef(PyList_GET_ITEM(coroutine->defers, count - 1));
    PyObject *value = NULL;
    if (PyList_SetSlice(coroutine->defers, count - 1, count, NULL) == 0)
        value = call_exposed(self, coroutine, PyTuple_GET_ITEM(call, 0), PyTuple_GET_ITEM(call, 1),
                             PyTuple_GET_ITEM(call, 2));
    Py_DECREF(call);
    if (value) {
        Py_DECREF(value);
        return;
    }
    PyObject *error = take_error();
    PyObject *context = PyException_GetContext(error);
    if (!context && error != coroutine->error && coroutine->error)
        PyException_SetContext(error, Py_NewRef(coroutine->error));
    Py_XDECREF(context);
    keep_error(coroutine, error);
    Py_DECREF(error);
}

static long long
figure(PyObject *tally, const char *name)
{
    PyObject *number = tally ? PyObject_GetAttrString(tally, name) : NULL;
    long long value = number ? PyLong_AsLongLong(number) : 0;
    Py_XDECREF(number);
    return value;
}

static void
empty_grave(Grave *grave)
{
    GRAVE_OBJECTS(grave, CLEAR)
}

static int
bury(Switching *self, State *coroutine)
{
    PyObject *outcome;
    if (coroutine->error)
        outcome = PyObject_GetAttrString((PyObject *)coroutine, "outcome");
    else if (!coroutine->value || coroutine->value == Py_None)
        outcome = PyUnicode_InternFromString("NoneType");
    else
        outcome = PyObject_GetAttr((PyObject *)Py_TYPE(coroutine->value), str_name);
    if (!outcome)
        return -1;
    Grave *grave = &self->graves[self->buried++ % KEPT_DEAD];
    Grave old = *grave;
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
        .heap_bytes = figure(coroutine->tally, "heap_bytes"),
        .heap_peak = figure(coroutine->tally, "heap_peak"),
        .allocated_total = figure(coroutine->tally, "allocated_total"),
    };
    if (grave->site && PyTuple_Check(grave->site) && PyTuple_GET_SIZE(grave->site) == 2) { /* a Site */
        grave->code = Py_NewRef(PyTuple_GET_ITEM(grave->site, 0));
        grave->instruction = (int)PyLong_AsLong(PyTuple_GET_ITEM(grave->site, 1));
        Py_CLEAR(grave->site);
    }
    empty_grave(&old);
    return 0;
}

/* It has run to its end: tell those who wait for it, and let go of all it held. */
static int
end(Switching *self, State *coroutine)
{
    if (settle(self) < 0)
        PyErr_Clear();
    PyObject *outcome = of.done;
    if (coroutine->error) {
        if (PyErr_GivenExceptionMatches(coroutine->error, of.Cancelled) ||
            PyErr_GivenExceptionMatches(coroutine->error, PyExc_GreenletExit)) {
            outcome = of.cancelled;
            Py_CLEAR(coroutine->error); /* its traceback would hold every frame it passed */
        } else {
            outcome = of.failed;
            self->failures++;
        }
    }
    Py_SETREF(coroutine->state, Py_NewRef(outcome));
    coroutine->ended_at = clock_now(self, self->charged_at);
    coroutine->has_ended = 1;
    if (PyErr_Occurred())
        PyErr_Clear();
    Py_CLEAR(coroutine->greenlet);
    Py_CLEAR(coroutine->context);
    Py_CLEAR(coroutine->interrupts);
    Py_CLEAR(coroutine->defers);
    if (PyDict_DelItem(self->living, coroutine->id) < 0)
        PyErr_Clear();
    if (bury(self, coroutine) < 0)
        return -1;
    if (ledger) {
        PyObject *tally = state_get_tally(coroutine, NULL), *site;
        if (coroutine->site && coroutine->site != Py_None)
            site = Py_NewRef(coroutine->site);
        else if (coroutine->code)
            site = site_of(coroutine->code, coroutine->instruction); /* not kept: it would be the spawner's */
        else
            site = PyUnicode_FromString("?");
        PyObject *done = tally && site ? PyObject_CallMethodObjArgs(of.memory, str_bury, tally, site, NULL) : NULL;
        Py_XDECREF(tally);
        Py_XDECREF(site);
        if (!done)
            return -1;
        Py_DECREF(done);
    }
    PyObject *watchers = coroutine->watchers;
    coroutine->watchers = NULL;
    if (watchers && watchers != Py_None) {
        for (Py_ssize_t i = 0; i < PyList_GET_SIZE(watchers); i++) {
            PyObject *watcher = Py_NewRef(PyList_GET_ITEM(watchers, i));
            PyObject *told = PyObject_CallOneArg(watcher, (PyObject *)coroutine);
            Py_DECREF(watcher);
            if (!told) {
                Py_DECREF(watchers);
                return -1;
            }
            Py_DECREF(told);
        }
    }
    Py_XDECREF(watchers);
    if (outcome == of.failed && !coroutine->observed &&
        PyList_Append(self->unclaimed, (PyObject *)coroutine) < 0)
        return -1;
    set_running(self, NULL);
    return 0;
}

/* Run one coroutine from its first line to its last deferred call. */
static int
run_job(Switching *self)
{
    State *coroutine = self->job;
    PyObject *fn = self->job_fn, *args = self->job_args, *kwargs = self->job_kwargs;
    self->job = NULL;
    self->job_fn = self->job_args = self->job_kwargs = NULL;
    if (ledger && (make_objects() < 0 || charge_switch() < 0))
        PyErr_Clear();
    set_context(coroutine->context);
    PyObject *value = call_exposed(self, coroutine, fn, args, kwargs);
    if (value)
        Py_XSETREF(coroutine->value, value);
    else {
        PyObject *error = take_error();
        keep_error(coroutine, error);
        Py_DECREF(error);
    }
    Py_DECREF(fn);
    Py_DECREF(args);
    Py_XDECREF(kwargs);
    while (coroutine->defers && coroutine->defers != Py_None && PyList_GET_SIZE(coroutine->defers))
        run_defer(self, coroutine);
    int ended = end(self, coroutine);
    Py_DECREF(coroutine);
    return ended;
}

/* The life of a worker: one job after the other, until it is woken without one. */
static PyObject *
switching_work(Switching *self, PyObject *_)
{
    char left;
    PyObject *back = switch_to(self->root);
    if (!back)
        return NULL;
    Py_DECREF(back);
    if (charge_switch() < 0)
        return NULL;
    PyGreenlet *me = PyGreenlet_GetCurrent();
    if (!me)
        return NULL;
    while (self->job) {
        if (run_job(self) < 0)
            goto failed;
        set_context(NULL); /* it would hold what the dead one has set there */
        if (PyList_Append(self->workers, (PyObject *)me) < 0)
            goto failed;
        Py_DECREF(me); /* `workers` holds it, or whoever has taken it from there */
        if (leave(self, self->charged_at, NULL, &left) < 0)
            return NULL;
        Py_INCREF(me);
    }
    Py_DECREF(me);
    Py_RETURN_NONE;
failed:
    Py_DECREF(me);
    return NULL;
}

/* -- spawning */

/* The innermost Python code of a thread, and where it stands in it; NULL if that cannot be told. */
static PyCodeObject *
innermost(PyThreadState *thread, int *instruction)
{
    PyCodeObject *code = NULL;
#if PY_VERSION_HEX < 0x030C0000
    _PyInterpreterFrame *frame = thread->cframe->current_frame;
    if (frame) {
        code = (PyCodeObject *)Py_NewRef(frame->f_code);
        *instruction = _PyInterpreterFrame_LASTI(frame) * (int)sizeof(_Py_CODEUNIT);
    }
#elif PY_VERSION_HEX < 0x030E0000
#if PY_VERSION_HEX < 0x030D0000
    struct _PyInterpreterFrame *frame = thread->cframe->current_frame;
#else
    struct _PyInterpreterFrame *frame = thread->current_frame;
#endif
    if (frame) {
        code = (PyCodeObject *)PyUnstable_InterpreterFrame_GetCode(frame);
        *instruction = PyUnstable_InterpreterFrame_GetLasti(frame);
    }
#endif
    if (code && !PyCode_Check(code))
        Py_CLEAR(code);
    return code;
}

static int
is_ours(PyCodeObject *code)
{
    return PyUnicode_Tailmatch(code->co_filename, of.ours, 0, PY_SSIZE_T_MAX, -1) != 0;
}

/* Note where the innermost Python code stands; a code of ours is looked up the slow way. */
static int
note_site(State *coroutine)
{
    PyCodeObject *code = innermost(PyThreadState_Get(), &coroutine->instruction);
    if (code && !is_ours(code)) {
        coroutine->code = (PyObject *)code;
        return 0;
    }
    Py_XDECREF(code);
    PyObject *nothing = PyLong_FromLong(-1);
    coroutine->site = nothing ? PyObject_CallOneArg(of.calling_site, nothing) : NULL;
    Py_XDECREF(nothing);
    return coroutine->site ? 0 : -1;
}

static PyObject *
name_of(PyObject *fn)
{
    if (PyFunction_Check(fn))
        return Py_NewRef(((PyFunctionObject *)fn)->func_name);
    return PyObject_CallOneArg(of.default_name, fn);
}

static PyObject *checkpoint(Switching *self, PyObject *_);

static int
check_thread(Switching *self, const char *what)
{
    if (PyThread_get_thread_ident() == self->thread_id)
        return 0;
    PyObject *done = PyObject_CallMethod((PyObject *)self, "check_thread", "s", what);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* Make a coroutine of a call; all arguments are borrowed. */
static PyObject *
spawn(Switching *self, PyObject *fn, PyObject *args, PyObject *kwargs, PyObject *name, PyObject *limit, PyObject *site)
{
    if (check_thread(self, "go") < 0)
        return NULL;
    State *spawner = self->running;
    if (spawner) {
        PyObject *done = checkpoint(self, NULL);
        if (!done)
            return NULL;
        Py_DECREF(done);
    }
    if (limit == Py_None)
        limit = NULL;
    if (limit || self->max_coroutines != Py_None) {
        PyObject *done = PyObject_CallMethodOneArg((PyObject *)self, str_check_limits_of_spawn, limit ? limit : Py_None);
        if (!done)
            return NULL;
        Py_DECREF(done);
    }
    if (!PyCallable_Check(fn)) {
        PyErr_Format(PyExc_TypeError, "go takes a function and its arguments, not %R", fn);
        return NULL;
    }
    PyTypeObject *type = (PyTypeObject *)of.Coroutine;
    State *coroutine = (State *)type->tp_alloc(type, 0);
    if (!coroutine)
        return NULL;
    coroutine->scheduler = Py_NewRef(self);
    coroutine->state = Py_NewRef(of.ready);
    coroutine->limit = Py_XNewRef(limit);
    coroutine->parent_id = Py_NewRef(spawner ? spawner->id : Py_None);
    coroutine->id = PyLong_FromSsize_t(self->spawned + 1);
    coroutine->name = name && name != Py_None ? Py_NewRef(name) : name_of(fn);
    double now = perf_counter();
    coroutine->started_at = clock_now(self, now);
    if (!coroutine->id || !coroutine->name || PyErr_Occurred())
        goto failed;
    if (site && site != Py_None)
        coroutine->site = Py_NewRef(site);
    else if (note_site(coroutine) < 0)
        goto failed;
    if (ledger) { /* the handle is the spawner's; what follows is freed by the scheduler */
        PyObject *tally = state_get_tally(coroutine, NULL);
        Py_XDECREF(tally);
        if (!tally || settle(self) < 0)
            goto failed;
    }
    set_exposed(self, NULL);
    if (struck() < 0)
        goto back;
    coroutine->context = PyContext_CopyCurrent();
    PyGreenlet *worker = PyList_GET_SIZE(self->workers) ? pop_worker(self) : hire(self);
    if (!coroutine->context || !worker)
        goto back;
    coroutine->greenlet = (PyObject *)worker;
    if (PyDict_SetItem(self->living, coroutine->id, (PyObject *)coroutine) < 0 || push_caller(self, spawner) < 0)
        goto back;
    self->spawned++;
    if (PyDict_GET_SIZE(self->living) > self->peak)
        self->peak = PyDict_GET_SIZE(self->living);
    self->job = (State *)Py_NewRef(coroutine);
    self->job_fn = Py_NewRef(fn);
    self->job_args = Py_NewRef(args);
    self->job_kwargs = Py_XNewRef(kwargs);
    char left = 0;
    if (charge_switch() < 0 || leave(self, now, (State *)Py_NewRef(coroutine), &left) < 0) {
        if (!left) { /* it has not begun */
            PyObject *error = take_error();
            PyDict_DelItem(self->living, coroutine->id);
            Py_XDECREF(self->callers[--self->callers_count]);
            PyList_Append(self->workers, (PyObject *)worker);
            Py_CLEAR(self->job);
            Py_CLEAR(self->job_fn);
            Py_CLEAR(self->job_args);
            Py_CLEAR(self->job_kwargs);
            PyErr_SetObject((PyObject *)Py_TYPE(error), error);
            Py_DECREF(error);
        }
        goto back;
    }
    set_exposed(self, spawner);
    if (!spawner && serve_hirers(self) < 0)
        goto failed;
    return (PyObject *)coroutine;
back:
    set_exposed(self, spawner);
failed:
    Py_DECREF(coroutine);
    return NULL;
}

static PyObject *
switching_go(Switching *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"fn", "args", "kwargs", "name", "memory_limit", "spawned_at", NULL};
    PyObject *fn, *fn_args = NULL, *fn_kwargs = NULL, *name = NULL, *limit = NULL, *site = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O!O$OOO:go", names, &fn, &PyTuple_Type, &fn_args, &fn_kwargs,
                                     &name, &limit, &site))
        return NULL;
    if (fn_kwargs == Py_None)
        fn_kwargs = NULL;
    PyObject *none = fn_args ? NULL : PyTuple_New(0);
    PyObject *coroutine = spawn(self, fn, fn_args ? fn_args : none, fn_kwargs, name, limit, site);
    Py_XDECREF(none);
    return coroutine;
}

/* -- waiting */

static int
is_limited(Switching *self, State *me)
{
    return me->limit || self->memory_limit != Py_None;
}

/* Where exceptions that were meant for `me` while it ran are raised. */
static inline int
safe_point(Switching *self, State *me)
{
    PyObject *interrupts = me->interrupts;
    if ((interrupts && interrupts != Py_None && PyList_GET_SIZE(interrupts)) || is_limited(self, me))
        return call_python(self, str_safe_point, me);
    return 0;
}

static int
make_ready(Switching *self, State *coroutine)
{
    if (ring_push(&self->ready, coroutine) < 0)
        return -1;
    Py_SETREF(coroutine->state, Py_NewRef(of.ready));
    Py_CLEAR(coroutine->verb);
    Py_CLEAR(coroutine->subject);
    return 0;
}

static PyObject *
park(Switching *self, PyObject *verb, PyObject *subject, PyObject *timeout_s)
{
    State *me = self->running;
    if (!me) {
        PyErr_SetString(of.NotRunning, "only a coroutine can wait: call this inside coloop.run(main) or go(...)");
        return NULL;
    }
    if (safe_point(self, me) < 0)
        return NULL;
    Py_INCREF(me);
    PyObject *timer = NULL;
    char left = 0;
    set_exposed(self, NULL);
    int done = struck();
    if (done == 0) {
        double now = perf_counter();
        if (timeout_s != Py_None) {
            PyObject *expire = PyObject_GetAttr((PyObject *)self, str_expire);
            timer = expire ? PyObject_CallMethodObjArgs((PyObject *)self, str_call_later, timeout_s, expire, me, verb,
                                                        subject, timeout_s, NULL)
                           : NULL;
            Py_XDECREF(expire);
        }
        if (timeout_s != Py_None && !timer)
            done = -1;
        else {
            Py_SETREF(me->state, Py_NewRef(of.waiting));
            Py_XSETREF(me->verb, Py_NewRef(verb));
            Py_XSETREF(me->subject, Py_NewRef(subject));
            done = leave(self, now, NULL, &left);
            if (done < 0 && PyErr_ExceptionMatches(PyExc_Exception)) { /* it could not leave */
                Py_SETREF(me->state, Py_NewRef(of.ready));
                Py_CLEAR(me->verb);
                Py_CLEAR(me->subject);
            }
        }
    }
    if (timer) {
        PyObject *error = done < 0 ? take_error() : NULL;
        PyObject *cancelled = PyObject_CallMethodNoArgs(timer, str_cancel);
        Py_DECREF(timer);
        if (!cancelled)
            done = -1;
        Py_XDECREF(cancelled);
        if (error) {
            PyErr_SetObject((PyObject *)Py_TYPE(error), error);
            Py_DECREF(error);
        }
    }
    set_exposed(self, me);
    PyObject *value = NULL;
    if (done == 0) {
        PyObject *error = me->raise;
        me->raise = NULL;
        if (error && error != Py_None) {
            PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        } else {
            value = me->value ? me->value : Py_NewRef(Py_None);
            me->value = NULL;
        }
        Py_XDECREF(error);
    }
    Py_DECREF(me);
    return value;
}

static PyObject *
switching_park(Switching *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    static const char *const parameters[] = {"verb", "subject", "timeout_s"};
    PyObject *given[3] = {NULL, Py_None, Py_None};
    Py_ssize_t named = names ? PyTuple_GET_SIZE(names) : 0;
    if (count + named < 1 || count + named > 3)
        goto misused;
    for (Py_ssize_t i = 0; i < count; i++)
        given[i] = args[i];
    for (Py_ssize_t i = 0; i < named; i++) {
        int place = 0;
        while (place < 3 && PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, i), parameters[place]) != 0)
            place++;
        if (place == 3 || place < count)
            goto misused;
        given[place] = args[count + i];
    }
    if (given[0])
        return park(self, given[0], given[1], given[2]);
misused:
    PyErr_SetString(PyExc_TypeError, "park takes a verb, a subject and timeout_s");
    return NULL;
}

static PyObject *
switching_wake(Switching *self, PyObject *const *args, Py_ssize_t count)
{
    if (count < 1 || count > 2 || !IS_STATE(args[0])) {
        PyErr_SetString(PyExc_TypeError, "wake takes a coroutine and a value");
        return NULL;
    }
    State *coroutine = (State *)args[0];
    if (coroutine->state != of.waiting)
        Py_RETURN_FALSE;
    Py_XSETREF(coroutine->value, Py_NewRef(count > 1 ? args[1] : Py_None));
    if (make_ready(self, coroutine) < 0)
        return NULL;
    Py_RETURN_TRUE;
}

static PyObject *
switching_interrupt(Switching *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2 || !IS_STATE(args[0])) {
        PyErr_SetString(PyExc_TypeError, "interrupt takes a coroutine and an exception");
        return NULL;
    }
    State *coroutine = (State *)args[0];
    if (coroutine->state == of.waiting) {
        Py_XSETREF(coroutine->raise, Py_NewRef(args[1]));
        if (make_ready(self, coroutine) < 0)
            return NULL;
    } else if (!coroutine->has_ended) {
        if (!coroutine->interrupts || coroutine->interrupts == Py_None)
            Py_XSETREF(coroutine->interrupts, PyList_New(0));
        if (!coroutine->interrupts || PyList_Append(coroutine->interrupts, args[1]) < 0)
            return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
yield_now(Switching *self, PyObject *_)
{
    State *me = self->running;
    if (!me) {
        PyErr_SetString(of.NotRunning, "only a coroutine can yield: call this inside coloop.run(main) or go(...)");
        return NULL;
    }
    if (safe_point(self, me) < 0)
        return NULL;
    Py_INCREF(me);
    char left = 0;
    set_exposed(self, NULL);
    int done = struck();
    if (done == 0 && (done = ring_push(&self->ready, me)) == 0) {
        done = leave(self, perf_counter(), NULL, &left);
        if (done < 0 && !left)
            Py_DECREF(ring_pop_at(&self->ready, self->ready.count - 1));
    }
    set_exposed(self, me);
    Py_DECREF(me);
    if (done < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* For operations that succeed without waiting: yield when many of them came in a row. */
static PyObject *
checkpoint(Switching *self, PyObject *_)
{
    State *me = self->running;
    self->slice_left--;
    if (!me)
        Py_RETURN_NONE;
    if (self->slice_left <= 0)
        return yield_now(self, NULL);
    if (is_limited(self, me) && call_python(self, str_check_limits, me) < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* -- for the root */

static PyObject *
switching_run_slice(Switching *self, PyObject *_)
{
    char left;
    self->slice_left = SLICE_SWITCHES;
    double now = perf_counter();
    self->slice_end = now + SLICE_S;
    if (leave(self, now, NULL, &left) < 0 || serve_hirers(self) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *
switching_dismiss_workers(Switching *self, PyObject *kept)
{
    Py_ssize_t limit = PyLong_AsSsize_t(kept);
    if (limit < 0 && PyErr_Occurred())
        return NULL;
    while (PyList_GET_SIZE(self->workers) > limit) {
        PyGreenlet *worker = pop_worker(self);
        if (!worker)
            return NULL;
        Py_CLEAR(self->job);
        PyObject *back = switch_to(worker);
        Py_DECREF(worker);
        if (!back)
            return NULL;
        Py_DECREF(back);
    }
    Py_RETURN_NONE;
}

static PyObject *
switching_settle(Switching *self, PyObject *_)
{
    if (settle(self) < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* Never schedule it again: it ignored every request to end. What it holds stays where it is. */
static PyObject *
switching_abandon(Switching *self, PyObject *victim)
{
    if (!IS_STATE(victim)) {
        PyErr_SetString(PyExc_TypeError, "abandon takes a coroutine");
        return NULL;
    }
    State *coroutine = (State *)victim;
    if (coroutine->has_ended || coroutine == self->running)
        Py_RETURN_NONE;
    for (Py_ssize_t place = 0; place < self->ready.count; place++)
        if (self->ready.items[(self->ready.first + place) & (self->ready.size - 1)] == coroutine) {
            Py_DECREF(ring_pop_at(&self->ready, place));
            break;
        }
    /* Freeing a greenlet raises GreenletExit in it. Whoever swallows that runs on, here, for ever. */
    Py_XINCREF(coroutine->greenlet);
    PyObject *error = PyObject_CallFunction(of.Killed, "s", "abandoned");
    if (!error)
        return NULL;
    Py_XSETREF(coroutine->error, error);
    if (settle(self) < 0)
        return NULL;
    State *running = self->running;
    self->running = NULL;
    int ended = end(self, coroutine);
    self->running = running;
    if (ended < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* -- what it is made of, and what can be seen of it */

static int
load_names(void)
{
    if (of.memory)
        return 0;
    static const struct {
        PyObject **into;
        const char *module, *name;
    } names[] = {
        {&of.ready, "coloop._coroutine_state", "READY"},
        {&of.waiting, "coloop._coroutine_state", "WAITING"},
        {&of.done, "coloop._coroutine_state", "DONE"},
        {&of.failed, "coloop._coroutine_state", "FAILED"},
        {&of.cancelled, "coloop._coroutine_state", "CANCELLED"},
        {&of.default_name, "coloop._coroutine", "default_name"},
        {&of.Coroutine, "coloop._coroutine", "Coroutine"},
        {&of.Cancelled, "coloop._errors", "Cancelled"},
        {&of.Killed, "coloop._errors", "Killed"},
        {&of.NotRunning, "coloop._errors", "NotRunning"},
        {&of.trimmed, "coloop._frames", "trimmed"},
        {&of.calling_site, "coloop._frames", "calling_site"},
        {&of.make_callers_objects, "coloop._frames", "make_callers_objects"},
        {&of.Site, "coloop._frames", "Site"},
        {&of.ours, "coloop._frames", "OURS"},
        {&of.Tally, "coloop._memory", "Tally"},
        {&of.MonotonicClock, "coloop._clock", "MonotonicClock"},
        {&of.memory, "coloop._memory", "memory"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        PyObject *module = PyImport_ImportModule(names[i].module);
        *names[i].into = module ? PyObject_GetAttrString(module, names[i].name) : NULL;
        Py_XDECREF(module);
        if (!*names[i].into)
            return -1;
    }
    return 0;
}

static int
switching_init(Switching *self, PyObject *args, PyObject *kwargs)
{
    PyObject *clock, *dice, *max_coroutines, *memory_limit;
    if (load_names() < 0 || !PyArg_ParseTuple(args, "OOOO", &clock, &dice, &max_coroutines, &memory_limit))
        return -1;
    Py_XSETREF(self->clock, Py_NewRef(clock));
    self->is_monotonic = (PyObject *)Py_TYPE(clock) == of.MonotonicClock;
    Py_XSETREF(self->max_coroutines, Py_NewRef(max_coroutines));
    Py_XSETREF(self->memory_limit, Py_NewRef(memory_limit));
    Py_XSETREF(self->living, PyDict_New());
    Py_XSETREF(self->workers, PyList_New(0));
    Py_XSETREF(self->unclaimed, PyList_New(0));
    Py_XSETREF(self->root, PyGreenlet_GetCurrent());
    if (!self->living || !self->workers || !self->unclaimed || !self->root)
        return -1;
    Py_XSETREF(self->dice, dice == Py_None ? NULL : Py_NewRef(dice));
    self->thread_id = PyThread_get_thread_ident();
    self->running_since = self->charged_at = perf_counter();
    return 0;
}

#define SWITCHING_OBJECTS(what)                                                                               \
    what(self->dict) what(self->clock) what(self->living) what(self->workers) what(self->unclaimed)           \
    what(self->dice) what(self->max_coroutines) what(self->memory_limit) what(self->running)                \
    what(self->exposed) what(self->root) what(self->hirer) what(self->job) what(self->job_fn)                 \
    what(self->job_args) what(self->job_kwargs)

static int
switching_traverse(Switching *self, visitproc visit, void *arg)
{
    SWITCHING_OBJECTS(VISIT)
    for (Py_ssize_t i = 0; i < self->ready.count; i++)
        Py_VISIT(self->ready.items[(self->ready.first + i) & (self->ready.size - 1)]);
    for (Py_ssize_t i = 0; i < self->callers_count; i++)
        Py_VISIT(self->callers[i]);
    for (Py_ssize_t i = 0; i < KEPT_DEAD; i++) {
        Grave *grave = &self->graves[i];
        GRAVE_OBJECTS(grave, VISIT)
    }
    return 0;
}

static int
switching_clear(Switching *self)
{
    SWITCHING_OBJECTS(CLEAR)
    while (self->ready.count)
        Py_DECREF(ring_pop(&self->ready));
    while (self->callers_count)
        Py_XDECREF(self->callers[--self->callers_count]);
    for (Py_ssize_t i = 0; i < KEPT_DEAD; i++)
        empty_grave(&self->graves[i]);
    return 0;
}

static void
switching_dealloc(Switching *self)
{
    PyObject_GC_UnTrack(self);
    if (self->weakrefs)
        PyObject_ClearWeakRefs((PyObject *)self);
    switching_clear(self);
    PyMem_Free(self->ready.items);
    PyMem_Free(self->callers);
    Py_TYPE(self)->tp_free(self);
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
static PyObject *
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

static PyObject *
switching_get_ready_count(Switching *self, void *_)
{
    return PyLong_FromSsize_t(self->ready.count);
}

static PyGetSetDef switching_getset[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {"graves", (getter)switching_get_graves, NULL, NULL, NULL},
    {"ready_count", (getter)switching_get_ready_count, NULL, NULL, NULL},
    {NULL},
};

#define FIELD(name, kind, field) {name, kind, offsetof(Switching, field), 0, NULL}

static PyMemberDef switching_members[] = {
    FIELD("clock", T_OBJECT, clock),
    FIELD("living", T_OBJECT, living),
    FIELD("running", T_OBJECT, running),
    FIELD("exposed", T_OBJECT, exposed),
    FIELD("max_coroutines", T_OBJECT, max_coroutines),
    FIELD("memory_limit", T_OBJECT, memory_limit),
    FIELD("spawned", T_PYSSIZET, spawned),
    FIELD("peak", T_PYSSIZET, peak),
    FIELD("failures", T_PYSSIZET, failures),
    FIELD("switches", T_PYSSIZET, switches),
    FIELD("running_since", T_DOUBLE, running_since),
    FIELD("charged_at", T_DOUBLE, charged_at),
    FIELD("thread_id", T_ULONG, thread_id),
    FIELD("_slice_left", T_PYSSIZET, slice_left),
    FIELD("_workers", T_OBJECT, workers),
    FIELD("_unclaimed", T_OBJECT, unclaimed),
    FIELD("_root", T_OBJECT, root),
    FIELD("__dictoffset__", T_PYSSIZET, dict),
    FIELD("__weaklistoffset__", T_PYSSIZET, weakrefs),
    {NULL},
};

static PyMethodDef switching_methods[] = {
    {"go", (PyCFunction)(void (*)(void))switching_go, METH_VARARGS | METH_KEYWORDS, NULL},
    {"park", (PyCFunction)(void (*)(void))switching_park, METH_FASTCALL | METH_KEYWORDS, NULL},
    {"wake", (PyCFunction)(void (*)(void))switching_wake, METH_FASTCALL, NULL},
    {"interrupt", (PyCFunction)(void (*)(void))switching_interrupt, METH_FASTCALL, NULL},
    {"yield_now", (PyCFunction)yield_now, METH_NOARGS, NULL},
    {"checkpoint", (PyCFunction)checkpoint, METH_NOARGS, NULL},
    {"run_slice", (PyCFunction)switching_run_slice, METH_NOARGS, NULL},
    {"dismiss_workers", (PyCFunction)switching_dismiss_workers, METH_O, NULL},
    {"settle", (PyCFunction)switching_settle, METH_NOARGS, NULL},
    {"abandon", (PyCFunction)switching_abandon, METH_O, NULL},
    {NULL},
};

static PyTypeObject SwitchingType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "coloop._native.Switching",
    .tp_basicsize = sizeof(Switching),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_doc = "The coroutines of one thread, and which of them runs: see `_switching.py`.",
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)switching_init,
    .tp_dealloc = (destructor)switching_dealloc,
    .tp_traverse = (traverseproc)switching_traverse,
    .tp_clear = (inquiry)switching_clear,
    .tp_members = switching_members,
    .tp_getset = switching_getset,
    .tp_methods = switching_methods,
    .tp_dictoffset = offsetof(Switching, dict),
    .tp_weaklistoffset = offsetof(Switching, weakrefs),
};

/* -- the module ------------------------------------------------------------------------------------------ */

static PyObject *
native_set_current(PyObject *_, PyObject *scheduler)
{
    Py_XSETREF(current, scheduler == Py_None ? NULL : Py_NewRef(scheduler));
    Py_RETURN_NONE;
}

static PyObject *
native_scheduler_or_none(PyObject *_, PyObject *__)
{
    return Py_NewRef(current ? current : Py_None);
}

static PyObject *
no_scheduler(void)
{
    PyObject *module = PyImport_ImportModule("coloop._scheduler"); /* it has the words for it */
    PyObject *never = module ? PyObject_CallMethod(module, "current_scheduler", NULL) : NULL;
    Py_XDECREF(module);
    Py_XDECREF(never);
    return NULL;
}

static PyObject *
native_go(PyObject *_, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    if (!current)
        return no_scheduler();
    if (count < 1) {
        PyErr_SetString(PyExc_TypeError, "go takes a function and its arguments");
        return NULL;
    }
    PyObject *name = NULL, *limit = NULL, *kwargs = NULL, *coroutine = NULL;
    PyObject *rest = PyTuple_New(count - 1);
    if (!rest)
        return NULL;
    for (Py_ssize_t i = 1; i < count; i++)
        PyTuple_SET_ITEM(rest, i - 1, Py_NewRef(args[i]));
    for (Py_ssize_t i = 0; names && i < PyTuple_GET_SIZE(names); i++) {
        PyObject *keyword = PyTuple_GET_ITEM(names, i), *value = args[count + i];
        if (PyUnicode_CompareWithASCIIString(keyword, "name") == 0)
            name = value;
        else if (PyUnicode_CompareWithASCIIString(keyword, "memory_limit") == 0)
            limit = value;
        else if ((!kwargs && !(kwargs = PyDict_New())) || PyDict_SetItem(kwargs, keyword, value) < 0)
            goto done;
    }
    Switching *here = (Switching *)Py_NewRef(current);
    coroutine = spawn(here, args[0], rest, kwargs, name, limit, NULL);
    Py_DECREF(here);
done:
    Py_DECREF(rest);
    Py_XDECREF(kwargs);
    return coroutine;
}

static PyObject *
native_yield_now(PyObject *_, PyObject *__)
{
    return current ? yield_now((Switching *)current, NULL) : no_scheduler();
}

static PyObject *
native_running(PyObject *_, PyObject *__)
{
    Switching *here = (Switching *)current;
    return Py_NewRef(here && here->running ? (PyObject *)here->running : Py_None);
}

static PyObject *
native_shoot(PyObject *_, PyObject *const *args, Py_ssize_t count)
{
    if (count != 3 || !PyObject_TypeCheck(args[0], &SwitchingType)) {
        PyErr_SetString(PyExc_TypeError, "shoot takes a scheduler, a coroutine and an exception class");
        return NULL;
    }
    Switching *self = (Switching *)args[0];
    if ((PyObject *)self->exposed != args[1])
        Py_RETURN_FALSE;
    PyThreadState *thread = PyInterpreterState_ThreadHead(PyInterpreterState_Get());
    while (thread && thread->thread_id != self->thread_id)
        thread = PyThreadState_Next(thread);
    int instruction;
    PyCodeObject *code = thread ? innermost(thread, &instruction) : NULL;
    int hit = code && !is_ours(code);
    Py_XDECREF(code);
    if (hit)
        PyThreadState_SetAsyncExc(self->thread_id, args[2]);
    return PyBool_FromLong(hit);
}

static PyObject *
native_set_ledger(PyObject *_, PyObject *given)
{
    Py_XSETREF(ledger, given == Py_None ? NULL : Py_NewRef(given));
    Py_RETURN_NONE;
}

PyDoc_STRVAR(go_doc, "go($module, fn, /, *args, name=None, memory_limit=None, **kwargs)\n--\n\n"
"Start `fn(*args, **kwargs)` now: it runs at once until it first parks or ends, then `go` returns.\n\n"
"Args:\n"
"    fn: a plain function.\n"
"    *args: its positional arguments.\n"
"    name: the coroutine's name; the function's own by default.\n"
"    memory_limit: heap bytes above which it gets `MemoryLimitExceeded`; needs level `heap`.\n"
"    **kwargs: its keyword arguments.\n\n"
"Raises:\n"
"    NotRunning: no scheduler runs on this thread.\n"
"    TooManyCoroutines: `max_coroutines` live already.");
PyDoc_STRVAR(yield_now_doc, "yield_now($module, /)\n--\n\nLet the other ready coroutines run, then go on.");
PyDoc_STRVAR(current_doc, "current($module, /)\n--\n\nThe coroutine that runs; None outside of one.");

static PyMethodDef module_methods[] = {
    {"set_current", native_set_current, METH_O, NULL},
    {"scheduler_or_none", native_scheduler_or_none, METH_NOARGS, NULL},
    {"set_ledger", native_set_ledger, METH_O, NULL},
    {"shoot", (PyCFunction)(void (*)(void))native_shoot, METH_FASTCALL, NULL},
    {"go", (PyCFunction)(void (*)(void))native_go, METH_FASTCALL | METH_KEYWORDS, go_doc},
    {"yield_now", native_yield_now, METH_NOARGS, yield_now_doc},
    {"current", native_running, METH_NOARGS, current_doc},
    {NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, .m_name = "coloop._native",
    .m_doc = "The native form of the hot path: see `_native.pyi`.", .m_size = -1, .m_methods = module_methods,
};

PyMODINIT_FUNC
PyInit__native(void)
{
    static const struct {
        PyObject **into;
        const char *text;
    } strings[] = {
        {&str_cancel, "cancel"}, {&str_call_later, "call_later"},
        {&str_expire, "expire"}, {&str_safe_point, "safe_point"}, {&str_check_limits, "check_limits"},
        {&str_check_limits_of_spawn, "check_limits_of_spawn"}, {&str_settle, "settle"},
        {&str_outside, "outside"}, {&str_bury, "bury"}, {&str_name, "__name__"}, {&str_now, "now"},
    };
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
        if (!(*strings[i].into = PyUnicode_InternFromString(strings[i].text)))
            return NULL;
    PyGreenlet_Import();
    if (!_PyGreenlet_API || PyType_Ready(&StateType) < 0 || PyType_Ready(&SwitchingType) < 0)
        return NULL;
    PyObject *made = PyModule_Create(&module);
    if (!made || PyModule_AddObjectRef(made, "CoroutineState", (PyObject *)&StateType) < 0 ||
        PyModule_AddObjectRef(made, "Switching", (PyObject *)&SwitchingType) < 0)
        return NULL;
    return made;
}
