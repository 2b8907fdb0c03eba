/* Reading and writing a plain socket: try, and park when there is nothing. See `_wire.py` and `_socket.py`.

   What is here is what is usual: a plain stream, on its thread, in a coroutine, without a limit of time, with
   nobody in the way. It looks before anything has happened; what is not usual goes to the Python method, as if
   that had been called. An end or a fault that is met on the way is told by the Python method for that. Where TLS
   lies between, `tls.c` goes on, once it has looked. */

#include "native.h"
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

char wire_buffer[WIRE_BUFFER_BYTES]; /* what was received is a bytes object before anybody else runs */

static PyObject *recv_verb, *send_verb, *check_open, *check_sending, *failure, *took, *wait_name;

/* -- what is usual */

/* The scheduler, if the running coroutine may use this now. */
Switching *
usual(Wire *self)
{
    Switching *scheduler = self->scheduler;
    if (!(self->plain || there(self->seal)) || there(self->closed_by) || !scheduler || !scheduler->running ||
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
int
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

/* With a name that is always the same object: CPython keeps those by which a method was found last, one by one. */
static PyObject *
call_with(Wire *self, PyObject *name, Py_ssize_t number, PyObject *last)
{
    PyObject *first = PyLong_FromSsize_t(number);
    PyObject *done = first && last ? PyObject_CallMethodObjArgs((PyObject *)self, name, first, last, NULL) : NULL;
    Py_XDECREF(first);
    return done;
}

/* Raise what the Python form makes of an error of the kernel's. */
PyObject *
wire_fail(Wire *self, int number)
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

/* The end of the stream: others get a turn first. */
static PyObject *
meet_the_end(Wire *self, Switching *scheduler, size_t asked)
{
    PyObject *done;
    Py_XSETREF(self->reader, Py_NewRef(scheduler->running));
    if (self->reset) {
        PyObject *bytes = PyLong_FromSize_t(asked);
        done = call_with(self, took, 0, bytes);
        Py_XDECREF(bytes);
    } else
        done = yield_now(scheduler, NULL);
    Py_CLEAR(self->reader);
    Py_XDECREF(done);
    if (!done || (there(self->closed_by) && call_python(self, check_open) < 0))
        return NULL;
    if (!there(self->read_ended))
        left_by_peer(self);
    return PyBytes_FromStringAndSize(NULL, 0);
}

/* Hold the lane and park until the kernel says that it may go on; -1 also if it was closed meanwhile. */
int
wait_for(Wire *self, Switching *scheduler, PyObject *verb, int is_reading)
{
    PyObject **lane = is_reading ? &self->reader : &self->writer;
    PyObject *woken;
    PyObject *me = Py_NewRef(scheduler->running);
    Py_XSETREF(*lane, Py_NewRef(me));
    if (!self->poller) { /* another one watches it */
        woken = call_with(self, wait_name, is_reading ? 1 : 2, verb);
    } else {
        woken = expect(self, is_reading, me) < 0 ? NULL : park(scheduler, verb, (PyObject *)self, Py_None);
        if (me == (is_reading ? self->read_waiter : self->write_waiter)) /* else it has passed to another */
            withdraw(self, is_reading);
    }
    Py_DECREF(me);
    Py_CLEAR(*lane);
    Py_XDECREF(woken);
    if (!woken && !self->held && PyErr_ExceptionMatches(of.Timeout))
        self->overdue = self->received + self->sent + 1;
    if (!woken)
        return -1;
    return there(self->closed_by) ? call_python(self, check_open) : 0;
}

int
wire_wait(Wire *self, Switching *scheduler, int is_reading)
{
    return wait_for(self, scheduler, is_reading ? recv_verb : send_verb, is_reading);
}

/* -- receiving and sending */

/* How many bytes are asked for; 0 for what the Python form is to look at. */
static inline size_t
bytes_asked(PyObject *const *args, Py_ssize_t count)
{
    if (!count)
        return WIRE_BUFFER_BYTES;
    if (count != 1 || !PyLong_CheckExact(args[0]))
        return 0;
    int overflow;
    long n = PyLong_AsLongAndOverflow(args[0], &overflow);
    return n >= 1 && n <= WIRE_BUFFER_BYTES ? (size_t)n : 0;
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
    if (!self->plain)
        return there(self->seal) && !self->held ? tls_recv(self, scheduler, asked) : Py_NotImplemented;
    for (;;) {
        if (self->readable) {
            ssize_t got = recv(self->fd, wire_buffer, asked, 0);
            if (got > 0) {
                if ((size_t)got < asked && self->short_is_drained)
                    self->readable = 0;
                self->received += got;
                return PyBytes_FromStringAndSize(wire_buffer, got);
            }
            if (got == 0)
                return meet_the_end(self, scheduler, asked);
            if (errno == EINTR)
                continue;
            if (errno != EAGAIN)
                return wire_fail(self, errno);
            self->readable = 0;
        }
        if (wire_wait(self, scheduler, 1) < 0)
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
                wire_fail(self, errno);
                return -1;
            }
            self->writable = 0;
        }
        if (wire_wait(self, scheduler, 0) < 0)
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
    if (!self->plain)
        return tls_send(self, scheduler, args[0], all);
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

/* What the kernel takes at once: nobody waits here, so nobody else runs either. */
PyObject *
wire_offer(PyObject *wire, PyObject *const *args, Py_ssize_t count)
{
    Wire *self = (Wire *)wire;
    if (!usual(self) || !self->plain || there(self->write_ended) || count != 1 || !PyBytes_CheckExact(args[0]))
        return Py_NotImplemented;
    ssize_t taken = 0;
    while (self->writable && !there(self->writer)) {
        taken = send(self->fd, PyBytes_AS_STRING(args[0]), PyBytes_GET_SIZE(args[0]), MSG_NOSIGNAL);
        if (taken >= 0)
            break;
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN)
            return wire_fail(self, errno);
        self->writable = 0;
        taken = 0;
    }
    self->sent += taken;
    return PyLong_FromSsize_t(taken);
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
    what(self->write_ended) what(self->ahead) what(self->raw) what(self->peer) what(self->file)   \
    what(self->local) what(self->parting) what(self->seal) what(self->incoming) what(self->outgoing) what(self->unsent)

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
    Py_CLEAR(self->id);
    Py_CLEAR(self->owner);
    Py_CLEAR(self->role);
    if (self->bare && self->fd >= 0)
        close(self->fd);
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

static int
wire_set_raw(Wire *self, PyObject *given, void *_)
{
    self->bare = 0;
    Py_XSETREF(self->raw, Py_XNewRef(given));
    return 0;
}

static int
wire_set_peer(Wire *self, PyObject *given, void *_)
{
    self->from.sin6_family = 0;
    Py_XSETREF(self->peer, Py_XNewRef(given));
    return 0;
}

static int
wire_set_read_ended(Wire *self, PyObject *given, void *_)
{
    Py_XSETREF(self->read_ended, Py_XNewRef(given));
    return 0;
}

static int
wire_set_closed_by(Wire *self, PyObject *given, void *_)
{
    Py_XSETREF(self->closed_by, Py_XNewRef(given));
    return 0;
}

static PyGetSetDef wire_getset[] = {
    {"_raw", (getter)wire_get_raw, (setter)wire_set_raw, NULL, NULL},
    {"peer", (getter)wire_get_peer, (setter)wire_set_peer, NULL, NULL},
    {"_closed_by", (getter)wire_get_closed_by, (setter)wire_set_closed_by, NULL, NULL},
    {"_ending", (getter)wire_get_ending, NULL, NULL, NULL},
    {"_read_ended", (getter)wire_get_read_ended, (setter)wire_set_read_ended, NULL, NULL},
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
    FIELD("_write_ended", T_OBJECT, write_ended),
    FIELD("_seal", T_OBJECT, seal),
    FIELD("_incoming", T_OBJECT, incoming),
    FIELD("_outgoing", T_OBJECT, outgoing),
    FIELD("_unsent", T_OBJECT, unsent),
    FIELD("_quiet", T_BOOL, quiet),
    FIELD("received", T_PYSSIZET, received),
    FIELD("sent", T_PYSSIZET, sent),
    FIELD("_reset", T_BOOL, reset),
    FIELD("_held", T_BOOL, held),
    FIELD("_parting", T_OBJECT, parting),
    FIELD("_overdue", T_PYSSIZET, overdue),
    FIELD("_born_at", T_DOUBLE, born_at),
    FIELD("_file", T_OBJECT_EX, file),
    FIELD("_local", T_OBJECT_EX, local),
    FIELD("id", T_OBJECT_EX, id),
    FIELD("owner", T_OBJECT_EX, owner),
    FIELD("role", T_OBJECT_EX, role),
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
    static const Text texts[] = {
        {&recv_verb, "recv"}, {&send_verb, "send"}, {&check_open, "_check_open"},
        {&check_sending, "_check_sending"}, {&failure, "_failure"}, {&took, "_took"},
        {&wait_name, "_wait"},
    };
    if (make_texts(texts, Py_ARRAY_LENGTH(texts)) < 0 || PyType_Ready(&WireType) < 0)
        return -1;
    return PyModule_AddObjectRef(module, "Wire", (PyObject *)&WireType);
}
