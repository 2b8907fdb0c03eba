/* What passes through a channel: its two lines, and the buffer between them. See `_passage.py`. */

#include "native.h"

#define BUFFER_KEPT 64 /* places; a larger buffer is given back when it has been drained */

typedef struct {
    PyObject_HEAD
    PyObject *capacity;
    Py_ssize_t room; /* the same, as far as a machine can count */
    PyObject **items;
    Py_ssize_t size, first, count; /* size is a power of two */
    Line *senders, *receivers;
    char closed;
} Passage;

static PyObject *send_to, *receive_from; /* the verbs */

/* -- the buffer */

static int
grow(Passage *self)
{
    Py_ssize_t size = self->size ? self->size * 2 : 4;
    PyObject **items = PyMem_New(PyObject *, size);
    if (!items) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < self->count; i++)
        items[i] = self->items[(self->first + i) & (self->size - 1)];
    PyMem_Free(self->items);
    self->items = items, self->size = size, self->first = 0;
    return 0;
}

static int
push(Passage *self, PyObject *value)
{
    if (self->count == self->size && grow(self) < 0)
        return -1;
    self->items[(self->first + self->count++) & (self->size - 1)] = Py_NewRef(value);
    return 0;
}

static PyObject *
pop(Passage *self)
{
    PyObject *value = self->items[self->first];
    self->first = (self->first + 1) & (self->size - 1);
    self->count--;
    return value;
}

static void
shrink(Passage *self)
{
    if (self->count == 0 && self->size > BUFFER_KEPT) {
        PyMem_Free(self->items);
        self->items = NULL;
        self->size = self->first = 0;
    }
}

/* -- handing over */

static void *
refuse(Passage *self)
{
    PyObject *error = PyObject_CallOneArg(of.closed_error, (PyObject *)self);
    if (error)
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    Py_XDECREF(error);
    return NULL;
}

/* 1 if `value` could be handed over without waiting. */
static int
give(Passage *self, PyObject *value, Switching *here)
{
    if (self->closed) {
        refuse(self);
        return -1;
    }
    if (!line_is_empty(self->receivers)) {
        PyObject *brought = line_serve(self->receivers, here, value);
        if (!brought)
            return -1;
        Py_DECREF(brought);
        if (brought != of.nobody)
            return 1;
    }
    if (self->count < self->room)
        return push(self, value) < 0 ? -1 : 1;
    return 0;
}

/* The next value, if there is one without waiting; `of.nobody` if not: a new reference. */
static PyObject *
take(Passage *self, Switching *here)
{
    PyObject *sent = line_is_empty(self->senders) ? Py_NewRef(of.nobody) : line_serve(self->senders, here, Py_None);
    if (!sent || !self->count)
        return sent;
    PyObject *value = pop(self);
    if (sent != of.nobody)
        push(self, sent); /* cannot fail: a place has just become free */
    Py_DECREF(sent);
    shrink(self);
    return value;
}

/* The scheduler; the operation counts, and when many came in a row, the others have run since. */
static Switching *
begin(void)
{
    Switching *here = (Switching *)current;
    if (!here) {
        no_scheduler();
        return NULL;
    }
    if (struck() < 0)
        return NULL;
    PyObject *done = checkpoint(here, NULL);
    Py_XDECREF(done);
    return done ? here : NULL;
}

PyDoc_STRVAR(send_doc, "send($self, value, timeout=None)\n--\n\n"
"Hand `value` over; park while there is no room, in line behind those who wait already.\n\n"
"Raises:\n"
"    Closed: the channel is closed, or is closed while this waits; the value was not handed over.\n"
"    Timeout: nobody took it within `timeout` seconds; likewise.");

static PyObject *
passage_send(Passage *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    static const char *const parameters[] = {"value", "timeout", NULL};
    PyObject *given[] = {NULL, Py_None};
    if (take_arguments("send", parameters, 1, args, count, names, given) < 0)
        return NULL;
    Switching *here = begin();
    int done = here ? give(self, given[0], here) : -1;
    if (done < 0)
        return NULL;
    if (!done) {
        PyObject *sent = line_wait(self->senders, here, send_to, (PyObject *)self, given[1], given[0]);
        if (!sent)
            return NULL;
        Py_DECREF(sent);
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(receive_doc, "receive($self, timeout=None)\n--\n\n"
"The next value; park while there is none, in line behind those who wait already.\n\n"
"Raises:\n"
"    Closed: the channel is closed and drained.\n"
"    Timeout: nothing came within `timeout` seconds.");

static PyObject *
passage_receive(Passage *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    static const char *const parameters[] = {"timeout", NULL};
    PyObject *given[] = {Py_None};
    if (take_arguments("receive", parameters, 0, args, count, names, given) < 0)
        return NULL;
    Switching *here = begin();
    PyObject *value = here ? take(self, here) : NULL;
    if (value == of.nobody) {
        Py_DECREF(value);
        if (self->closed)
            return refuse(self);
        value = line_wait(self->receivers, here, receive_from, (PyObject *)self, given[0], Py_None);
    }
    return value ? hand_over(here, value) : NULL;
}

/* -- for `select` */

static int
is_scheduler(PyObject *given)
{
    if (PyObject_TypeCheck(given, &SwitchingType))
        return 1;
    PyErr_Format(PyExc_TypeError, "a passage needs a scheduler, not %R", given);
    return 0;
}

static PyObject *
passage_give(Passage *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "_give takes a value and a scheduler");
        return NULL;
    }
    if (!is_scheduler(args[1]) || struck() < 0)
        return NULL;
    int done = give(self, args[0], (Switching *)args[1]);
    return done < 0 ? NULL : PyBool_FromLong(done);
}

static PyObject *
passage_take(Passage *self, PyObject *scheduler)
{
    return is_scheduler(scheduler) && struck() == 0 ? take(self, (Switching *)scheduler) : NULL;
}

/* -- what it is made of, and what can be seen of it */

static PyObject *
passage_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    Passage *self = (Passage *)type->tp_alloc(type, 0);
    if (!self)
        return NULL;
    self->capacity = PyLong_FromLong(0);
    self->senders = new_line();
    self->receivers = new_line();
    if (!self->capacity || !self->senders || !self->receivers)
        Py_CLEAR(self);
    return (PyObject *)self;
}

static int
passage_init(Passage *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"capacity", NULL};
    PyObject *capacity;
    int overflow;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!:Passage", names, &PyLong_Type, &capacity))
        return -1;
    long long room = PyLong_AsLongLongAndOverflow(capacity, &overflow);
    self->room = overflow > 0 || room > PY_SSIZE_T_MAX ? PY_SSIZE_T_MAX : (Py_ssize_t)room;
    Py_SETREF(self->capacity, Py_NewRef(capacity));
    return 0;
}

static PyObject *
passage_get_buffer(Passage *self, void *_)
{
    PyObject *items = PyList_New(0);
    for (Py_ssize_t i = 0; items && i < self->count; i++)
        if (PyList_Append(items, self->items[(self->first + i) & (self->size - 1)]) < 0)
            Py_CLEAR(items);
    return items;
}

static Py_ssize_t
passage_length(Passage *self)
{
    return self->count;
}

static int
passage_traverse(Passage *self, visitproc visit, void *arg)
{
    Py_VISIT(self->senders);
    Py_VISIT(self->receivers);
    for (Py_ssize_t i = 0; i < self->count; i++)
        Py_VISIT(self->items[(self->first + i) & (self->size - 1)]);
    return 0;
}

/* Not the lines: who still has hold of it may call it, and they clear themselves. */
static int
passage_clear(Passage *self)
{
    while (self->count)
        Py_DECREF(pop(self));
    return 0;
}

static void
passage_dealloc(Passage *self)
{
    PyObject_GC_UnTrack(self);
    passage_clear(self);
    PyMem_Free(self->items);
    Py_XDECREF(self->senders);
    Py_XDECREF(self->receivers);
    Py_XDECREF(self->capacity);
    Py_TYPE(self)->tp_free(self);
}

static PyGetSetDef passage_getset[] = {
    {"_buffer", (getter)passage_get_buffer, NULL, NULL, NULL},
    {NULL},
};

#define FIELD(name, kind, field, how) {name, kind, offsetof(Passage, field), how, NULL}

static PyMemberDef passage_members[] = {
    FIELD("capacity", T_OBJECT_EX, capacity, READONLY),
    FIELD("_senders", T_OBJECT_EX, senders, READONLY),
    FIELD("_receivers", T_OBJECT_EX, receivers, READONLY),
    FIELD("_closed", T_BOOL, closed, 0),
    {NULL},
};

static PyMethodDef passage_methods[] = {
    {"send", (PyCFunction)(void (*)(void))passage_send, METH_FASTCALL | METH_KEYWORDS, send_doc},
    {"receive", (PyCFunction)(void (*)(void))passage_receive, METH_FASTCALL | METH_KEYWORDS, receive_doc},
    {"_give", (PyCFunction)(void (*)(void))passage_give, METH_FASTCALL, NULL},
    {"_take", (PyCFunction)passage_take, METH_O, NULL},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL},
    {NULL},
};

static PySequenceMethods passage_as_sequence = {.sq_length = (lenfunc)passage_length};

static PyTypeObject PassageType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "coloop._native.Passage",
    .tp_basicsize = sizeof(Passage),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_doc = "The two lines of a channel, and the buffer between them: see `_passage.py`.",
    .tp_new = passage_new,
    .tp_init = (initproc)passage_init,
    .tp_dealloc = (destructor)passage_dealloc,
    .tp_traverse = (traverseproc)passage_traverse,
    .tp_clear = (inquiry)passage_clear,
    .tp_members = passage_members,
    .tp_getset = passage_getset,
    .tp_methods = passage_methods,
    .tp_as_sequence = &passage_as_sequence,
};

int
add_channel(PyObject *module)
{
    send_to = PyUnicode_InternFromString("send to");
    receive_from = PyUnicode_InternFromString("receive from");
    if (!send_to || !receive_from || PyType_Ready(&PassageType) < 0)
        return -1;
    return PyModule_AddObjectRef(module, "Passage", (PyObject *)&PassageType);
}
