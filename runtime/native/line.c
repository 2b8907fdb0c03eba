/* Waiting in line: a fair queue of coroutines, and one wait in several of them. See `_line.py`.

   A ring of nodes through the line itself: both ends and the middle are O(1). A node stands on the heap, for
   as long as the call of `wait` lasts that has put it there, and belongs to that call; whoever is served, or
   found to wait no more, is taken out of the ring at once. The line holds what the nodes refer to. */

#include "native.h"

static int
stands(Node *node)
{
    return node->after != NULL;
}

static void
step_in(Line *self, Node *node, PyObject *waiter, PyObject *brings)
{
    node->waiter = Py_NewRef(waiter);
    node->brings = Py_NewRef(brings);
    node->before = self->ends.before;
    node->after = &self->ends;
    node->before->after = self->ends.before = node;
}

/* Once is enough, twice does no harm. */
static void
step_out(Node *node)
{
    if (stands(node)) {
        node->before->after = node->after;
        node->after->before = node->before;
        node->before = node->after = NULL;
    }
    Py_CLEAR(node->brings);
    Py_CLEAR(node->waiter);
}

static inline int
is_joint(Node *node)
{
    return Py_IS_TYPE(node->waiter, &JointType);
}

static inline State *
coroutine_of(Node *node)
{
    return is_joint(node) ? ((Joint *)node->waiter)->coroutine : (State *)node->waiter;
}

static inline int
waits(Node *node)
{
    State *coroutine = coroutine_of(node);
    return coroutine && coroutine->state == of.waiting;
}

/* Who is first of those that still wait: NULL if nobody is. -1 if that is not for `here` to serve. */
static int
find_first(Line *self, Switching *here, Node **found)
{
    *found = NULL;
    while (!line_is_empty(self)) {
        Node *node = self->ends.after;
        if (!waits(node)) {
            step_out(node);
            continue;
        }
        State *coroutine = coroutine_of(node);
        if (coroutine->scheduler == (PyObject *)here) {
            *found = node;
            return 0;
        }
        PyObject *error = PyObject_CallOneArg(of.foreign, (PyObject *)coroutine);
        if (error)
            PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_XDECREF(error);
        return -1;
    }
    return 0;
}

/* End the wait of a joint where it has brought `place`. 0 if it has ended meanwhile: to make an object may
   start the garbage collector, and that may run anything. */
static int
end_joint(Switching *here, Joint *joint, PyObject *place, PyObject *value, PyObject *error)
{
    PyObject *ended = PyTuple_Pack(3, PyTuple_GET_ITEM(place, 0), value, error);
    if (!ended)
        return -1;
    int done = 0;
    if (joint->coroutine && joint->coroutine->state == of.waiting)
        done = wake(here, joint->coroutine, ended) < 0 ? -1 : 1;
    Py_DECREF(ended);
    return done;
}

/* The same for the joint that is first; what it has brought, or NULL. */
static PyObject *
serve_joint(Switching *here, Node *node, PyObject *value)
{
    PyObject *joint = Py_NewRef(node->waiter), *place = Py_NewRef(node->brings);
    int ended = end_joint(here, (Joint *)joint, place, value, Py_None);
    PyObject *brought = ended > 0 ? Py_NewRef(PyTuple_GET_ITEM(place, 2)) : NULL;
    Py_DECREF(joint);
    Py_DECREF(place);
    return brought;
}

/* Wake who is first with `value`; what it has brought, or `of.nobody`: a new reference. */
PyObject *
line_serve(Line *self, Switching *here, PyObject *value)
{
    PyObject *brought = NULL;
    while (!brought) {
        Node *node;
        if (find_first(self, here, &node) < 0)
            return NULL;
        if (!node)
            return Py_NewRef(of.nobody);
        if (is_joint(node)) { /* it leaves all its lines by itself */
            brought = serve_joint(here, node, value);
            if (!brought && PyErr_Occurred())
                return NULL;
        } else {
            if (wake(here, (State *)node->waiter, value) < 0)
                return NULL;
            brought = node->brings;
            node->brings = NULL;
            step_out(node);
        }
    }
    return brought;
}

/* Park the coroutine that runs at the end of the line; what it is woken with: a new reference. */
PyObject *
line_wait(Line *self, Switching *here, PyObject *verb, PyObject *subject, PyObject *timeout_s, PyObject *brings)
{
    if (!here->running)
        return park(here, verb, subject, timeout_s); /* it has the words for it */
    Node *node = PyMem_Malloc(sizeof *node);
    if (!node)
        return PyErr_NoMemory();
    Py_INCREF(self);
    step_in(self, node, (PyObject *)here->running, brings);
    PyObject *value = park(here, verb, subject, timeout_s);
    step_out(node);
    PyMem_Free(node);
    Py_DECREF(self);
    return value;
}

/* -- for Python */

static Switching *
as_scheduler(PyObject *given, const char *what)
{
    if (PyObject_TypeCheck(given, &SwitchingType))
        return (Switching *)given;
    PyErr_Format(PyExc_TypeError, "%s takes a scheduler, not %R", what, given);
    return NULL;
}

static PyObject *
line_method_wait(Line *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    static const char *const parameters[] = {"verb", "subject", "timeout_s", "brings", NULL};
    PyObject *given[] = {NULL, NULL, Py_None, Py_None};
    if (take_arguments("wait", parameters, 2, args, count, names, given) < 0)
        return NULL;
    if (!current)
        return no_scheduler();
    return line_wait(self, (Switching *)current, given[0], given[1], given[2], given[3]);
}

static PyObject *
line_method_serve(Line *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    static const char *const parameters[] = {"scheduler", "value", NULL};
    PyObject *given[] = {NULL, Py_None};
    if (take_arguments("serve", parameters, 1, args, count, names, given) < 0)
        return NULL;
    Switching *here = as_scheduler(given[0], "serve");
    return here && struck() == 0 ? line_serve(self, here, given[1]) : NULL;
}

static PyObject *
line_method_first(Line *self, PyObject *scheduler)
{
    Node *node;
    Switching *here = as_scheduler(scheduler, "first");
    if (!here || find_first(self, here, &node) < 0)
        return NULL;
    return Py_NewRef(node ? node->waiter : Py_None);
}

static PyObject *
line_method_brought_by(Line *self, PyObject *waiter)
{
    for (Node *node = self->ends.after; node != &self->ends; node = node->after)
        if (node->waiter == waiter)
            return Py_NewRef(node->brings);
    PyErr_SetObject(PyExc_KeyError, waiter);
    return NULL;
}

static PyObject *
line_method_is_empty(Line *self, PyObject *_)
{
    return PyBool_FromLong(line_is_empty(self));
}

static Py_ssize_t
line_length(Line *self)
{
    Py_ssize_t waiting = 0;
    for (Node *node = self->ends.after; node != &self->ends; node = node->after)
        waiting += waits(node);
    return waiting;
}

static PyObject *
line_iterate(Line *self)
{
    PyObject *waiting = PyList_New(0);
    for (Node *node = self->ends.after; waiting && node != &self->ends; node = node->after)
        if (waits(node) && PyList_Append(waiting, node->waiter) < 0)
            Py_CLEAR(waiting);
    PyObject *iterator = waiting ? PyObject_GetIter(waiting) : NULL;
    Py_XDECREF(waiting);
    return iterator;
}

/* Raise `make_error()` in who is first. 0 if nobody is. */
static int
interrupt_first(Line *self, Switching *here, PyObject *make_error)
{
    Node *node;
    if (find_first(self, here, &node) < 0)
        return -1;
    if (!node)
        return 0;
    PyObject *waiter = Py_NewRef(node->waiter), *place = Py_NewRef(node->brings);
    int joint = is_joint(node), done = -1;
    PyObject *error = PyObject_CallNoArgs(make_error);
    if (error && joint)
        done = end_joint(here, (Joint *)waiter, place, Py_None, error);
    else if (error)
        done = interrupt(here, (State *)waiter, error);
    Py_XDECREF(error);
    Py_DECREF(place);
    Py_DECREF(waiter);
    return done < 0 ? -1 : 1;
}

static int
wake_first(Line *self, Switching *here, PyObject *value)
{
    PyObject *brought = line_serve(self, here, value);
    int found = brought != of.nobody;
    Py_XDECREF(brought);
    return brought ? found : -1;
}

/* Do it to all who wait; what is begun is done to its end (`_shelter.py`). */
static PyObject *
to_all(Line *self, int (*to_first)(Line *, Switching *, PyObject *), PyObject *what)
{
    if (!current)
        return no_scheduler();
    Switching *here = (Switching *)Py_NewRef(current);
    State *exposed = (State *)Py_XNewRef(here->exposed);
    set_exposed(here, NULL);
    int found = struck() < 0 ? -1 : 1;
    while (found > 0)
        found = to_first(self, here, what);
    set_exposed(here, exposed);
    Py_XDECREF(exposed);
    Py_DECREF(here);
    if (found < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *
line_method_wake_all(Line *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    static const char *const parameters[] = {"value", NULL};
    PyObject *given[] = {Py_None};
    if (take_arguments("wake_all", parameters, 0, args, count, names, given) < 0)
        return NULL;
    return to_all(self, wake_first, given[0]);
}

static PyObject *
line_method_interrupt_all(Line *self, PyObject *make_error)
{
    return to_all(self, interrupt_first, make_error);
}

static PyMethodDef line_methods[] = {
    {"wait", (PyCFunction)(void (*)(void))line_method_wait, METH_FASTCALL | METH_KEYWORDS, NULL},
    {"serve", (PyCFunction)(void (*)(void))line_method_serve, METH_FASTCALL | METH_KEYWORDS, NULL},
    {"first", (PyCFunction)line_method_first, METH_O, NULL},
    {"brought_by", (PyCFunction)line_method_brought_by, METH_O, NULL},
    {"is_empty", (PyCFunction)line_method_is_empty, METH_NOARGS, NULL},
    {"wake_all", (PyCFunction)(void (*)(void))line_method_wake_all, METH_FASTCALL | METH_KEYWORDS, NULL},
    {"interrupt_all", (PyCFunction)line_method_interrupt_all, METH_O, NULL},
    {NULL},
};

static PyObject *
line_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    Line *self = (Line *)type->tp_alloc(type, 0);
    if (self)
        self->ends.before = self->ends.after = &self->ends;
    return (PyObject *)self;
}

Line *
new_line(void)
{
    return (Line *)line_new(&LineType, NULL, NULL);
}

static int
line_traverse(Line *self, visitproc visit, void *arg)
{
    for (Node *node = self->ends.after; node != &self->ends; node = node->after) {
        Py_VISIT(node->waiter);
        Py_VISIT(node->brings);
    }
    return 0;
}

static int
line_clear(Line *self)
{
    while (!line_is_empty(self))
        step_out(self->ends.after);
    return 0;
}

static void
line_dealloc(Line *self)
{
    PyObject_GC_UnTrack(self);
    line_clear(self);
    Py_TYPE(self)->tp_free(self);
}

static PySequenceMethods line_as_sequence = {.sq_length = (lenfunc)line_length};

PyTypeObject LineType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "coloop._native.WaitQueue",
    .tp_basicsize = sizeof(Line),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_doc = "A line of parked coroutines; each may bring something with it: see `_line.py`.",
    .tp_new = line_new,
    .tp_dealloc = (destructor)line_dealloc,
    .tp_traverse = (traverseproc)line_traverse,
    .tp_clear = (inquiry)line_clear,
    .tp_methods = line_methods,
    .tp_as_sequence = &line_as_sequence,
    .tp_iter = (getiterfunc)line_iterate,
};

/* -- one wait in several lines */

static int
joint_init(Joint *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"what", NULL};
    PyObject *what;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:JointWait", names, &what))
        return -1;
    if (!current) {
        no_scheduler();
        return -1;
    }
    Py_XSETREF(self->what, Py_NewRef(what));
    Py_XSETREF(self->scheduler, Py_NewRef(current));
    return 0;
}

static int
is_place(PyObject *place)
{
    return PyTuple_Check(place) && PyTuple_GET_SIZE(place) == 3 && Py_IS_TYPE(PyTuple_GET_ITEM(place, 1), &LineType);
}

/* A place is what its node brings: so whoever serves it there knows its number. */
static PyObject *
wait_in_places(Joint *self, Node *nodes, PyObject *verb, PyObject *places, PyObject *timeout_s)
{
    Py_ssize_t count = PyTuple_GET_SIZE(places);
    Switching *here = (Switching *)self->scheduler;
    Py_XSETREF(self->coroutine, (State *)Py_XNewRef(here->running));
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *place = PyTuple_GET_ITEM(places, i);
        Line *line = (Line *)PyTuple_GET_ITEM(place, 1);
        if (line->ends.before->waiter != (PyObject *)self) /* if it is named twice, the first counts */
            step_in(line, &nodes[i], (PyObject *)self, place);
    }
    PyObject *ended = park(here, verb, (PyObject *)self, timeout_s);
    Py_CLEAR(self->coroutine);
    Py_CLEAR(self->what);
    for (Py_ssize_t i = 0; i < count; i++)
        step_out(&nodes[i]);
    return ended;
}

static PyObject *
joint_wait(Joint *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    static const char *const parameters[] = {"verb", "places", "timeout_s", NULL};
    PyObject *given[3], *ended = NULL;
    if (take_arguments("wait", parameters, 3, args, count, names, given) < 0)
        return NULL;
    if (!self->scheduler || self->coroutine) {
        PyErr_SetString(PyExc_TypeError, "a JointWait is made for one wait");
        return NULL;
    }
    PyObject *places = PySequence_Tuple(given[1]);
    if (!places)
        return NULL;
    Node *nodes = PyMem_Calloc(PyTuple_GET_SIZE(places) + 1, sizeof *nodes);
    if (!nodes) {
        Py_DECREF(places);
        return PyErr_NoMemory();
    }
    Py_ssize_t checked = 0;
    while (checked < PyTuple_GET_SIZE(places) && is_place(PyTuple_GET_ITEM(places, checked)))
        checked++;
    Py_INCREF(self);
    if (checked == PyTuple_GET_SIZE(places))
        ended = wait_in_places(self, nodes, given[0], places, given[2]);
    else
        PyErr_SetString(PyExc_TypeError, "a place is a number, a line and what is brought there");
    Py_DECREF(self);
    PyMem_Free(nodes);
    Py_DECREF(places);
    return ended;
}

static PyObject *
joint_str(Joint *self)
{
    return self->what ? PyObject_CallOneArg(of.either, self->what) : PyUnicode_FromString("");
}

#define JOINT_OBJECTS(each) each(self->what) each(self->scheduler) each(self->coroutine)

static int
joint_traverse(Joint *self, visitproc visit, void *arg)
{
    JOINT_OBJECTS(VISIT)
    return 0;
}

static int
joint_clear(Joint *self)
{
    JOINT_OBJECTS(CLEAR)
    return 0;
}

static void
joint_dealloc(Joint *self)
{
    PyObject_GC_UnTrack(self);
    joint_clear(self);
    Py_TYPE(self)->tp_free(self);
}

static PyMethodDef joint_methods[] = {
    {"wait", (PyCFunction)(void (*)(void))joint_wait, METH_FASTCALL | METH_KEYWORDS, NULL},
    {NULL},
};

PyTypeObject JointType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "coloop._native.JointWait",
    .tp_basicsize = sizeof(Joint),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_doc = "One wait in several lines: see `_line.py`.",
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)joint_init,
    .tp_dealloc = (destructor)joint_dealloc,
    .tp_traverse = (traverseproc)joint_traverse,
    .tp_clear = (inquiry)joint_clear,
    .tp_str = (reprfunc)joint_str,
    .tp_methods = joint_methods,
};

int
add_line(PyObject *module)
{
    if (PyType_Ready(&LineType) < 0 || PyType_Ready(&JointType) < 0 ||
        PyModule_AddObjectRef(module, "WaitQueue", (PyObject *)&LineType) < 0)
        return -1;
    return PyModule_AddObjectRef(module, "JointWait", (PyObject *)&JointType);
}
