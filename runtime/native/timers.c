/* Deadlines, soonest first; those of the same instant in the order in which they were set. See `_timers.py`.

   A heap of four children a node: half as deep as one of two, and siblings lie side by side in memory. The
   deadline is kept beside the timer, so that nothing but the array is touched on the way.

   What a living timer holds belongs to the heap, which shows it to the garbage collector; one that is over
   holds nothing. So a timer itself is no business of the collector's, which would else spend two thirds of
   the time that it takes to set a million of them and cancel them. Nor does one keep the heap alive: whose
   heap is gone is over. */

#include "native.h"

#define MIN_REBUILD 64 /* as in `_timers.py` */
#define CHILDREN 4

/* -- the heap */

static inline int
is_sooner(const Due *a, const Due *b)
{
    return a->deadline < b->deadline || (a->deadline == b->deadline && a->serial < b->serial);
}

static void
sift_up(Due *heap, Py_ssize_t place, Due due)
{
    while (place) {
        Py_ssize_t parent = (place - 1) / CHILDREN;
        if (!is_sooner(&due, &heap[parent]))
            break;
        heap[place] = heap[parent];
        place = parent;
    }
    heap[place] = due;
}

static void
sift_down(Due *heap, Py_ssize_t count, Py_ssize_t place, Due due)
{
    for (;;) {
        Py_ssize_t first = place * CHILDREN + 1, soonest = first;
        Py_ssize_t end = first + CHILDREN < count ? first + CHILDREN : count;
        if (first >= count)
            break;
        for (Py_ssize_t child = first + 1; child < end; child++)
            if (is_sooner(&heap[child], &heap[soonest]))
                soonest = child;
        if (!is_sooner(&heap[soonest], &due))
            break;
        heap[place] = heap[soonest];
        place = soonest;
    }
    heap[place] = due;
}

/* Give back what a crowd has left behind. If that fails, nothing is lost. */
static void
shrink(Timers *self)
{
    if (self->size <= 2 * MIN_REBUILD || self->count > self->size / 4)
        return;
    Account *payer = scheduler_pays();
    Due *smaller = PyMem_Realloc(self->heap, self->size / 2 * sizeof *smaller);
    pays_again(payer);
    if (smaller)
        self->heap = smaller, self->size /= 2;
}

/* The first one; the caller owns it. */
static Timer *
pop_first(Timers *self)
{
    Timer *timer = self->heap[0].timer;
    if (--self->count)
        sift_down(self->heap, self->count, 0, self->heap[self->count]);
    shrink(self);
    __builtin_prefetch(self->heap[0].timer); /* who asks for it finds it near: of a million, a seventh less */
    return timer;
}

/* Leave the dead behind: freeing them runs nobody's code, since they hold nothing. */
static void
rebuild(Timers *self)
{
    Py_ssize_t kept = 0;
    for (Py_ssize_t i = 0; i < self->count; i++) {
        if (self->heap[i].timer->timers)
            self->heap[kept++] = self->heap[i];
        else
            Py_DECREF(self->heap[i].timer);
    }
    self->count = kept;
    for (Py_ssize_t i = (kept + CHILDREN - 2) / CHILDREN; i-- > 0;)
        sift_down(self->heap, kept, i, self->heap[i]);
    shrink(self);
}

/* -- one timer */

/* Hold nothing any more. */
void
timer_release(Timer *self)
{
    Py_ssize_t count = Py_SIZE(self);
    Py_SET_SIZE(self, 0);
    Py_CLEAR(self->fn);
    Py_CLEAR(self->owner);
    for (Py_ssize_t i = 0; i < count; i++)
        Py_DECREF(self->args[i]);
}

static void
timer_dealloc(PyObject *self)
{
    PyObject_Free(self); /* it is over: a heap holds the living */
}

/* Never fire, and hold nothing any more. A second time, or after firing: nothing happens. */
void
timer_cancel(Timer *self)
{
    Timers *timers = self->timers;
    if (!timers)
        return;
    self->timers = NULL;
    timers->living--;
    if (timers->count > MIN_REBUILD && timers->living * 2 < timers->count)
        rebuild(timers);
    timer_release(self);
}

static PyObject *
timer_cancel_method(Timer *self, PyObject *_)
{
    timer_cancel(self);
    Py_RETURN_NONE;
}

static PyObject *
timer_get_active(Timer *self, void *_)
{
    return PyBool_FromLong(self->timers != NULL);
}

static PyObject *
timer_get_args(Timer *self, void *_)
{
    PyObject *args = PyTuple_New(Py_SIZE(self));
    for (Py_ssize_t i = 0; args && i < Py_SIZE(self); i++)
        PyTuple_SET_ITEM(args, i, Py_NewRef(self->args[i]));
    return args;
}

static PyObject *
timer_repr(Timer *self)
{
    char *deadline = PyOS_double_to_string(self->deadline, 'f', 6, 0, NULL);
    if (!deadline)
        return PyErr_NoMemory();
    PyObject *text = PyUnicode_FromFormat("<Timer at %s%s>", deadline, self->timers ? "" : " (over)");
    PyMem_Free(deadline);
    return text;
}

static PyMemberDef timer_members[] = {
    {"deadline", T_DOUBLE, offsetof(Timer, deadline), READONLY, NULL},
    {"fn", T_OBJECT, offsetof(Timer, fn), READONLY, NULL},
    {"owner", T_OBJECT, offsetof(Timer, owner), READONLY, NULL},
    {NULL},
};

static PyGetSetDef timer_getset[] = {
    {"active", (getter)timer_get_active, NULL, NULL, NULL},
    {"args", (getter)timer_get_args, NULL, NULL, NULL},
    {NULL},
};

static PyMethodDef timer_methods[] = {
    {"cancel", (PyCFunction)timer_cancel_method, METH_NOARGS, NULL},
    {NULL},
};

PyTypeObject TimerType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "coloop._native.Timer",
    .tp_basicsize = offsetof(Timer, args),
    .tp_itemsize = sizeof(PyObject *),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_doc = "One call that is due at a time; made by `Timers.add`, cancelled by `cancel()`.",
    .tp_dealloc = timer_dealloc,
    .tp_repr = (reprfunc)timer_repr,
    .tp_members = timer_members,
    .tp_getset = timer_getset,
    .tp_methods = timer_methods,
};

/* -- all of them */

static Timer *
add_timer(Timers *self, double deadline, PyObject *owner, PyObject *fn, PyObject *const *args, Py_ssize_t count)
{
    if (self->count == self->size) {
        Py_ssize_t size = self->size ? self->size * 2 : MIN_REBUILD;
        Due *grown = PyMem_Realloc(self->heap, size * sizeof *grown);
        if (!grown) {
            PyErr_NoMemory();
            return NULL;
        }
        self->heap = grown, self->size = size;
    }
    Timer *timer = PyObject_NewVar(Timer, &TimerType, count);
    if (!timer)
        return NULL;
    timer->timers = self;
    timer->deadline = deadline;
    timer->owner = Py_XNewRef(owner);
    timer->fn = Py_NewRef(fn);
    for (Py_ssize_t i = 0; i < count; i++)
        timer->args[i] = Py_NewRef(args[i]);
    self->living++;
    Due due = {deadline, ++self->added, (Timer *)Py_NewRef(timer)};
    sift_up(self->heap, self->count++, due);
    return timer;
}

/* All arguments are borrowed; `owner` may be NULL. The scheduler pays: a timer that is over stays for a while, and
   would seem to have been left behind by whoever had set it. */
Timer *
timers_add(Timers *self, double deadline, PyObject *owner, PyObject *fn, PyObject *const *args,
           Py_ssize_t count)
{
    Account *payer = scheduler_pays();
    Timer *timer = add_timer(self, deadline, owner, fn, args, count);
    pays_again(payer);
    return timer;
}

/* The soonest one; NULL when there is none. */
static Due *
first_living(Timers *self)
{
    while (self->count && !self->heap[0].timer->timers)
        Py_DECREF(pop_first(self));
    return self->count ? self->heap : NULL;
}

/* The soonest one that is due at `now`, taken out of the heap; NULL when none is. The caller owns it. */
Timer *
timers_pop_expired(Timers *self, double now)
{
    Due *due = first_living(self);
    if (!due || due->deadline > now)
        return NULL;
    Timer *timer = pop_first(self);
    self->living--;
    timer->timers = NULL;
    return timer;
}

static PyObject *
timers_add_method(Timers *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    PyObject *owner = NULL;
    Py_ssize_t named = names ? PyTuple_GET_SIZE(names) : 0;
    if (count < 2 || named > 1 ||
        (named && PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, 0), "owner") != 0)) {
        PyErr_SetString(PyExc_TypeError, "add takes a deadline, a function, its arguments and owner");
        return NULL;
    }
    if (named && args[count] != Py_None)
        owner = args[count];
    double deadline = PyFloat_AsDouble(args[0]);
    if (deadline == -1.0 && PyErr_Occurred())
        return NULL;
    if (!isfinite(deadline)) {
        PyErr_SetNone(PyExc_AssertionError);
        return NULL;
    }
    return (PyObject *)timers_add(self, deadline, owner, args[1], args + 2, count - 2);
}

static PyObject *
timers_next_deadline(Timers *self, PyObject *_)
{
    Due *due = first_living(self);
    if (!due)
        Py_RETURN_NONE;
    return PyFloat_FromDouble(due->deadline);
}

static PyObject *
timers_pop_expired_method(Timers *self, PyObject *now)
{
    double seconds = PyFloat_AsDouble(now);
    if (seconds == -1.0 && PyErr_Occurred())
        return NULL;
    Timer *timer = timers_pop_expired(self, seconds);
    if (!timer)
        Py_RETURN_NONE;
    PyObject *args = timer_get_args(timer, NULL);
    PyObject *call = args ? PyTuple_Pack(2, timer->fn, args) : NULL;
    Py_XDECREF(args);
    timer_release(timer);
    Py_DECREF(timer);
    return call;
}

static Py_ssize_t
timers_len(Timers *self)
{
    return self->living;
}

static PyObject *
timers_iter(Timers *self)
{
    PyObject *living = PyList_New(0);
    for (Py_ssize_t i = 0; living && i < self->count; i++)
        if (self->heap[i].timer->timers && PyList_Append(living, (PyObject *)self->heap[i].timer) < 0)
            Py_CLEAR(living);
    PyObject *iterator = living ? PyObject_GetIter(living) : NULL;
    Py_XDECREF(living);
    return iterator;
}

static PyObject *
timers_get_held(Timers *self, void *_)
{
    return PyLong_FromSsize_t(self->count);
}

static int
timers_traverse(Timers *self, visitproc visit, void *arg)
{
    for (Py_ssize_t i = 0; i < self->count; i++) {
        Timer *timer = self->heap[i].timer;
        Py_VISIT(timer->fn);
        Py_VISIT(timer->owner);
        for (Py_ssize_t k = 0; k < Py_SIZE(timer); k++)
            Py_VISIT(timer->args[k]);
    }
    return 0;
}

static int
timers_clear(Timers *self)
{
    Due *heap = self->heap;
    Py_ssize_t count = self->count;
    self->heap = NULL;
    self->count = self->size = self->living = 0;
    for (Py_ssize_t i = 0; i < count; i++)
        heap[i].timer->timers = NULL;
    for (Py_ssize_t i = 0; i < count; i++) {
        timer_release(heap[i].timer);
        Py_DECREF(heap[i].timer);
    }
    PyMem_Free(heap);
    return 0;
}

static void
timers_dealloc(Timers *self)
{
    PyObject_GC_UnTrack(self);
    timers_clear(self);
    Py_TYPE(self)->tp_free(self);
}

static PyGetSetDef timers_getset[] = {
    {"held", (getter)timers_get_held, NULL, NULL, NULL},
    {NULL},
};

static PyMethodDef timers_methods[] = {
    {"add", (PyCFunction)(void (*)(void))timers_add_method, METH_FASTCALL | METH_KEYWORDS, NULL},
    {"next_deadline", (PyCFunction)timers_next_deadline, METH_NOARGS, NULL},
    {"pop_expired", (PyCFunction)timers_pop_expired_method, METH_O, NULL},
    {NULL},
};

static PySequenceMethods timers_as_sequence = {.sq_length = (lenfunc)timers_len};

PyTypeObject TimersType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "coloop._native.Timers",
    .tp_basicsize = sizeof(Timers),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_doc = "The timers of one scheduler; `len()` counts those that are going to fire.",
    .tp_new = PyType_GenericNew,
    .tp_dealloc = (destructor)timers_dealloc,
    .tp_traverse = (traverseproc)timers_traverse,
    .tp_clear = (inquiry)timers_clear,
    .tp_iter = (getiterfunc)timers_iter,
    .tp_as_sequence = &timers_as_sequence,
    .tp_getset = timers_getset,
    .tp_methods = timers_methods,
};

int
add_timers(PyObject *module)
{
    if (PyType_Ready(&TimerType) < 0 || PyType_Ready(&TimersType) < 0)
        return -1;
    if (PyModule_AddObjectRef(module, "Timer", (PyObject *)&TimerType) < 0)
        return -1;
    return PyModule_AddObjectRef(module, "Timers", (PyObject *)&TimersType);
}
