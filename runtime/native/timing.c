/* When to wake whom: calls that are due later, and sleep. See `_timing.py`. */

#include "native.h"

/* -1.0 with an exception set, in the words of `check_seconds`. */
static double
seconds_of(PyObject *given, const char *what)
{
    if (PyFloat_CheckExact(given)) {
        double seconds = PyFloat_AS_DOUBLE(given);
        if (seconds >= 0 && isfinite(seconds))
            return seconds;
    }
    PyObject *checked = PyObject_CallFunction(of.check_seconds, "Os", given, what);
    if (!checked)
        return -1.0;
    double seconds = PyFloat_AsDouble(checked);
    Py_DECREF(checked);
    return seconds;
}

static Timer *
set_timer_at(Switching *self, double now, double delay_s, PyObject *fn, PyObject *const *args,
             Py_ssize_t count)
{
    double deadline = clock_now(self, now);
    if (deadline == -1.0 && PyErr_Occurred())
        return NULL;
    deadline += delay_s;
    if (!isfinite(deadline)) {
        PyErr_SetNone(PyExc_AssertionError); /* as in `Timers.add` */
        return NULL;
    }
    return timers_add(self->timers, deadline, (PyObject *)self->running, fn, args, count);
}

Timer *
set_timer(Switching *self, double now, PyObject *delay_s, const char *what, PyObject *fn, PyObject *const *args,
          Py_ssize_t count)
{
    if (check_thread(self, "call_later") < 0)
        return NULL;
    double seconds = seconds_of(delay_s, what);
    return seconds < 0 ? NULL : set_timer_at(self, now, seconds, fn, args, count);
}

static PyObject *
timing_call_later(Switching *self, PyObject *const *args, Py_ssize_t count)
{
    if (count < 2) {
        PyErr_SetString(PyExc_TypeError, "call_later takes a delay in seconds, a function and its arguments");
        return NULL;
    }
    return (PyObject *)set_timer(self, perf_counter(), args[0], "delay", args[1], args + 2, count - 2);
}

PyObject *
sleep_for(Switching *self, PyObject *given)
{
    double seconds = seconds_of(given, "sleep");
    if (seconds < 0)
        return NULL;
    if (seconds == 0)
        return yield_now(self, NULL);
    if (check_thread(self, "sleep") < 0)
        return NULL;
    PyObject *me = self->running ? (PyObject *)self->running : Py_None;
    Timer *timer = set_timer_at(self, perf_counter(), seconds, self->waker, &me, 1);
    if (!timer)
        return NULL;
    PyObject *value = park(self, str.sleep, (PyObject *)timer, Py_None);
    timer_cancel(timer);
    Py_DECREF(timer);
    if (!value)
        return NULL;
    Py_DECREF(value);
    Py_RETURN_NONE;
}

/* A call that belongs to no coroutine may fail, and must not end the loop. */
static int
fire(Switching *self, Timer *timer)
{
    PyObject *value = PyObject_Vectorcall(timer->fn, timer->args, Py_SIZE(timer), NULL);
    if (value) {
        Py_DECREF(value);
        return 0;
    }
    if (!PyErr_ExceptionMatches(PyExc_Exception))
        return -1;
    PyObject *error = take_error();
    PyObject *told = PyObject_CallMethodObjArgs((PyObject *)self, str.call_failed, timer->fn, error, NULL);
    Py_DECREF(error);
    Py_XDECREF(told);
    return told ? 0 : -1;
}

static PyObject *
timing_fire_timers(Switching *self, PyObject *at_most)
{
    Py_ssize_t left = PyLong_AsSsize_t(at_most);
    if (left == -1 && PyErr_Occurred())
        return NULL;
    double now = clock_now(self, perf_counter());
    if (now == -1.0 && PyErr_Occurred())
        return NULL;
    Timer *timer;
    while (left-- > 0 && (timer = timers_pop_expired(self->timers, now))) {
        int done = fire(self, timer);
        timer_release(timer);
        Py_DECREF(timer);
        if (done < 0)
            return NULL;
    }
    Py_RETURN_NONE;
}

/* The words of `_timing.py`, which a test compares. */
PyDoc_STRVAR(call_later_doc, "call_later($self, delay_s, fn, /, *args)\n--\n\n"
"Call `fn(*args)` once, `delay_s` seconds from now, in no coroutine; it must not park.\n\n"
"Returns:\n"
"    The timer, with `cancel()`.\n\n"
"Raises:\n"
"    ValueError: delay_s is negative, infinite or NaN.\n"
"    WrongThread: called from another thread.");
PyDoc_STRVAR(sleep_doc, "sleep($self, seconds, /)\n--\n\n"
"Park for so many seconds of the scheduler's clock; 0 only yields.");
PyDoc_STRVAR(fire_timers_doc, "fire_timers($self, at_most, /)\n--\n\n"
"In the root: make the calls that are due.");

static PyMethodDef timing_methods[] = {
    {"call_later", (PyCFunction)(void (*)(void))timing_call_later, METH_FASTCALL, call_later_doc},
    {"sleep", (PyCFunction)sleep_for, METH_O, sleep_doc},
    {"fire_timers", (PyCFunction)timing_fire_timers, METH_O, fire_timers_doc},
    {NULL},
};

static PyTypeObject TimingType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "coloop._native.Timing",
    .tp_basicsize = sizeof(Switching),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .tp_doc = "A `Switching` that knows when to wake whom: see `_timing.py`.",
    .tp_base = &SwitchingType,
    .tp_methods = timing_methods,
};

int
add_timing(PyObject *module)
{
    if (PyType_Ready(&TimingType) < 0)
        return -1;
    return PyModule_AddObjectRef(module, "Timing", (PyObject *)&TimingType);
}
