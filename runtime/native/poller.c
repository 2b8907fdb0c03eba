/* Which descriptors are ready: epoll, each registered once, edge-triggered, both ways. See `_poller.py`. */

#include "native.h"
#include <errno.h>
#include <math.h>
#include <sys/epoll.h>
#include <unistd.h>

#define READ 1 /* as `selectors` has them */
#define WRITE 2
#define MAX_WAIT_S 3600.0
#define BATCH 512

#define HANGUP (EPOLLRDHUP | EPOLLHUP | EPOLLERR)
#define DOUBT (HANGUP | EPOLLPRI)
#define READABLE (EPOLLIN | DOUBT)
#define WRITABLE (EPOLLOUT | EPOLLHUP | EPOLLERR)
#define EVERY_EDGE (EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLET)

static PyObject *watched_already, *ring, *close_it; /* what Python has words or ways for */

/* -- who waits */

int
expect(Wire *wire, int is_reading, PyObject *waiter)
{
    PyObject **place = is_reading ? &wire->read_waiter : &wire->write_waiter;
    if (there(*place)) {
        PyErr_Format(PyExc_AssertionError, "%R has a %s", wire, is_reading ? "reader" : "writer");
        return -1;
    }
    Py_XSETREF(*place, Py_NewRef(waiter));
    if (wire->poller)
        wire->poller->waiting++;
    return 0;
}

void
withdraw(Wire *wire, int is_reading)
{
    PyObject **place = is_reading ? &wire->read_waiter : &wire->write_waiter;
    if (!there(*place))
        return;
    if (wire->poller)
        wire->poller->waiting--;
    Py_CLEAR(*place);
}

static int
understood(const char *name, PyObject *const *args, Py_ssize_t count, Py_ssize_t wanted, long *direction)
{
    if (count != wanted || !PyObject_TypeCheck(args[0], &WireType)) {
        PyErr_Format(PyExc_TypeError, "%s takes a wire and %zd more", name, wanted - 1);
        return -1;
    }
    *direction = PyLong_AsLong(args[1]);
    return PyErr_Occurred() ? -1 : 0;
}

static PyObject *
poller_expect(Poller *self, PyObject *const *args, Py_ssize_t count)
{
    long direction;
    if (understood("expect", args, count, 3, &direction) < 0 ||
        expect((Wire *)args[0], direction == READ, args[2]) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *
poller_withdraw(Poller *self, PyObject *const *args, Py_ssize_t count)
{
    long direction;
    if (understood("withdraw", args, count, 2, &direction) < 0)
        return NULL;
    withdraw((Wire *)args[0], direction == READ);
    Py_RETURN_NONE;
}

/* -- what is watched */

static int
make_room(Poller *self, int fd)
{
    if (fd < self->size)
        return 0;
    int size = self->size ? self->size : 64;
    while (size <= fd)
        size *= 2;
    Account *payer = scheduler_pays();
    Wire **wires = PyMem_Resize(self->wires, Wire *, size);
    pays_again(payer);
    if (!wires) {
        PyErr_NoMemory();
        return -1;
    }
    memset(wires + self->size, 0, (size - self->size) * sizeof *wires);
    self->wires = wires, self->size = size;
    return 0;
}

static int
watches(Poller *self, Wire *wire)
{
    return wire->fd >= 0 && wire->fd < self->size && self->wires[wire->fd] == wire;
}

int
watch(Poller *self, Wire *wire)
{
    if (wire->fd >= 0 && make_room(self, wire->fd) < 0)
        return -1;
    if (wire->fd >= 0 && self->wires[wire->fd]) {
        PyObject *error = PyObject_CallFunction(watched_already, "i", wire->fd);
        if (error)
            PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_XDECREF(error);
        return -1;
    }
    struct epoll_event event = {.events = EVERY_EDGE, .data.fd = wire->fd};
    if (epoll_ctl(self->epoll, EPOLL_CTL_ADD, wire->fd, &event) < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    self->wires[wire->fd] = (Wire *)Py_NewRef(wire);
    Py_XSETREF(wire->poller, (Poller *)Py_NewRef(self));
    return 0;
}

/* Always before the descriptor is closed: a copy of it that is open elsewhere would keep it in the epoll set. */
void
unwatch(Wire *wire)
{
    Poller *self = wire->poller;
    if (!self || !watches(self, wire))
        return;
    epoll_ctl(self->epoll, EPOLL_CTL_DEL, wire->fd, NULL); /* one that was closed too early has left */
    self->wires[wire->fd] = NULL;
    wire->poller = NULL;
    Py_DECREF(self);
    Py_DECREF(wire);
}

static PyObject *
poller_register(Poller *self, PyObject *given)
{
    if (!PyObject_TypeCheck(given, &WireType)) {
        PyErr_Format(PyExc_TypeError, "register takes a wire, not %R", given);
        return NULL;
    }
    if (watch(self, (Wire *)given) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *
poller_forget(Poller *self, PyObject *given)
{
    if (!PyObject_TypeCheck(given, &WireType)) {
        PyErr_Format(PyExc_TypeError, "forget takes a wire, not %R", given);
        return NULL;
    }
    Wire *wire = (Wire *)given;
    PyObject *left = PyList_New(0);
    if (!left)
        return NULL;
    if (there(wire->read_waiter) && PyList_Append(left, wire->read_waiter) < 0)
        goto failed;
    if (there(wire->write_waiter) && PyList_Append(left, wire->write_waiter) < 0)
        goto failed;
    withdraw(wire, 1);
    withdraw(wire, 0);
    if (wire->poller == self)
        unwatch(wire);
    PyObject *told = PyList_AsTuple(left);
    Py_DECREF(left);
    return told;
failed:
    Py_DECREF(left);
    return NULL;
}

/* -- what is not to be read from now */

static PyObject *
poller_hold(Poller *self, PyObject *given)
{
    if (!PyObject_TypeCheck(given, &WireType)) {
        PyErr_Format(PyExc_TypeError, "hold takes a wire, not %R", given);
        return NULL;
    }
    ((Wire *)given)->held = 1;
    ((Wire *)given)->readable = 0;
    Py_RETURN_NONE;
}

static PyObject *
poller_release(Poller *self, PyObject *given)
{
    if (!PyObject_TypeCheck(given, &WireType)) {
        PyErr_Format(PyExc_TypeError, "release takes a wire, not %R", given);
        return NULL;
    }
    Wire *wire = (Wire *)given;
    PyObject *waiter = Py_NewRef(there(wire->read_waiter) ? wire->read_waiter : Py_None);
    wire->held = 0;
    wire->readable = 1;
    withdraw(wire, 1);
    return waiter;
}

/* -- asking the kernel */

static int
tell(Poller *self, PyObject **waiter, PyObject *over)
{
    if (!there(*waiter))
        return 0;
    if (PyList_Append(over, *waiter) < 0)
        return -1;
    Py_CLEAR(*waiter);
    self->waiting--;
    return 0;
}

static void
hush(int bell_fd)
{
    char heard[4096];
    ssize_t count;
    do
        count = read(bell_fd, heard, sizeof heard);
    while (count < 0 && errno == EINTR);
}

static int
sort_out(Poller *self, const struct epoll_event *event, PyObject *over)
{
    int fd = event->data.fd;
    uint32_t events = event->events;
    Wire *wire = fd < self->size ? self->wires[fd] : NULL;
    if (!wire) {
        if (fd == self->bell_fd)
            hush(fd);
        return 0;
    }
    if (events & DOUBT)
        wire->short_is_drained = 0;
    if (events & READABLE && !wire->held) {
        wire->readable = 1;
        if (tell(self, &wire->read_waiter, over) < 0)
            return -1;
    }
    if (events & WRITABLE) {
        wire->writable = 1;
        if (tell(self, &wire->write_waiter, over) < 0)
            return -1;
    }
    return 0;
}

/* Other threads get the interpreter when this waits; for a poll that does not, see `_handover.py`. */
static int
wait_for_events(Poller *self, struct epoll_event *batch, double timeout_s)
{
    if (!(timeout_s > 0))
        return epoll_wait(self->epoll, batch, BATCH, 0);
    double end = perf_counter() + timeout_s;
    for (;;) {
        int count;
        int left_ms = (int)ceil(timeout_s * 1e3); /* up: a loop that woke too early would spin */
        Py_BEGIN_ALLOW_THREADS
        count = epoll_wait(self->epoll, batch, BATCH, left_ms);
        Py_END_ALLOW_THREADS
        if (count >= 0 || errno != EINTR)
            return count;
        if (PyErr_CheckSignals() < 0)
            return -1;
        timeout_s = end - perf_counter();
        if (timeout_s <= 0)
            return 0;
    }
}

static PyObject *
poller_poll(Poller *self, PyObject *given)
{
    double timeout_s = MAX_WAIT_S;
    if (given != Py_None) {
        timeout_s = PyFloat_AsDouble(given);
        if (timeout_s == -1.0 && PyErr_Occurred())
            return NULL;
        timeout_s = timeout_s < MAX_WAIT_S ? timeout_s : isnan(timeout_s) ? 0.0 : MAX_WAIT_S;
    }
    struct epoll_event batch[BATCH]; /* nothing here switches */
    int count = wait_for_events(self, batch, timeout_s);
    if (count < 0 && !PyErr_Occurred() && errno != EINTR)
        PyErr_SetFromErrno(PyExc_OSError);
    PyObject *over = PyErr_Occurred() ? NULL : PyList_New(0);
    for (int i = 0; over && i < count; i++)
        if (sort_out(self, &batch[i], over) < 0)
            Py_CLEAR(over);
    return over;
}

/* -- its life */

static PyObject *
poller_wake(Poller *self, PyObject *_)
{
    return PyObject_CallMethodNoArgs(self->bell, ring);
}

static void
let_go(Poller *self)
{
    for (int fd = 0; fd < self->size; fd++) {
        Wire *wire = self->wires[fd];
        self->wires[fd] = NULL;
        if (wire) {
            Py_CLEAR(wire->poller);
            Py_DECREF(wire);
        }
    }
    if (self->epoll >= 0)
        close(self->epoll);
    self->epoll = -1;
}

static PyObject *
poller_close(Poller *self, PyObject *_)
{
    let_go(self);
    return PyObject_CallMethodNoArgs(self->bell, close_it);
}

static PyObject *
poller_new(PyTypeObject *type, PyObject *_, PyObject *__)
{
    Poller *self = (Poller *)type->tp_alloc(type, 0);
    if (self)
        self->epoll = -1;
    return (PyObject *)self;
}

static int
poller_init(Poller *self, PyObject *_, PyObject *__)
{
    PyObject *module = PyImport_ImportModule("coloop._poller");
    if (!module)
        return -1;
    if (!watched_already)
        watched_already = PyObject_GetAttrString(module, "watched_already");
    Py_XSETREF(self->bell, PyObject_CallMethod(module, "Bell", NULL));
    Py_DECREF(module);
    PyObject *fd = self->bell ? PyObject_GetAttrString(self->bell, "fd") : NULL;
    PyObject *rope = self->bell ? PyObject_GetAttrString(self->bell, "rope") : NULL;
    if (fd && rope) {
        self->bell_fd = PyLong_AsLong(fd);
        self->rope = PyLong_AsLong(rope);
    }
    Py_XDECREF(fd);
    Py_XDECREF(rope);
    if (!watched_already || !fd || !rope || make_room(self, self->bell_fd) < 0)
        return -1;
    struct epoll_event event = {.events = EPOLLIN, .data.fd = self->bell_fd};
    self->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (self->epoll < 0 || epoll_ctl(self->epoll, EPOLL_CTL_ADD, self->bell_fd, &event) < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    return 0;
}

static int
poller_traverse(Poller *self, visitproc visit, void *arg)
{
    Py_VISIT(self->dict);
    Py_VISIT(self->bell);
    for (int fd = 0; fd < self->size; fd++)
        Py_VISIT(self->wires[fd]);
    return 0;
}

static int
poller_clear(Poller *self)
{
    let_go(self);
    Py_CLEAR(self->dict);
    return 0;
}

static void
poller_dealloc(Poller *self)
{
    PyObject_GC_UnTrack(self);
    poller_clear(self);
    Py_CLEAR(self->bell);
    PyMem_Free(self->wires);
    Py_TYPE(self)->tp_free(self);
}

static PyObject *
poller_get_wires(Poller *self, void *_)
{
    PyObject *wires = PyDict_New();
    for (int fd = 0; wires && fd < self->size; fd++) {
        if (!self->wires[fd])
            continue;
        PyObject *number = PyLong_FromLong(fd);
        if (!number || PyDict_SetItem(wires, number, (PyObject *)self->wires[fd]) < 0)
            Py_CLEAR(wires);
        Py_XDECREF(number);
    }
    return wires;
}

static PyGetSetDef poller_getset[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {"_wires", (getter)poller_get_wires, NULL, NULL, NULL},
    {NULL},
};

static PyMemberDef poller_members[] = {
    {"waiting", T_PYSSIZET, offsetof(Poller, waiting), 0, NULL},
    {"rope", T_INT, offsetof(Poller, rope), READONLY, NULL},
    {"_bell", T_OBJECT, offsetof(Poller, bell), READONLY, NULL},
    {"__dictoffset__", T_PYSSIZET, offsetof(Poller, dict), READONLY, NULL},
    {NULL},
};

static PyMethodDef poller_methods[] = {
    {"register", (PyCFunction)poller_register, METH_O, NULL},
    {"forget", (PyCFunction)poller_forget, METH_O, NULL},
    {"expect", (PyCFunction)(void (*)(void))poller_expect, METH_FASTCALL, NULL},
    {"withdraw", (PyCFunction)(void (*)(void))poller_withdraw, METH_FASTCALL, NULL},
    {"hold", (PyCFunction)poller_hold, METH_O, NULL},
    {"release", (PyCFunction)poller_release, METH_O, NULL},
    {"poll", (PyCFunction)poller_poll, METH_O, NULL},
    {"wake", (PyCFunction)poller_wake, METH_NOARGS, NULL},
    {"close", (PyCFunction)poller_close, METH_NOARGS, NULL},
    {NULL},
};

static PyTypeObject PollerType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "coloop._native.EpollPoller",
    .tp_basicsize = sizeof(Poller),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_doc = "Linux: every descriptor registered once, edge-triggered: see `_poller.py`.",
    .tp_new = poller_new,
    .tp_init = (initproc)poller_init,
    .tp_dealloc = (destructor)poller_dealloc,
    .tp_traverse = (traverseproc)poller_traverse,
    .tp_clear = (inquiry)poller_clear,
    .tp_members = poller_members,
    .tp_getset = poller_getset,
    .tp_methods = poller_methods,
    .tp_dictoffset = offsetof(Poller, dict),
};

int
add_poller(PyObject *module)
{
    ring = PyUnicode_InternFromString("ring");
    close_it = PyUnicode_InternFromString("close");
    if (!ring || !close_it || PyType_Ready(&PollerType) < 0)
        return -1;
    return PyModule_AddObjectRef(module, "EpollPoller", (PyObject *)&PollerType);
}
