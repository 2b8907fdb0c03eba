/* What Python imports. See `_native.pyi`. */

#include "native.h"

Names of;
Strings str;
_Thread_local PyObject *current;

int
load_names(void)
{
    if (of.memory)
        return 0;
    static const struct {
        PyObject **into;
        const char *module, *name;
    } names[] = {
        {&of.ready, "coloop._coroutine_state", "READY"},
        {&of.waiting, "coloop._coroutine_state", "WAITING"},
        {&of.done, "coloop._coroutine_state", "DONE"},
        {&of.failed, "coloop._coroutine_state", "FAILED"},
        {&of.cancelled, "coloop._coroutine_state", "CANCELLED"},
        {&of.default_name, "coloop._coroutine", "default_name"},
        {&of.Coroutine, "coloop._coroutine", "Coroutine"},
        {&of.Cancelled, "coloop._errors", "Cancelled"},
        {&of.Killed, "coloop._errors", "Killed"},
        {&of.NotRunning, "coloop._errors", "NotRunning"},
        {&of.Timeout, "coloop._errors", "Timeout"},
        {&of.trimmed, "coloop._frames", "trimmed"},
        {&of.calling_site, "coloop._frames", "calling_site"},
        {&of.Site, "coloop._frames", "Site"},
        {&of.ours, "coloop._frames", "OURS"},
        {&of.Tally, "coloop._account", "Tally"},
        {&of.MonotonicClock, "coloop._clock", "MonotonicClock"},
        {&of.foreign, "coloop._line", "foreign"},
        {&of.either, "coloop._line", "either"},
        {&of.nobody, "coloop._line", "NOBODY"},
        {&of.closed_error, "coloop._passage", "closed_error"},
        {&of.check_seconds, "coloop._timers", "check_seconds"},
        {&of.memory, "coloop._memory", "memory"},
        {&of.SSLError, "ssl", "SSLError"},
        {&of.SSLWantReadError, "ssl", "SSLWantReadError"},
        {&of.Limit, "coloop._limits", "Limit"},
        {&of.Crossing, "coloop._limits", "Crossing"},
        {&of.Struck, "coloop._limits", "Struck"},
        {&of.StruckDown, "coloop._limits", "StruckDown"},
        {&of.rightly_named, "coloop._limits", "rightly_named"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        PyObject *module = PyImport_ImportModule(names[i].module);
        *names[i].into = module ? PyObject_GetAttrString(module, names[i].name) : NULL;
        Py_XDECREF(module);
        if (!*names[i].into)
            return -1;
    }
    return 0;
}

static PyObject *
native_set_current(PyObject *_, PyObject *scheduler)
{
    if (scheduler != Py_None && hear_of_collections() < 0)
        return NULL;
    if (current)
        ((Switching *)current)->pays = NULL;
    Py_XSETREF(current, scheduler == Py_None ? NULL : Py_NewRef(scheduler));
    paying = NULL; /* whoever that is on a thread without a scheduler */
    if (current) {
        ((Switching *)current)->pays = &paying;
        running_pays((Switching *)current);
    }
    Py_RETURN_NONE;
}

static PyObject *
native_scheduler_or_none(PyObject *_, PyObject *__)
{
    return Py_NewRef(current ? current : Py_None);
}

PyObject *
no_scheduler(void)
{
    PyObject *module = PyImport_ImportModule("coloop._scheduler"); /* it has the words for it */
    PyObject *never = module ? PyObject_CallMethod(module, "current_scheduler", NULL) : NULL;
    Py_XDECREF(module);
    Py_XDECREF(never);
    return NULL;
}

static PyObject *
native_go(PyObject *_, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    if (!current)
        return no_scheduler();
    if (count < 1) {
        PyErr_SetString(PyExc_TypeError, "go() missing 1 required positional argument: 'fn'");
        return NULL;
    }
    PyObject *name = NULL, *limit = NULL, *kwargs = NULL, *coroutine = NULL;
    PyObject *rest = PyTuple_New(count - 1);
    if (!rest)
        return NULL;
    for (Py_ssize_t i = 1; i < count; i++)
        PyTuple_SET_ITEM(rest, i - 1, Py_NewRef(args[i]));
    for (Py_ssize_t i = 0; names && i < PyTuple_GET_SIZE(names); i++) {
        PyObject *keyword = PyTuple_GET_ITEM(names, i), *value = args[count + i];
        if (PyUnicode_CompareWithASCIIString(keyword, "name") == 0)
            name = value;
        else if (PyUnicode_CompareWithASCIIString(keyword, "memory_limit") == 0)
            limit = value;
        else if ((!kwargs && !(kwargs = PyDict_New())) || PyDict_SetItem(kwargs, keyword, value) < 0)
            goto done;
    }
    Switching *here = (Switching *)Py_NewRef(current);
    coroutine = spawn(here, args[0], rest, kwargs, name, limit, NULL);
    Py_DECREF(here);
done:
    Py_DECREF(rest);
    Py_XDECREF(kwargs);
    return coroutine;
}

static PyObject *
native_yield_now(PyObject *_, PyObject *__)
{
    return current ? yield_now((Switching *)current, NULL) : no_scheduler();
}

static PyObject *
native_sleep(PyObject *_, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    Py_ssize_t named = names ? PyTuple_GET_SIZE(names) : 0;
    if (count + named != 1 ||
        (named && PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, 0), "seconds") != 0)) {
        PyErr_SetString(PyExc_TypeError, "sleep takes a number of seconds");
        return NULL;
    }
    return current ? sleep_for((Switching *)current, args[0]) : no_scheduler();
}

static PyObject *
native_running(PyObject *_, PyObject *__)
{
    Switching *here = (Switching *)current;
    return Py_NewRef(here && here->running ? (PyObject *)here->running : Py_None);
}

static PyObject *
native_shoot(PyObject *_, PyObject *const *args, Py_ssize_t count)
{
    if (count != 3 || !PyObject_TypeCheck(args[0], &SwitchingType)) {
        PyErr_SetString(PyExc_TypeError, "shoot takes a scheduler, a coroutine and an exception class");
        return NULL;
    }
    Switching *self = (Switching *)args[0];
    if ((PyObject *)self->exposed != args[1])
        Py_RETURN_FALSE;
    PyThreadState *thread = PyInterpreterState_ThreadHead(PyInterpreterState_Get());
    while (thread && thread->thread_id != self->thread_id)
        thread = PyThreadState_Next(thread);
    int instruction;
    PyCodeObject *code = thread ? innermost(thread, &instruction) : NULL;
    int handed = code == self->handed_code && instruction == self->handed_at;
    int hit = code && !handed && !is_ours(code);
    Py_XDECREF(code);
    if (hit)
        PyThreadState_SetAsyncExc(self->thread_id, args[2]);
    return PyBool_FromLong(hit);
}

PyDoc_STRVAR(go_doc, "go($module, fn, /, *args, name=None, memory_limit=None, **kwargs)\n--\n\n"
"Start `fn(*args, **kwargs)` now: it runs at once until it first parks or ends, then `go` returns.\n\n"
"Args:\n"
"    fn: a plain function.\n"
"    *args: its positional arguments.\n"
"    name: the coroutine's name; the function's own by default.\n"
"    memory_limit: heap bytes above which it gets `MemoryLimitExceeded`; needs level `heap`.\n"
"    **kwargs: its keyword arguments.\n\n"
"Raises:\n"
"    NotRunning: no scheduler runs on this thread, or a finalizer that the garbage collector runs asks.\n"
"    TooManyCoroutines: `max_coroutines` live already.");
PyDoc_STRVAR(yield_now_doc, "yield_now($module, /)\n--\n\nLet the other ready coroutines run, then go on.");
PyDoc_STRVAR(sleep_doc, "sleep($module, /, seconds)\n--\n\n"
"Park for so many seconds of the scheduler's clock; 0 only lets the others run.\n\n"
"Raises:\n"
"    ValueError: seconds is negative, infinite or NaN.\n"
"    TypeError: seconds is no number.\n"
"    NotRunning: no scheduler runs on this thread, or no coroutine.");
PyDoc_STRVAR(current_doc, "current($module, /)\n--\n\nThe coroutine that runs; None outside of one.");

static PyMethodDef module_methods[] = {
    {"set_current", native_set_current, METH_O, NULL},
    {"scheduler_or_none", native_scheduler_or_none, METH_NOARGS, NULL},
    {"shoot", (PyCFunction)(void (*)(void))native_shoot, METH_FASTCALL, NULL},
    {"go", (PyCFunction)(void (*)(void))native_go, METH_FASTCALL | METH_KEYWORDS, go_doc},
    {"yield_now", native_yield_now, METH_NOARGS, yield_now_doc},
    {"sleep", (PyCFunction)(void (*)(void))native_sleep, METH_FASTCALL | METH_KEYWORDS, sleep_doc},
    {"current", native_running, METH_NOARGS, current_doc},
    {NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, .m_name = "coloop._native",
    .m_doc = "The native form of the hot path: see `_native.pyi`.", .m_size = -1, .m_methods = module_methods,
};

static int
add_constants(PyObject *module)
{
    if (PyModule_AddIntMacro(module, SLICE_SWITCHES) < 0 ||
        PyModule_AddIntMacro(module, TURN_OPERATIONS) < 0 || PyModule_AddIntMacro(module, KEPT_DEAD) < 0)
        return -1;
    PyObject *slice_s = PyFloat_FromDouble(SLICE_S);
    int added = PyModule_AddObjectRef(module, "SLICE_S", slice_s);
    Py_XDECREF(slice_s);
    return added;
}

PyMODINIT_FUNC
PyInit__native(void)
{
    static const Text texts[] = {
        {&str.safe_point, "safe_point"},
        {&str.check_limits, "check_limits"},
        {&str.check_limits_of_spawn, "check_limits_of_spawn"},
        {&str.now, "now"},
        {&str.NoneType, "NoneType"},
        {&str.gr_context, "gr_context"},
        {&str.sleep, "sleep"},
        {&str.wake, "wake"},
        {&str.expire, "expire"},
        {&str.call_failed, "call_failed"},
        {&str.outcome, "outcome"},
        {&str.randrange, "randrange"},
    };
    static int (*const parts[])(PyObject *) = {
        add_spare, /* before anybody hooks the allocators */
        add_constants, add_coroutine, add_timers,  add_switching, add_spawning,
        add_timing,    add_stacks,    add_line,    add_channel,   add_wire,     add_poller,
        add_quick,     add_connection, add_tls,    add_ledger,    add_limits,
    };
    PyObject *made = make_texts(texts, Py_ARRAY_LENGTH(texts)) < 0 ? NULL : PyModule_Create(&module);
    for (size_t i = 0; made && i < sizeof parts / sizeof *parts; i++)
        if (parts[i](made) < 0)
            Py_CLEAR(made);
    return made;
}
