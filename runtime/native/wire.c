/* Reading and writing a plain socket: try, and park when there is nothing. See `_wire.py` and `_socket.py`.

   What is here is what is usual: a plain stream, on its thread, in a coroutine, without a limit of time, with
   nobody in the way. It looks before anything has happened; what is not usual goes to the Python method, as if
   that had been called. An end or a fault that is met on the way is told by the Python method for that. */

#include "native.h"
#include <errno.h>
#include <sys/socket.h>

#define BUFFER_BYTES 65536

/* Everybody's: what was received is a bytes object before anybody else runs. */
static char buffer[BUFFER_BYTES];

static PyObject *recv_verb, *send_verb, *check_open, *check_sending, *failure, *took, *wait_verb;

/* -- what is usual */

/* The scheduler, if the running coroutine may use this now. */
static inline Switching *
usual(Wire *self)
{
    Switching *scheduler = self->scheduler;
    if (!self->plain || there(self->closed_by) || !scheduler || !scheduler->running ||
        PyThread_get_thread_ident() != scheduler->thread_id)
        return NULL;
    return scheduler;
}

static inline int
may_read(Wire *self)
{
    return !there(self->closed_by) && !there(self->reader) && !there(self->read_ended) &&
           (!self->ahead || !PyByteArray_GET_SIZE(self->ahead));
}

static inline int
may_write(Wire *self)
{
    return !there(self->closed_by) && !there(self->writer) && !there(self->write_ended);
}

/* Others may get a turn here, so it comes before any check that counts. */
static inline int
take_turns(Switching *scheduler)
{
    PyObject *done = checkpoint(scheduler, NULL);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* -- what is not */

static int
call_python(Wire *self, PyObject *name)
{
    PyObject *done = PyObject_CallMethodNoArgs((PyObject *)self, name);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* Raise what the Python form makes of an error of the kernel's. */
static PyObject *
fail(Wire *self, int number)
{
    errno = number;
    PyErr_SetFromErrno(PyExc_OSError);
    PyObject *error = take_error();
    PyObject *told = PyObject_CallMethodOneArg((PyObject *)self, failure, error);
    Py_DECREF(error);
    if (told) {
        PyException_SetCause(told, NULL); /* raise ... from None */
        PyErr_SetObject((PyObject *)Py_TYPE(told), told);
        Py_DECREF(told);
    }
    return NULL;
}

/* The end of the stream, for which the Python form lets others run first. */
static PyObject *
meet_the_end(Wire *self, Switching *scheduler, size_t asked)
{
    Py_XSETREF(self->reader, Py_NewRef(scheduler->running));
    PyObject *size = PyLong_FromSize_t(asked), *nothing = PyLong_FromLong(0);
    PyObject *done = size && nothing
                         ? PyObject_CallMethodObjArgs((PyObject *)self, took, nothing, size, NULL)
                         : NULL;
    Py_XDECREF(nothing);
    Py_XDECREF(size);
    Py_CLEAR(self->reader);
    Py_XDECREF(done);
    return done ? PyBytes_FromStringAndSize(NULL, 0) : NULL;
}

/* Hold the lane and park until the kernel says that it may go on; -1 also if it was closed meanwhile. */
static int
wait_for(Wire *self, Switching *scheduler, int is_reading)
{
    PyObject **lane = is_reading ? &self->reader : &self->writer;
    PyObject *verb = is_reading ? recv_verb : send_verb, *woken;
    PyObject *me = Py_NewRef(scheduler->running);
    Py_XSETREF(*lane, Py_NewRef(me));
    if (!self->poller) { /* another one watches it */
        PyObject *events = PyLong_FromLong(is_reading ? 1 : 2);
        woken = events ? PyObject_CallMethodObjArgs((PyObject *)self, wait_verb, events, verb, NULL) : NULL;
        Py_XDECREF(events);
    } else {
        woken = expect(self, is_reading, me) < 0 ? NULL : park(scheduler, verb, (PyObject *)self, Py_None);
        withdraw(self, is_reading);
    }
    Py_DECREF(me);
    Py_CLEAR(*lane);
    Py_XDECREF(woken);
    if (!woken)
        return -1;
    return there(self->closed_by) ? call_python(self, check_open) : 0;
}

/* -- receiving and sending */

/* How many bytes are asked for; 0 for what the Python form is to look at. */
static inline size_t
bytes_asked(PyObject *const *args, Py_ssize_t count)
{
    if (!count)
        return BUFFER_BYTES;
    if (count != 1 || !PyLong_CheckExact(args[0]))
        return 0;
    int overflow;
    long n = PyLong_AsLongAndOverflow(args[0], &overflow);
    return n >= 1 && n <= BUFFER_BYTES ? (size_t)n : 0;
}

PyObject *
wire_recv(PyObject *wire, PyObject *const *args, Py_ssize_t count)
{
    Wire *self = (Wire *)wire;
    size_t asked = bytes_asked(args, count);
    Switching *scheduler = usual(self);
    if (!asked || !scheduler || !may_read(self))
        return Py_NotImplemented;
    if (take_turns(scheduler) < 0)
        return NULL;
    if (!may_read(self))
        return Py_NotImplemented;
    for (;;) {
        if (self->readable) {
            ssize_t got = recv(self->fd, buffer, asked, 0);
            if (got > 0) {
                if ((size_t)got < asked && self->short_is_drained)
                    self->readable = 0;
                self->received += got;
                return PyBytes_FromStringAndSize(buffer, got);
            }
            if (got == 0)
                return meet_the_end(self, scheduler, asked);
            if (errno == EINTR)
                continue;
            if (errno != EAGAIN)
                return fail(self, errno);
            self->readable = 0;
        }
        if (wait_for(self, scheduler, 1) < 0)
            return NULL;
    }
}

/* How many bytes the kernel took, all of them if `all`; -1 with an exception. */
static Py_ssize_t
give(Wire *self, Switching *scheduler, PyObject *data, int all)
{
    Py_ssize_t size = PyBytes_GET_SIZE(data), done = 0;
    for (;;) {
        if (there(self->write_ended))
            return call_python(self, check_sending);
        if (self->writable) {
            ssize_t count = send(self->fd, PyBytes_AS_STRING(data) + done, size - done, MSG_NOSIGNAL);
            if (count >= 0) {
                self->sent += count;
                done += count;
                if (!all || done == size)
                    return done;
                continue;
            }
            if (errno == EINTR)
                continue;
            if (errno != EAGAIN) {
                fail(self, errno);
                return -1;
            }
            self->writable = 0;
        }
        if (wait_for(self, scheduler, 0) < 0)
            return -1;
    }
}

static PyObject *
write_to(Wire *self, PyObject *const *args, Py_ssize_t count, int all)
{
    Switching *scheduler = usual(self);
    if (!scheduler || !may_write(self) || count != 1 || !PyBytes_CheckExact(args[0]) ||
        !PyBytes_GET_SIZE(args[0]))
        return Py_NotImplemented;
    if (take_turns(scheduler) < 0)
        return NULL;
    if (!may_write(self))
        return Py_NotImplemented;
    Py_ssize_t done = give(self, scheduler, args[0], all);
    if (done < 0)
        return NULL;
    return all ? Py_NewRef(Py_None) : PyLong_FromSsize_t(done);
}

PyObject *
wire_send(PyObject *wire, PyObject *const *args, Py_ssize_t count)
{
    return write_to((Wire *)wire, args, count, 0);
}

PyObject *
wire_sendall(PyObject *wire, PyObject *const *args, Py_ssize_t count)
{
    return write_to((Wire *)wire, args, count, 1);
}

/* -- what a wire is made of */

static int
wire_init(Wire *self, PyObject *args, PyObject *kwargs)
{
    static char *parameters[] = {"fd", NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "i", parameters, &self->fd))
        return -1;
    self->readable = self->writable = self->short_is_drained = 1;
    return 0;
}

#define WIRE_OBJECTS(what)                                                                        \
    what(self->scheduler) what(self->poller) what(self->read_waiter) what(self->write_waiter)     \
    what(self->reader) what(self->writer) what(self->closed_by) what(self->read_ended)            \
    what(self->write_ended) what(self->ahead)

static int
wire_traverse(Wire *self, visitproc visit, void *arg)
{
    WIRE_OBJECTS(VISIT)
    return 0;
}

static int
wire_clear(Wire *self)
{
    WIRE_OBJECTS(CLEAR)
    return 0;
}

static void
wire_dealloc(Wire *self)
{
    PyObject_GC_UnTrack(self);
    wire_clear(self);
    Py_TYPE(self)->tp_free(self);
}

static PyObject *
wire_get_scheduler(Wire *self, void *_)
{
    if (!self->scheduler) {
        PyErr_SetString(PyExc_AttributeError, "_scheduler");
        return NULL;
    }
    return Py_NewRef(self->scheduler);
}

static int
wire_set_scheduler(Wire *self, PyObject *given, void *_)
{
    if (!given || !PyObject_TypeCheck(given, &SwitchingType)) {
        PyErr_SetString(PyExc_TypeError, "a wire belongs to a scheduler");
        return -1;
    }
    Py_XSETREF(self->scheduler, (Switching *)Py_NewRef(given));
    return 0;
}

static PyObject *
wire_get_ahead(Wire *self, void *_)
{
    if (!self->ahead)
        self->ahead = PyByteArray_FromStringAndSize(NULL, 0);
    return Py_XNewRef(self->ahead);
}

static int
wire_set_ahead(Wire *self, PyObject *given, void *_)
{
    if (!given || !PyByteArray_Check(given)) {
        PyErr_SetString(PyExc_TypeError, "what was read ahead is a bytearray");
        return -1;
    }
    Py_XSETREF(self->ahead, Py_NewRef(given));
    return 0;
}

static PyGetSetDef wire_getset[] = {
    {"_ahead", (getter)wire_get_ahead, (setter)wire_set_ahead, NULL, NULL},
    {"_scheduler", (getter)wire_get_scheduler, (setter)wire_set_scheduler, NULL, NULL},
    {NULL},
};

#define FIELD(name, kind, field) {name, kind, offsetof(Wire, field), 0, NULL}

static PyMemberDef wire_members[] = {
    FIELD("_fd", T_INT, fd),
    FIELD("_readable", T_BOOL, readable),
    FIELD("_writable", T_BOOL, writable),
    FIELD("_short_is_drained", T_BOOL, short_is_drained),
    FIELD("_plain", T_BOOL, plain),
    FIELD("_read_waiter", T_OBJECT, read_waiter),
    FIELD("_write_waiter", T_OBJECT, write_waiter),
    FIELD("_reader", T_OBJECT, reader),
    FIELD("_writer", T_OBJECT, writer),
    FIELD("_closed_by", T_OBJECT, closed_by),
    FIELD("_read_ended", T_OBJECT, read_ended),
    FIELD("_write_ended", T_OBJECT, write_ended),
    FIELD("received", T_PYSSIZET, received),
    FIELD("sent", T_PYSSIZET, sent),
    {NULL},
};

PyTypeObject WireType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "coloop._native.Wire",
    .tp_basicsize = sizeof(Wire),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_doc = "One descriptor in a poller: see `_wire.py`.",
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)wire_init,
    .tp_dealloc = (destructor)wire_dealloc,
    .tp_traverse = (traverseproc)wire_traverse,
    .tp_clear = (inquiry)wire_clear,
    .tp_members = wire_members,
    .tp_getset = wire_getset,
};

int
add_wire(PyObject *module)
{
    static const struct {
        PyObject **into;
        const char *text;
    } strings[] = {
        {&recv_verb, "recv"}, {&send_verb, "send"}, {&check_open, "_check_open"},
        {&check_sending, "_check_sending"}, {&failure, "_failure"}, {&took, "_took"}, {&wait_verb, "_wait"},
    };
    for (size_t i = 0; i < Py_ARRAY_LENGTH(strings); i++)
        if (!(*strings[i].into = PyUnicode_InternFromString(strings[i].text)))
            return -1;
    if (PyType_Ready(&WireType) < 0)
        return -1;
    return PyModule_AddObjectRef(module, "Wire", (PyObject *)&WireType);
}
