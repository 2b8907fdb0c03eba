/* What happens when one account, or all together, hold more than they may. See `_limits.py`, the reference.

   To refuse an allocation hurts bystanders: the collector may be running a finalizer of somebody else's, and not
   all C code stands a refusal well. So it is granted, and the error strikes in the coroutine's own code, at the
   next place where CPython looks for an exception from another thread; it does not strike at the door of the
   runtime (see `_kill.py`), and who gets there first is told at the safe point of his wait. A request that could
   harm the machine is refused at once: CPython makes a MemoryError of that, which is given its right name where it
   ends the coroutine.

   The exception that strikes is asked for by its class alone, so what it is to say is kept here for it. */

#define Py_BUILD_CORE_MODULE
#include <Python.h>
#include <internal/pycore_interp.h>

#include "ledger_frames.h"

#define HEADROOM_BYTES (64 * 1024) /* room to handle the error, before it is told again */
#define LARGEST_GRANTED ((size_t)64 << 20)

static _Thread_local struct {
    Limit *limit;   /* owned, as is the code; NULL before the first */
    PyObject *code;
    Crossing crossing;
    PyObject *put_off; /* what is to strike when the collector has done; borrowed */
} last;

/* As `PyThreadState_SetAsyncExc`, which takes a lock that may be held by whoever has called the allocator. */
static void
strike(PyThreadState *thread, PyObject *error)
{
    thread->async_exc = Py_NewRef(error);
#if PY_VERSION_HEX >= 0x030D0000
    __atomic_fetch_or(&thread->eval_breaker, (uintptr_t)1 << 3, __ATOMIC_SEQ_CST); /* _PY_ASYNC_EXCEPTION_BIT */
#else
    __atomic_store_n(&thread->interp->ceval.eval_breaker._value, 1, __ATOMIC_SEQ_CST);
#endif
}

/* What the collector runs is anybody's, and an error that strikes there is lost: so it is put off until the end. */

void
put_off_strike(PyThreadState *thread)
{
    PyObject *error = thread->async_exc;
    if (error && (error == of.Struck || error == of.StruckDown)) {
        last.put_off = error;
        thread->async_exc = NULL;
        Py_DECREF(error); /* the names hold it */
    }
}

void
let_strike(PyThreadState *thread)
{
    if (last.put_off) {
        if (!thread->async_exc)
            strike(thread, last.put_off);
        last.put_off = NULL;
    }
}

#define DEEPEST_FINALIZER 16

/* Whether it is a finalizer that runs, perhaps of what belongs to somebody else: an error would be lost there. */
static int
is_finalizing(PyThreadState *thread)
{
    if (thread->interp->gc.collecting)
        return 1;
    _PyInterpreterFrame *frame = innermost_frame(thread);
    for (int i = 0; frame && i < DEEPEST_FINALIZER; i++, frame = frame->previous) {
        PyCodeObject *code = code_of(frame);
        if (code && PyUnicode_CompareWithASCIIString(code->co_name, "__del__") == 0)
            return 1;
    }
    return 0;
}

/* Whether the innermost code is that of the coroutine which is to be told, and not about to be handed something. */
static int
can_strike(const Limit *limit, const Switching *here, PyThreadState *thread)
{
    State *exposed = here->exposed;
    if (!exposed || thread->async_exc || (limit->account && exposed->account != limit->account))
        return 0;
    const Crossing *crossing = &limit->crossing;
    if (!limit->code || (limit->code == here->handed_code && crossing->instruction == here->handed_at))
        return 0;
    return !is_ours((PyCodeObject *)limit->code) && !is_finalizing(thread);
}

static void
note(Limit *limit, int64_t used, int64_t tried)
{
    limit->crossing.used = used;
    limit->crossing.tried = tried;
    PyObject *old = limit->code;
    limit->code = (PyObject *)innermost(PyThreadState_Get(), &limit->crossing.instruction);
    Py_XDECREF(old);
}

static void
cross(Limit *limit, int64_t used, int64_t tried)
{
    if (!limit->is_pending) /* else nobody was told of the last time */
        limit->times++;
    limit->wire = used + HEADROOM_BYTES;
    limit->is_pending = 1;
    limit->crossing.times = limit->times;
    note(limit, used, tried);
    Switching *here = (Switching *)current;
    PyThreadState *thread = PyThreadState_Get();
    if (limit->action == WARN || !here || !can_strike(limit, here, thread))
        return;
    limit->is_pending = 0;
    last.crossing = limit->crossing;
    Py_XSETREF(last.code, Py_NewRef(limit->code));
    Py_XSETREF(last.limit, (Limit *)Py_NewRef(limit));
    strike(thread, limit->action == CANCEL || limit->times > 1 ? of.StruckDown : of.Struck);
}

static Limit *
limit_of_all(void)
{
    Switching *here = (Switching *)current;
    return here && here->running && here->limit != Py_None ? (Limit *)here->limit : NULL;
}

int64_t
living_bytes(void)
{
    int64_t rest = 0;
    for (int i = 0; i < FIRST_ACCOUNT; i++)
        rest += accounts[i].bytes;
    return ledger_bytes - rest - closed_bytes;
}

/* `account` holds more than it ever did, or than its wire allows: by `tried` bytes, a moment ago. */
void
look_at_limits(Account *account, int64_t tried)
{
    Limit *limit = particulars[number_of(account)].limit, *all = limit_of_all();
    if (limit) {
        if (account->bytes > limit->wire)
            cross(limit, account->bytes, tried);
        if (account->trip > limit->wire)
            account->trip = limit->wire;
    }
    if (all && living_bytes() > all->wire)
        cross(all, living_bytes(), tried);
}

static int
is_too_much(Limit *limit, int64_t used, size_t size)
{
    if (!limit || limit->action == WARN || used + (int64_t)size <= limit->bytes)
        return 0;
    limit->is_refused = 1;
    limit->crossing.times = limit->times;
    note(limit, used, (int64_t)size);
    return 1;
}

/* What is given back if `old` is resized by who has this account. */
static size_t
spared(const Account *account, const void *old)
{
    const uint32_t *tag = old ? find_tag((uintptr_t)old) : NULL;
    return tag && *tag && tagged_account(*tag) == account ? (size_t)tagged_bytes(tag) : 0;
}

/* Whether a request is refused; `old` is the block that it is to take the place of, if any. One for so much that no
   size can say it is the system's to refuse. */
int
refuses(size_t size, const void *old)
{
    Account *account = paying;
    if (size <= LARGEST_GRANTED || !counting || !account || size > PY_SSIZE_T_MAX)
        return 0;
    size_t less = spared(account, old);
    if (size <= LARGEST_GRANTED + less)
        return 0;
    Limit *all = limit_of_all();
    return is_too_much(particulars[number_of(account)].limit, account->bytes, size - less) ||
           (all && account >= &accounts[FIRST_ACCOUNT] && is_too_much(all, living_bytes(), size - less));
}

void
attach_limit(Account *account, PyObject *given)
{
    Limit *limit = (Limit *)given, *old = particulars[number_of(account)].limit;
    if (old)
        old->account = NULL;
    particulars[number_of(account)].limit = limit;
    account->trip = particulars[number_of(account)].peak;
    if (!limit)
        return;
    limit->account = account;
    limit->wire = limit->bytes;
    limit->times = limit->is_pending = 0;
    if (account->trip > limit->wire)
        account->trip = limit->wire;
}

/* -- what Python sees of one */

static const char *const actions[] = {[RAISE] = "raise", [WARN] = "warn", [CANCEL] = "cancel"};

static PyObject *
told(PyObject *code, const Crossing *crossing)
{
    PyObject *where = code ? site_of(code, crossing->instruction) : Py_NewRef(Py_None);
    if (!where)
        return NULL;
    return PyObject_CallFunction(of.Crossing, "LLLNIs", crossing->bytes, crossing->used, crossing->tried, where,
                                 crossing->times, actions[(int)crossing->action]);
}

static int
limit_init(Limit *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"bytes", "action", NULL};
    long long bytes;
    const char *action = "raise";
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "L|s", names, &bytes, &action))
        return -1;
    if (hear_of_collections() < 0)
        return -1;
    int number = RAISE;
    while (number <= CANCEL && strcmp(actions[number], action) != 0)
        number++;
    if (number > CANCEL) {
        PyErr_Format(PyExc_ValueError, "no such action: %s", action);
        return -1;
    }
    self->bytes = self->wire = self->crossing.bytes = bytes;
    self->action = self->crossing.action = (char)number;
    return 0;
}

static void
limit_dealloc(Limit *self)
{
    if (self->account && particulars[number_of(self->account)].limit == self)
        attach_limit(self->account, NULL);
    Py_XDECREF(self->code);
    Py_TYPE(self)->tp_free(self);
}

static PyObject *
limit_crossing(Limit *self, PyObject *args)
{
    long long used, tried;
    if (!PyArg_ParseTuple(args, "LL", &used, &tried))
        return NULL;
    if (used <= self->bytes) {
        self->wire = self->bytes;
        self->times = self->is_pending = 0;
        if (self->account && self->account->trip > self->wire)
            self->account->trip = self->wire;
        Py_RETURN_NONE;
    }
    if (!self->is_pending) {
        if (used <= self->wire)
            Py_RETURN_NONE;
        self->crossing.times = ++self->times;
        self->wire = used + HEADROOM_BYTES;
        self->crossing.used = used;
        self->crossing.tried = tried;
        Py_CLEAR(self->code);
    }
    self->is_pending = 0;
    PyObject *code = self->code && !is_ours((PyCodeObject *)self->code) ? self->code : NULL;
    return told(code, &self->crossing);
}

static PyObject *
limit_refusal(Limit *self, PyObject *_)
{
    if (!self->is_refused)
        Py_RETURN_NONE;
    self->is_refused = 0;
    return told(self->code, &self->crossing);
}

static PyObject *
limit_get_action(Limit *self, void *_)
{
    return PyUnicode_FromString(actions[(int)self->action]);
}

static PyMethodDef limit_methods[] = {
    {"crossing", (PyCFunction)limit_crossing, METH_VARARGS, NULL},
    {"refusal", (PyCFunction)limit_refusal, METH_NOARGS, NULL},
    {NULL},
};

static PyMemberDef limit_members[] = {
    {"bytes", T_LONGLONG, offsetof(Limit, bytes), READONLY, NULL},
    {NULL},
};

static PyGetSetDef limit_getset[] = {
    {"action", (getter)limit_get_action, NULL, NULL, NULL},
    {NULL},
};

static PyTypeObject LimitType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "coloop._native.Limit",
    .tp_basicsize = sizeof(Limit),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)limit_init,
    .tp_dealloc = (destructor)limit_dealloc,
    .tp_methods = limit_methods,
    .tp_members = limit_members,
    .tp_getset = limit_getset,
};

int
check_limit(PyObject *limit)
{
    if (limit == Py_None || Py_IS_TYPE(limit, &LimitType))
        return 0;
    PyErr_Format(PyExc_TypeError, "a Limit is wanted, not %s", Py_TYPE(limit)->tp_name);
    return -1;
}

/* A request that was refused has become a MemoryError; where that ends the coroutine, it says whose limit it was. */
PyObject *
rightly_named(State *coroutine, PyObject *error)
{
    Switching *here = (Switching *)coroutine->scheduler;
    if (!coroutine->limit && here->limit == Py_None)
        return error;
    PyObject *own = coroutine->limit ? coroutine->limit : Py_None;
    PyObject *named = PyObject_CallFunctionObjArgs(of.rightly_named, error, own, here->limit, NULL);
    if (!named) {
        PyErr_Clear();
        return error;
    }
    Py_DECREF(error);
    return named;
}

/* What the exception that has just struck on this thread is to say. Where it is lost it will be told again. */
static PyObject *
native_last_crossing(PyObject *_, PyObject *__)
{
    if (last.limit && is_finalizing(PyThreadState_Get()))
        last.limit->is_pending = 1;
    return told(last.code, &last.crossing);
}

int
add_limits(PyObject *module)
{
    static PyMethodDef methods[] = {{"last_crossing", native_last_crossing, METH_NOARGS, NULL}, {NULL}};
    return PyModule_AddFunctions(module, methods) < 0 ? -1 : PyModule_AddType(module, &LimitType);
}
