/* Reading and writing a TLS stream: fetch, open, seal, give, and park when there is nothing. See `_tls.py`.

   The library's TLS object and its two buffers are asked as Python would ask them, but without a frame or an
   exception in between. What is here is what is usual, as in `wire.c`: after the handshake, with nothing owed to
   the peer. As soon as it is not (a fault, an end, a change of keys that must be answered, a full kernel) the
   Python form goes on from where this is; the lane is held for it.

   The TLS object lets other threads run while it works, and one of them might aim at the running coroutine. A
   shot would strike in the Python code that is called next, in the midst of things: so nobody is exposed. */

#include "native.h"
#include <errno.h>
#include <sys/socket.h>

#define RECORD_BYTES 16384 /* of plain text, at most */
#define SEND_BYTES 65536
#define SMALL_BYTES 2048 /* what is copied for less than it takes to make a view */

enum { FAILED = -1, NOTHING, DONE, UNUSUAL };

static PyObject *read_name, *write_name, *pending_name, *line_name, *wake_all;
static PyObject *take_down, *go_on_receiving, *give, *give_all, *flush, *send_verb;

static State *
take_shelter(Switching *scheduler)
{
    State *exposed = scheduler->exposed;
    scheduler->exposed = NULL;
    return exposed;
}

static void
leave_shelter(Switching *scheduler, State *exposed)
{
    set_exposed(scheduler, exposed);
    Py_XDECREF(exposed);
}

static Py_ssize_t
as_size(PyObject *number)
{
    Py_ssize_t size = number ? PyLong_AsSsize_t(number) : -1;
    Py_XDECREF(number);
    return size;
}

/* How many bytes lie in a buffer; -1 with an exception. */
static inline Py_ssize_t
lie_in(PyObject *buffer)
{
    return as_size(PyObject_GetAttr(buffer, pending_name));
}

/* Whether the kernel has still to be given something; -1 with an exception. */
static int
owes(Wire *self)
{
    if (there(self->unsent))
        return 1;
    Py_ssize_t owed = lie_in(self->outgoing);
    return owed < 0 ? -1 : owed > 0;
}

/* The TLS object has raised: NOTHING if it only wants more of the peer; else Python takes down what it means. */
static int
refused(Wire *self)
{
    if (PyErr_ExceptionMatches(of.SSLWantReadError)) {
        PyErr_Clear();
        return NOTHING;
    }
    if (!PyErr_ExceptionMatches(of.SSLError))
        return FAILED;
    PyObject *error = take_error();
    PyObject *done = PyObject_CallMethodOneArg((PyObject *)self, take_down, error);
    Py_DECREF(error);
    Py_XDECREF(done);
    return done ? UNUSUAL : FAILED;
}

/* What Python makes of the rest, as the one who holds the lane. */
static PyObject *
in_python(Wire *self, Switching *scheduler, PyObject **lane, PyObject *method, PyObject *argument)
{
    if (!argument)
        return NULL;
    Py_XSETREF(*lane, Py_NewRef(scheduler->running));
    PyObject *result = PyObject_CallMethodOneArg((PyObject *)self, method, argument);
    Py_CLEAR(*lane);
    Py_DECREF(argument);
    return result;
}

/* -- receiving */

/* After what it says to a read that it was asked for in vain: it may hold a piece of a record. */
static int
in_vain(Wire *self, int answer)
{
    self->quiet = self->in_pieces = answer == NOTHING;
    return answer;
}

/* One read of the TLS object's, into `view` if it is given; its result, or NULL. */
static PyObject *
read_record(Wire *self, Py_ssize_t room, PyObject *view)
{
    PyObject *seal = Py_NewRef(self->seal), *number = PyLong_FromSsize_t(room);
    PyObject *args[] = {seal, number, view};
    PyObject *result = number ? PyObject_VectorcallMethod(read_name, args, view ? 3 : 2, NULL) : NULL;
    Py_XDECREF(number);
    Py_DECREF(seal);
    return result;
}

/* It has given `got` bytes of plain text where `room` were asked for: is there more? */
static int
note_rest(Wire *self, Py_ssize_t got, Py_ssize_t room)
{
    Py_ssize_t rest = lie_in(self->incoming);
    if (rest == 0 && got == room && there(self->seal)) /* it may hold a part of the record */
        rest = as_size(PyObject_CallMethodNoArgs(self->seal, pending_name));
    self->quiet = rest == 0;
    self->in_pieces = rest > 0 && got == room;
    return rest < 0 ? FAILED : DONE;
}

static int
open_one(Wire *self, Py_ssize_t room, PyObject **opened)
{
    PyObject *data = read_record(self, room, NULL);
    if (!data)
        return in_vain(self, refused(self));
    Py_ssize_t got = PyBytes_CheckExact(data) ? PyBytes_GET_SIZE(data) : 0;
    if (!got) { /* the end, which it says as often as it is asked */
        Py_DECREF(data);
        return UNUSUAL;
    }
    *opened = data;
    return note_rest(self, got, room);
}

/* All that is there, as far as there is room: who sends it on does so in fewer calls. */
static int
open_many(Wire *self, Py_ssize_t room, PyObject **opened)
{
    PyObject *data = PyBytes_FromStringAndSize(NULL, room);
    Py_ssize_t done = 0;
    int answer = data ? DONE : FAILED;
    while (answer == DONE && done < room && !self->quiet && there(self->seal)) {
        PyObject *view = PyMemoryView_FromMemory(PyBytes_AS_STRING(data) + done, room - done, PyBUF_WRITE);
        PyObject *number = view ? read_record(self, room - done, view) : NULL;
        Py_XDECREF(view);
        if (!number) {
            answer = in_vain(self, refused(self));
            break;
        }
        Py_ssize_t got = as_size(number);
        if (got <= 0)
            answer = got < 0 ? FAILED : UNUSUAL;
        else
            answer = note_rest(self, got, room - done), done += got;
    }
    if (answer == FAILED || !done) {
        Py_XDECREF(data);
        return answer == DONE ? UNUSUAL : answer;
    }
    /* An end or a fault behind it is told to whoever asks next. */
    if (_PyBytes_Resize(&data, done) < 0)
        return FAILED;
    *opened = data;
    return DONE;
}

static int
open_records(Wire *self, Py_ssize_t asked, PyObject **opened)
{
    Py_ssize_t lie = lie_in(self->incoming);
    if (lie < 0)
        return FAILED;
    /* What is opened is shorter than its records, if they are here whole. */
    Py_ssize_t room = lie && lie < asked && !self->in_pieces ? lie : asked;
    return room > RECORD_BYTES && lie > RECORD_BYTES
               ? open_many(self, room, opened)
               : open_one(self, room < RECORD_BYTES ? room : RECORD_BYTES, opened);
}

/* Pass on what the kernel has. */
static int
fetch(Wire *self)
{
    static char buffer[SEND_BYTES]; /* everybody's: no other thread runs until it is passed on */
    if (!self->readable)
        return NOTHING;
    ssize_t got;
    do
        got = recv(self->fd, buffer, sizeof buffer, 0);
    while (got < 0 && errno == EINTR);
    if (got < 0 && errno == EAGAIN) {
        self->readable = 0;
        return NOTHING;
    }
    if (got < 0) {
        wire_fail(self, errno);
        return FAILED;
    }
    if (got == 0)
        return UNUSUAL;
    if ((size_t)got < sizeof buffer && self->short_is_drained)
        self->readable = 0;
    PyObject *data = got <= SMALL_BYTES ? PyBytes_FromStringAndSize(buffer, got)
                                        : PyMemoryView_FromMemory(buffer, got, PyBUF_READ);
    PyObject *done = data ? PyObject_CallMethodOneArg(self->incoming, write_name, data) : NULL;
    Py_XDECREF(data);
    Py_XDECREF(done);
    self->quiet = 0;
    return done ? DONE : FAILED;
}

/* Those who waited for the same as we did look again, whatever our wait has come to. */
static int
rouse_line(Wire *self)
{
    PyObject *line = PyObject_GetAttr((PyObject *)self, line_name);
    if (line && PyObject_TypeCheck(line, &LineType) && line_is_empty((Line *)line)) {
        Py_DECREF(line);
        return 0;
    }
    PyObject *done = line ? PyObject_CallMethodNoArgs(line, wake_all) : NULL;
    Py_XDECREF(line);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

static int
wait_to_read(Wire *self, Switching *scheduler)
{
    PyObject *error = wire_wait(self, scheduler, 1) < 0 ? take_error() : NULL;
    int roused = rouse_line(self);
    if (!error)
        return roused;
    if (roused < 0)
        PyErr_Clear();
    PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    Py_DECREF(error);
    return -1;
}

/* Open what is there, else fetch, else say that one has to wait: NOTHING. */
static int
receive(Wire *self, size_t asked, PyObject **opened)
{
    for (;;) {
        if (!there(self->seal) || there(self->read_ended))
            return UNUSUAL;
        int answer = self->quiet ? NOTHING : open_records(self, (Py_ssize_t)asked, opened);
        if (answer != NOTHING)
            return answer;
        int owed = owes(self);
        if (owed)
            return owed < 0 ? FAILED : UNUSUAL;
        answer = fetch(self);
        if (answer != DONE)
            return answer;
    }
}

PyObject *
tls_recv(Wire *self, Switching *scheduler, size_t asked)
{
    for (;;) {
        State *exposed = take_shelter(scheduler);
        PyObject *data = NULL;
        int answer = struck() < 0 ? FAILED : receive(self, asked, &data);
        leave_shelter(scheduler, exposed);
        if (answer == DONE) {
            self->received += PyBytes_GET_SIZE(data);
            return data;
        }
        if (answer == FAILED)
            return NULL;
        if (answer == UNUSUAL || !self->poller || there(self->read_waiter))
            return in_python(self, scheduler, &self->reader, go_on_receiving, PyLong_FromSize_t(asked));
        if (wait_to_read(self, scheduler) < 0)
            return NULL;
    }
}

/* -- sending */

/* How much of `records` the kernel takes; -1 with an exception. */
static Py_ssize_t
give_to_kernel(Wire *self, PyObject *records)
{
    const char *bytes = PyBytes_AS_STRING(records);
    Py_ssize_t size = PyBytes_GET_SIZE(records), done = 0;
    while (self->writable && done < size) {
        ssize_t count = send(self->fd, bytes + done, size - done, MSG_NOSIGNAL);
        if (count >= 0)
            done += count;
        else if (errno == EAGAIN)
            self->writable = 0;
        else if (errno != EINTR) {
            wire_fail(self, errno);
            return -1;
        }
    }
    return done;
}

/* DONE if the kernel has taken all; UNUSUAL if it has to be waited for: the rest is kept. */
static int
give_records(Wire *self)
{
    PyObject *records = PyObject_CallMethodNoArgs(self->outgoing, read_name);
    if (!records)
        return FAILED;
    Py_ssize_t size = PyBytes_GET_SIZE(records), done = give_to_kernel(self, records);
    int answer = done < 0 ? FAILED : done == size ? DONE : UNUSUAL;
    if (answer == UNUSUAL) {
        PyObject *view = PyMemoryView_FromObject(records);
        PyObject *rest = view ? PySequence_GetSlice(view, done, size) : NULL;
        Py_XDECREF(view);
        if (rest)
            Py_XSETREF(self->unsent, rest);
        else
            answer = FAILED;
    }
    Py_DECREF(records);
    return answer;
}

/* Make records of `data`: how many bytes of it are in them. */
static int
seal_records(Wire *self, PyObject *data, Py_ssize_t *count)
{
    PyObject *seal = Py_NewRef(self->seal);
    PyObject *number = PyObject_CallMethodOneArg(seal, write_name, data);
    Py_DECREF(seal);
    if (!number)
        return refused(self);
    *count = as_size(number);
    return *count < 0 ? FAILED : DONE;
}

/* Borrows NotImplemented, as the quick ways do: nothing has happened then. */
PyObject *
tls_send(Wire *self, Switching *scheduler, PyObject *data, int all)
{
    Py_ssize_t size = PyBytes_GET_SIZE(data), count = 0;
    if (!there(self->seal) || size > SEND_BYTES)
        return Py_NotImplemented;
    int owed = owes(self);
    if (owed)
        return owed < 0 ? NULL : Py_NotImplemented;
    State *exposed = take_shelter(scheduler);
    int answer = struck() < 0 ? FAILED : seal_records(self, data, &count), given = DONE;
    if (answer == DONE) {
        self->sent += count;
        given = give_records(self);
    }
    leave_shelter(scheduler, exposed);
    if (answer == FAILED || given == FAILED)
        return NULL;
    if (answer != DONE) /* it cannot send now, and nothing was sent */
        return in_python(self, scheduler, &self->writer, all ? give_all : give, Py_NewRef(data));
    if (given != DONE) {
        PyObject *done = in_python(self, scheduler, &self->writer, flush, Py_NewRef(send_verb));
        if (!done)
            return NULL;
        Py_DECREF(done);
    }
    return all ? Py_NewRef(Py_None) : PyLong_FromSsize_t(count);
}

int
add_tls(PyObject *module)
{
    static const Text texts[] = {
        {&read_name, "read"}, {&write_name, "write"}, {&pending_name, "pending"}, {&line_name, "_line"},
        {&wake_all, "wake_all"}, {&take_down, "_take_down"}, {&go_on_receiving, "_go_on_receiving"},
        {&give, "_give"}, {&give_all, "_give_all"}, {&flush, "_flush"}, {&send_verb, "send"},
    };
    return make_texts(texts, Py_ARRAY_LENGTH(texts));
}
