/* Who runs next, and the only file that switches greenlets. See `_switching.py`. */

#include "native.h"
#include "docs.h"
#include "greenlet.h"

static int
ring_push(Ring *ring, State *item)
{
    if (ring->count == ring->size) {
        Py_ssize_t size = ring->size ? ring->size * 2 : 64;
        Account *payer = scheduler_pays();
        State **items = PyMem_New(State *, size);
        pays_again(payer);
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
State *
ring_pop_at(Ring *ring, Py_ssize_t place)
{
    Py_ssize_t mask = ring->size - 1;
    State *item = ring->items[(ring->first + place) & mask];
    for (Py_ssize_t i = place; i + 1 < ring->count; i++)
        ring->items[(ring->first + i) & mask] = ring->items[(ring->first + i + 1) & mask];
    ring->count--;
    return item;
}

/* The scheduler's clock, given what `perf_counter` said a moment ago: `time.monotonic` reads the same clock. */
double
clock_now(Switching *self, double now)
{
    if (self->is_monotonic)
        return now;
    PyObject *told = PyObject_CallMethodNoArgs(self->clock, str.now);
    if (!told)
        return -1.0;
    double seconds = PyFloat_AsDouble(told);
    Py_DECREF(told);
    return seconds;
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
    PyObject *count = PyLong_FromSsize_t(self->ready.count);
    PyObject *place = count ? PyObject_CallMethodOneArg(self->dice, str.randrange, count) : NULL;
    Py_XDECREF(count);
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

int
push_caller(Switching *self, State *caller)
{
    if (self->callers_count == self->callers_size) {
        Py_ssize_t size = self->callers_size ? self->callers_size * 2 : 16;
        Account *payer = scheduler_pays();
        State **grown = PyMem_Realloc(self->callers, size * sizeof *grown);
        pays_again(payer);
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

/* When it is back, the scheduler pays. */
PyObject *
switch_to(PyObject *greenlet)
{
    Py_INCREF(greenlet);
    stacks_pay();
    PyObject *back = PyGreenlet_Switch((PyGreenlet *)greenlet, NULL, NULL);
    scheduler_pays();
    Py_DECREF(greenlet);
    return back;
}

/* Charge the one that has run until `now`; switch to `target` (stolen) or, if that is NULL, to whose turn it
   is. -1 with `*left` 0: it could not leave, and nothing was taken out of a queue. */
int
leave(Switching *self, double now, State *target, char *left)
{
    State *me = self->running;
    *left = 0;
    if (me)
        me->busy_s += now - self->charged_at;
    self->charged_at = self->running_since = now;
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
            self->turn_left = TURN_OPERATIONS;
        }
    }
    *left = 1;
    if (target == me && me) {
        Py_DECREF(target);
        return 0;
    }
    PyObject *worker = self->root;
    if (target) {
        target->switches++;
        worker = target->greenlet;
    }
    self->switches++;
    Py_XSETREF(self->running, target); /* stolen */
    PyObject *back = switch_to(worker);
    running_pays(self);
    Py_XDECREF(back);
    return back ? 0 : -1;
}

/* -- waiting */

static int
is_limited(Switching *self, State *me)
{
    return me->limit || self->limit != Py_None;
}

/* Where exceptions that were meant for `me` while it ran are raised. */
static inline int
safe_point(Switching *self, State *me)
{
    PyObject *interrupts = me->interrupts;
    if ((interrupts && interrupts != Py_None && PyList_GET_SIZE(interrupts)) || is_limited(self, me))
        return call_python(self, str.safe_point, me);
    return 0;
}

int
make_ready(Switching *self, State *coroutine)
{
    if (ring_push(&self->ready, coroutine) < 0)
        return -1;
    Py_SETREF(coroutine->state, Py_NewRef(of.ready));
    Py_CLEAR(coroutine->verb);
    Py_CLEAR(coroutine->subject);
    return 0;
}

/* The frames of a greenlet lie in chunks of its own, and the first is there until its end: who stands in that is known
   at once, without a call of greenlet's. */
int
ask_greenlet(Switching *self, State *me, PyThreadState *thread)
{
    PyObject *here = (PyObject *)PyGreenlet_GetCurrent();
    Py_XDECREF(here); /* it runs: that holds it */
    if (here != me->greenlet) {
        PyObject *never = PyObject_CallMethod((PyObject *)self, "refuse_the_stranger", NULL); /* it has the words */
        Py_XDECREF(never);
        return -1;
    }
    if (thread->datastack_chunk && !thread->datastack_chunk->previous)
        me->first_chunk = thread->datastack_chunk;
    return 0;
}

PyObject *
park(Switching *self, PyObject *verb, PyObject *subject, PyObject *timeout_s)
{
    if (check_here(self, "park") < 0 || check_collector(self) < 0)
        return NULL;
    State *me = self->running;
    if (!me) {
        PyErr_SetString(of.NotRunning, "only a coroutine can wait: call this inside coloop.run(main) or go(...)");
        return NULL;
    }
    PyThreadState *thread = PyThreadState_Get();
    if (check_greenlet(self, me, thread) < 0 || safe_point(self, me) < 0)
        return NULL;
    Py_INCREF(me);
    Timer *timer = NULL;
    char left = 0;
    set_exposed(self, NULL);
    int done = struck_on(thread);
    if (done == 0) {
        double now = perf_counter();
        if (timeout_s != Py_None) {
            PyObject *args[] = {(PyObject *)me, verb, subject, timeout_s};
            timer = set_timer(self, now, timeout_s, "timeout", self->expirer, args, 4);
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
        timer_cancel(timer);
        Py_DECREF(timer);
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

/* The wait of `coroutine`, which waits, ends with `value`. */
int
wake(Switching *self, State *coroutine, PyObject *value)
{
    Py_XSETREF(coroutine->value, Py_NewRef(value));
    return make_ready(self, coroutine);
}

/* Raise `error` at the wait of `coroutine`, or at its next one. */
int
interrupt(Switching *self, State *coroutine, PyObject *error)
{
    if (coroutine->state == of.waiting) {
        Py_XSETREF(coroutine->raise, Py_NewRef(error));
        return make_ready(self, coroutine);
    }
    if (coroutine->has_ended)
        return 0;
    if (!coroutine->interrupts || coroutine->interrupts == Py_None)
        Py_XSETREF(coroutine->interrupts, PyList_New(0));
    return coroutine->interrupts ? PyList_Append(coroutine->interrupts, error) : -1;
}

static PyObject *
switching_wake(Switching *self, PyObject *const *args, Py_ssize_t count)
{
    if (count < 1 || count > 2 || !IS_STATE(args[0])) {
        PyErr_SetString(PyExc_TypeError, "wake takes a coroutine and a value");
        return NULL;
    }
    if (check_here(self, "wake") < 0)
        return NULL;
    State *coroutine = (State *)args[0];
    if (coroutine->state != of.waiting)
        Py_RETURN_FALSE;
    if (wake(self, coroutine, count > 1 ? args[1] : Py_None) < 0)
        return NULL;
    Py_RETURN_TRUE;
}

static PyObject *
switching_wake_each(Switching *self, PyObject *waiters)
{
    if (!PyList_Check(waiters)) {
        PyErr_SetString(PyExc_TypeError, "wake_each takes a list of coroutines");
        return NULL;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(waiters); i++) {
        PyObject *waiter = PyList_GET_ITEM(waiters, i), *woken = switching_wake(self, &waiter, 1);
        if (!woken)
            return NULL;
        Py_DECREF(woken);
    }
    Py_RETURN_NONE;
}

static PyObject *
switching_interrupt(Switching *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2 || !IS_STATE(args[0])) {
        PyErr_SetString(PyExc_TypeError, "interrupt takes a coroutine and an exception");
        return NULL;
    }
    if (check_here(self, "interrupt") < 0 || interrupt(self, (State *)args[0], args[1]) < 0)
        return NULL;
    Py_RETURN_NONE;
}

PyObject *
yield_now(Switching *self, PyObject *_)
{
    if (check_here(self, "yield_now") < 0 || check_collector(self) < 0)
        return NULL;
    State *me = self->running;
    if (!me) {
        PyErr_SetString(of.NotRunning, "only a coroutine can yield: call this inside coloop.run(main) or go(...)");
        return NULL;
    }
    PyThreadState *thread = PyThreadState_Get();
    if (check_greenlet(self, me, thread) < 0 || safe_point(self, me) < 0)
        return NULL;
    Py_INCREF(me);
    char left = 0;
    set_exposed(self, NULL);
    int done = struck_on(thread);
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
PyObject *
checkpoint(Switching *self, PyObject *_)
{
    State *me = self->running;
    if (!me || self->collecting)
        Py_RETURN_NONE;
    if (--self->turn_left <= 0)
        return yield_now(self, NULL);
    if (is_limited(self, me) && call_python(self, str.check_limits, me) < 0)
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
    int done = leave(self, now, NULL, &left) < 0 || serve_hirers(self) < 0 ? -1 : 0;
    running_pays(self);
    if (done < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *
switching_settle(Switching *self, PyObject *_)
{
    settle(self);
    Py_RETURN_NONE;
}

/* -- what it is made of, and what can be seen of it */

static int
switching_init(Switching *self, PyObject *args, PyObject *kwargs)
{
    PyObject *clock, *dice, *max_coroutines, *limit;
    if (load_names() < 0 || !PyArg_ParseTuple(args, "OOOO", &clock, &dice, &max_coroutines, &limit))
        return -1;
    Py_XSETREF(self->clock, Py_NewRef(clock));
    self->is_monotonic = (PyObject *)Py_TYPE(clock) == of.MonotonicClock;
    Py_XSETREF(self->max_coroutines, Py_NewRef(max_coroutines));
    if (check_limit(limit) < 0)
        return -1;
    Py_XSETREF(self->limit, Py_NewRef(limit));
    Py_XSETREF(self->living, PyDict_New());
    Py_XSETREF(self->unclaimed, PyList_New(0));
    Py_XSETREF(self->root, (PyObject *)PyGreenlet_GetCurrent());
    Py_XSETREF(self->timers, (Timers *)PyObject_CallNoArgs((PyObject *)&TimersType));
    Py_XSETREF(self->waker, PyObject_GetAttr((PyObject *)self, str.wake));
    Py_XSETREF(self->expirer, PyObject_GetAttr((PyObject *)self, str.expire));
    if (!self->living || !self->unclaimed || !self->root || !self->timers || !self->waker || !self->expirer)
        return -1;
    Py_XSETREF(self->dice, dice == Py_None ? NULL : Py_NewRef(dice));
    self->thread_id = PyThread_get_thread_ident();
    self->running_since = self->charged_at = perf_counter();
    return 0;
}

int
check_thread(Switching *self, const char *what)
{
    if (PyThread_get_thread_ident() == self->thread_id)
        return 0;
    PyObject *done = PyObject_CallMethod((PyObject *)self, "check_thread", "s", what);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

#define SWITCHING_OBJECTS(what)                                                                               \
    what(self->dict) what(self->clock) what(self->living) what(self->unclaimed)           \
    what(self->dice) what(self->max_coroutines) what(self->limit) what(self->running)                       \
    what(self->exposed) what(self->root) what(self->hirer) what(self->job) what(self->job_fn)                 \
    what(self->job_args) what(self->job_kwargs) what(self->timers) what(self->waker) what(self->expirer)    \
    what(self->sockets)

static int
switching_traverse(Switching *self, visitproc visit, void *arg)
{
    SWITCHING_OBJECTS(VISIT)
    for (Py_ssize_t i = 0; i < self->ready.count; i++)
        Py_VISIT(self->ready.items[(self->ready.first + i) & (self->ready.size - 1)]);
    for (Py_ssize_t i = 0; i < self->callers_count; i++)
        Py_VISIT(self->callers[i]);
    for (Py_ssize_t i = 0; i < self->idle_count; i++)
        Py_VISIT(self->idle[i]);
    for (Py_ssize_t i = 0; i < KEPT_DEAD; i++) {
        if (traverse_grave(&self->graves[i], visit, arg))
            return -1;
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
    while (self->idle_count)
        Py_DECREF(self->idle[--self->idle_count]);
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
    PyMem_Free(self->idle);
    Py_TYPE(self)->tp_free(self);
}

static PyObject *
switching_get_ready_count(Switching *self, void *_)
{
    return PyLong_FromSsize_t(self->ready.count);
}

static PyObject *
switching_get_idle_workers(Switching *self, void *_)
{
    return PyLong_FromSsize_t(self->idle_count);
}

static PyObject *
switching_get_limit(Switching *self, void *_)
{
    return Py_NewRef(self->limit);
}

static int
switching_set_limit(Switching *self, PyObject *limit, void *_)
{
    limit = limit ? limit : Py_None;
    if (check_limit(limit) < 0)
        return -1;
    Py_XSETREF(self->limit, Py_NewRef(limit));
    return 0;
}

static PyGetSetDef switching_getset[] = {
    {"_limit", (getter)switching_get_limit, (setter)switching_set_limit, NULL, NULL},
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {"graves", (getter)switching_get_graves, NULL, NULL, NULL},
    {"ready_count", (getter)switching_get_ready_count, NULL, NULL, NULL},
    {"idle_workers", (getter)switching_get_idle_workers, NULL, NULL, NULL},
    {NULL},
};

#define FIELD(name, kind, field) {name, kind, offsetof(Switching, field), 0, NULL}

static PyMemberDef switching_members[] = {
    FIELD("clock", T_OBJECT, clock),
    FIELD("living", T_OBJECT, living),
    {"timers", T_OBJECT, offsetof(Switching, timers), READONLY, NULL},
    FIELD("sockets", T_OBJECT_EX, sockets),
    FIELD("running", T_OBJECT, running),
    FIELD("exposed", T_OBJECT, exposed),
    FIELD("max_coroutines", T_OBJECT, max_coroutines),
    FIELD("spawned", T_PYSSIZET, spawned),
    FIELD("peak", T_PYSSIZET, peak),
    FIELD("failures", T_PYSSIZET, failures),
    FIELD("switches", T_PYSSIZET, switches),
    FIELD("running_since", T_DOUBLE, running_since),
    FIELD("charged_at", T_DOUBLE, charged_at),
    FIELD("thread_id", T_ULONG, thread_id),
    FIELD("_turn_left", T_PYSSIZET, turn_left),
    FIELD("_unclaimed", T_OBJECT, unclaimed),
    FIELD("_root", T_OBJECT, root),
    FIELD("__dictoffset__", T_PYSSIZET, dict),
    FIELD("__weaklistoffset__", T_PYSSIZET, weakrefs),
    {NULL},
};

static PyMethodDef switching_methods[] = {
    {"go", (PyCFunction)(void (*)(void))switching_go, METH_FASTCALL | METH_KEYWORDS, scheduler_go_doc},
    {"park", (PyCFunction)(void (*)(void))switching_park, METH_FASTCALL | METH_KEYWORDS, scheduler_park_doc},
    {"wake", (PyCFunction)(void (*)(void))switching_wake, METH_FASTCALL, scheduler_wake_doc},
    {"wake_each", (PyCFunction)switching_wake_each, METH_O, scheduler_wake_each_doc},
    {"interrupt", (PyCFunction)(void (*)(void))switching_interrupt, METH_FASTCALL, scheduler_interrupt_doc},
    {"yield_now", (PyCFunction)yield_now, METH_NOARGS, scheduler_yield_now_doc},
    {"checkpoint", (PyCFunction)checkpoint, METH_NOARGS, scheduler_checkpoint_doc},
    {"run_slice", (PyCFunction)switching_run_slice, METH_NOARGS, scheduler_run_slice_doc},
    {"dismiss_workers", (PyCFunction)switching_dismiss_workers, METH_O, scheduler_dismiss_workers_doc},
    {"settle", (PyCFunction)switching_settle, METH_NOARGS, scheduler_settle_doc},
    {"abandon", (PyCFunction)switching_abandon, METH_O, scheduler_abandon_doc},
    {NULL},
};

PyTypeObject SwitchingType = {
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

int
add_switching(PyObject *module)
{
    PyGreenlet_Import();
    if (!_PyGreenlet_API || PyType_Ready(&SwitchingType) < 0)
        return -1;
    return PyModule_AddObjectRef(module, "Switching", (PyObject *)&SwitchingType);
}
