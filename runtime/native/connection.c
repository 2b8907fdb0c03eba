/* How a connection begins and ends: `accept` of a plain listener and `close` of a plain socket.

   As in wire.c, what is here is what is usual. A connection that was accepted here is a descriptor and no
   more: the library's object and the peer's address are made when somebody asks, for most die without. */

#define _GNU_SOURCE
#include "native.h"
#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_DROPPED_BYTES (1 << 20) /* as in `_socket.py` */

static PyObject *Socket, *ids, *raw_socket, *address_of, *label; /* of Python's */
static PyObject *accept_verb, *server_role, *close_it, *how_left, *by_peer, *peer_left, *was_reset, *was_idle;
static PyObject *closed_by_peer;

static int
load(void)
{
    static const struct {
        PyObject **into;
        const char *module, *name;
    } names[] = {
        {&ids, "coloop._endpoint", "_ids"},
        {&raw_socket, "coloop._wire", "raw_socket"},
        {&address_of, "coloop._address", "address_of"},
        {&label, "coloop._coroutine", "label"},
        {&Socket, "coloop._socket", "Socket"},
    };
    for (size_t i = 0; !Socket && i < Py_ARRAY_LENGTH(names); i++) {
        PyObject *module = PyImport_ImportModule(names[i].module);
        PyObject *found = module ? PyObject_GetAttrString(module, names[i].name) : NULL;
        Py_XDECREF(module);
        if (!found)
            return -1;
        Py_XSETREF(*names[i].into, found);
    }
    return 0;
}

/* -- what is made when somebody asks for it */

PyObject *
wire_get_raw(Wire *self, void *_)
{
    if (self->bare) {
        int family = self->family;
        PyObject *raw = load() < 0 ? NULL : PyObject_CallFunction(raw_socket, "ii", self->fd, family);
        if (!raw)
            return NULL;
        Py_XSETREF(self->raw, raw);
        self->bare = 0;
    }
    if (!self->raw)
        PyErr_SetString(PyExc_AttributeError, "_raw");
    return Py_XNewRef(self->raw);
}

/* As the library gives an address of the internet. */
static PyObject *
internet_address(const struct sockaddr_in6 *from)
{
    char host[INET6_ADDRSTRLEN];
    if (from->sin6_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)from;
        inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
        return Py_BuildValue("si", host, ntohs(v4->sin_port));
    }
    inet_ntop(AF_INET6, &from->sin6_addr, host, sizeof host);
    return Py_BuildValue("siII", host, ntohs(from->sin6_port), ntohl(from->sin6_flowinfo),
                         from->sin6_scope_id);
}

PyObject *
wire_get_peer(Wire *self, void *_)
{
    if (!self->peer && self->from.sin6_family) {
        PyObject *name = load() < 0 ? NULL : internet_address(&self->from);
        PyObject *peer = name ? PyObject_CallOneArg(address_of, name) : NULL;
        Py_XDECREF(name);
        if (!peer)
            return NULL;
        Py_XSETREF(self->peer, peer);
    }
    if (!self->peer)
        PyErr_SetString(PyExc_AttributeError, "peer");
    return Py_XNewRef(self->peer);
}

/* The peer has ended its stream; how that is said is asked for seldom. */
void
left_by_peer(Wire *self)
{
    Py_XSETREF(self->read_ended, Py_NewRef(by_peer));
}

PyObject *
wire_get_read_ended(Wire *self, void *_)
{
    if (self->read_ended == by_peer) {
        PyObject *text = PyObject_GetAttr((PyObject *)self, how_left);
        if (!text)
            return NULL;
        Py_XSETREF(self->read_ended, text);
    }
    return Py_NewRef(self->read_ended ? self->read_ended : Py_None);
}

static int
is_by_peer(PyObject *end)
{
    return end == by_peer || (there(end) && PyUnicode_Tailmatch(end, closed_by_peer, 0, PY_SSIZE_T_MAX, -1) == 1);
}

PyObject *
wire_get_ending(Wire *self, void *_)
{
    if (there(self->parting))
        return Py_NewRef(self->parting);
    if (is_by_peer(self->read_ended) || is_by_peer(self->write_ended))
        return Py_NewRef(peer_left);
    if (self->reset)
        return Py_NewRef(was_reset);
    return Py_NewRef(self->overdue == self->received + self->sent + 1 ? was_idle : Py_None);
}

/* Until somebody asks, the number of the coroutine that has closed it. */
PyObject *
wire_get_closed_by(Wire *self, void *_)
{
    if (self->closed_by && PyLong_Check(self->closed_by)) {
        PyObject *text = load() < 0 ? NULL : PyObject_CallOneArg(label, self->closed_by);
        if (!text)
            return NULL;
        Py_XSETREF(self->closed_by, text);
    }
    return Py_NewRef(self->closed_by ? self->closed_by : Py_None);
}

/* -- accepting */

/* Of a peer that has no name, the kernel tells nothing but its family. */
static PyObject *
unix_address(const struct sockaddr_un *from, socklen_t length)
{
    Py_ssize_t size = (Py_ssize_t)length - (Py_ssize_t)offsetof(struct sockaddr_un, sun_path);
    if (size <= 0 || (size == 1 && !from->sun_path[0]))
        Py_RETURN_NONE;
    const char *path = from->sun_path;
    PyObject *name = *path ? PyUnicode_DecodeFSDefaultAndSize(path, strnlen(path, size))
                           : PyBytes_FromStringAndSize(path, size);
    PyObject *address = name ? PyObject_CallOneArg(address_of, name) : NULL;
    Py_XDECREF(name);
    return address;
}

static int
note_peer(Wire *self, const struct sockaddr *from, socklen_t length)
{
    self->family = from->sa_family;
    if (from->sa_family == AF_INET || from->sa_family == AF_INET6)
        memcpy(&self->from, from, sizeof self->from);
    else
        self->peer = unix_address((const struct sockaddr_un *)from, length);
    return PyErr_Occurred() ? -1 : 0;
}

/* What `Socket` makes of a connection; it owns the descriptor, also if this fails. */
static Wire *
new_connection(Switching *scheduler, Poller *poller, int fd, const struct sockaddr *from, socklen_t length)
{
    Wire *self = load() < 0 ? NULL : (Wire *)((PyTypeObject *)Socket)->tp_alloc((PyTypeObject *)Socket, 0);
    if (!self) {
        close(fd);
        return NULL;
    }
    self->fd = fd;
    self->bare = self->plain = self->readable = self->writable = 1;
    self->short_is_drained = from->sa_family != AF_UNIX;
    self->scheduler = (Switching *)Py_NewRef(scheduler);
    self->born_at = clock_now(scheduler, scheduler->is_monotonic ? perf_counter() : 0);
    self->file = Py_NewRef(Py_None);
    self->local = Py_NewRef(Py_None);
    self->role = Py_NewRef(server_role);
    self->owner = Py_NewRef(scheduler->running->id);
    if (PyErr_Occurred() || note_peer(self, from, length) < 0 || watch(poller, self) < 0)
        goto failed;
    self->id = PyIter_Next(ids);
    Account *payer = scheduler_pays(); /* the table is not the acceptor's */
    int entered = self->id ? PyDict_SetItem(scheduler->sockets, self->id, (PyObject *)self) : -1;
    pays_again(payer);
    if (entered == 0)
        return self;
    unwatch(self);
failed:
    Py_DECREF(self);
    return NULL;
}

static inline int
may_accept(Wire *self)
{
    return !there(self->closed_by) && !there(self->reader) && self->poller;
}

PyObject *
wire_accept(PyObject *wire, PyObject *const *args, Py_ssize_t count)
{
    Wire *self = (Wire *)wire;
    Switching *scheduler = usual(self);
    if (count || !scheduler || !self->plain || !may_accept(self) || !scheduler->sockets)
        return Py_NotImplemented;
    if (take_turns(scheduler) < 0 || struck() < 0)
        return NULL;
    if (!may_accept(self))
        return Py_NotImplemented;
    for (;;) {
        if (self->readable) {
            union { /* nothing between here and its use switches */
                struct sockaddr any;
                struct sockaddr_un un;
                struct sockaddr_in6 in6;
            } from = {.any.sa_family = AF_UNIX};
            socklen_t length = sizeof from;
            int fd = accept4(self->fd, &from.any, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (fd >= 0) {
                Wire *connection = new_connection(scheduler, self->poller, fd, &from.any, length);
                if (!connection)
                    return NULL;
                self->received++;
                return hand_over(scheduler, (PyObject *)connection);
            }
            if (errno == EINTR)
                continue;
            if (errno != EAGAIN) /* Python knows what it means: it goes on, or meets it again */
                return Py_NotImplemented;
            self->readable = 0;
        }
        if (wait_for(self, scheduler, accept_verb, 1) < 0)
            return NULL;
    }
}

/* -- closing */

static inline int
peer_is_there(Wire *self)
{
    return !self->reset && !there(self->read_ended) && !there(self->write_ended);
}

/* Read what nobody will: a close over unread data would reset the connection and lose what we sent. */
static void
drop_unread(Wire *self)
{
    ssize_t count, total = 0;
    do {
        count = recv(self->fd, wire_buffer, WIRE_BUFFER_BYTES, 0);
        total += count;
    } while ((count > 0 && total < MAX_DROPPED_BYTES) || (count < 0 && errno == EINTR));
}

PyObject *
wire_close(PyObject *wire, PyObject *const *args, Py_ssize_t count)
{
    Wire *self = (Wire *)wire;
    Switching *scheduler = usual(self);
    int knows_end = self->read_ended == by_peer;
    if (count || !scheduler || !self->plain || !self->poller || there(self->read_waiter) ||
        there(self->write_waiter) || there(self->file) || !(knows_end || peer_is_there(self)))
        return Py_NotImplemented;
    unwatch(self);
    Py_XSETREF(self->closed_by, Py_NewRef(scheduler->running->id));
    if (!knows_end)
        drop_unread(self);
    if (!scheduler->sockets || PyDict_DelItem(scheduler->sockets, self->id) < 0)
        PyErr_Clear();
    if (self->bare) {
        close(self->fd);
        self->fd = -1;
    } else {
        PyObject *done = PyObject_CallMethodNoArgs(self->raw, close_it);
        if (!done)
            return NULL;
        Py_DECREF(done);
    }
    Py_RETURN_NONE;
}

int
add_connection(PyObject *module)
{
    static const Text texts[] = {
        {&accept_verb, "accept"}, {&server_role, "server"}, {&close_it, "close"},
        {&how_left, "_how_left"}, {&by_peer, "closed by peer, unsaid"},
        {&closed_by_peer, "closed by peer"}, {&peer_left, "peer"},
        {&was_reset, "reset"}, {&was_idle, "idle"},
    };
    return make_texts(texts, Py_ARRAY_LENGTH(texts));
}
