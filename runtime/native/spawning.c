/* Starting a coroutine and ending it: workers, each a greenlet that runs one job after another. */

#include "native.h"

#if PY_VERSION_HEX < 0x030C0000
#define Py_BUILD_CORE
#include <internal/pycore_frame.h>
#undef Py_BUILD_CORE
#endif

#include <alloca.h>

#include "greenlet.h"

#define MAIN_ID 1
#define MAIN_STACK_BYTES 16384

static PyObject *switching_work(Switching *self, PyObject *_);

static PyMethodDef work_def = {"work", (PyCFunction)switching_work, METH_NOARGS, NULL};

/* Main's worker comes first. The others begin further down the C stack, so that a switch from main to one of them
   leaves main's stack where it is, and only the way back copies: spawn-and-end takes a tenth less. */
static PyObject *
start_worker(Switching *self)
{
    char *room_for_main = alloca(self->spawned > MAIN_ID ? MAIN_STACK_BYTES : 1);
    __asm__ volatile("" : : "r"(room_for_main) : "memory"); /* else it would be left out */
    scheduler_pays();
    PyObject *body = PyCFunction_New(&work_def, (PyObject *)self);
    if (!body)
        return NULL;
    PyObject *worker = (PyObject *)PyGreenlet_New(body, (PyGreenlet *)self->root);
    Py_DECREF(body);
    if (!worker)
        return NULL;
    PyObject *back = switch_to(worker);
    if (!back) {
        Py_DECREF(worker);
        return NULL;
    }
    Py_DECREF(back);
    return worker;
}

static int
keep_worker(Switching *self, PyObject *worker)
{
    if (self->idle_count == self->idle_size) {
        Py_ssize_t size = self->idle_size ? self->idle_size * 2 : 16;
        PyObject **grown = PyMem_Realloc(self->idle, size * sizeof *grown);
        if (!grown) {
            PyErr_NoMemory();
            return -1;
        }
        self->idle = grown, self->idle_size = size;
    }
    self->idle[self->idle_count++] = Py_NewRef(worker);
    return 0;
}

static PyObject *
pop_worker(Switching *self)
{
    if (self->idle_count)
        return self->idle[--self->idle_count];
    PyErr_SetString(PyExc_SystemError, "there is no worker");
    return NULL;
}

/* A new worker. The root starts it: a greenlet inherits the recursion depth of its starter. */
static PyObject *
hire(Switching *self)
{
    PyObject *me = (PyObject *)PyGreenlet_GetCurrent();
    if (!me)
        return NULL;
    if (me == self->root) {
        Py_DECREF(me);
        return start_worker(self);
    }
    Py_XSETREF(self->hirer, me);
    PyObject *back = switch_to(self->root);
    if (!back)
        return NULL;
    Py_DECREF(back);
    return pop_worker(self);
}

/* In the root: somebody asked for a worker, and waits for it. */
int
serve_hirers(Switching *self)
{
    while (self->hirer) {
        PyObject *hirer = self->hirer;
        self->hirer = NULL;
        PyObject *worker = start_worker(self);
        int kept = worker ? keep_worker(self, worker) : -1;
        Py_XDECREF(worker);
        PyObject *back = kept < 0 ? NULL : switch_to(hirer);
        Py_DECREF(hirer);
        if (!back)
            return -1;
        Py_DECREF(back);
    }
    return 0;
}

/* The exception that is set, normalised, with its traceback; takes it. */
PyObject *
take_error(void)
{
#if PY_VERSION_HEX >= 0x030C0000
    return PyErr_GetRaisedException();
#else
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback);
    PyErr_NormalizeException(&type, &error, &traceback);
    if (traceback)
        PyException_SetTraceback(error, traceback);
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return error;
#endif
}

static void
keep_error(State *coroutine, PyObject *error)
{
    PyObject *trimmed = PyObject_CallOneArg(of.trimmed, error);
    if (!trimmed) {
        PyErr_Clear();
        trimmed = Py_NewRef(error);
    }
    Py_XSETREF(coroutine->error, trimmed);
}

static inline int
is_python(PyObject *fn)
{
    return PyFunction_Check(PyMethod_Check(fn) ? PyMethod_GET_FUNCTION(fn) : fn);
}

/* Call what is not ours, exposed. A greenlet that is parked without a frame is taken for a running one when its
   context is asked for, so whatever may park in C alone gets its context first. */
static PyObject *
call_exposed(Switching *self, State *coroutine, PyObject *fn, PyObject *args, PyObject *kwargs)
{
    if (!is_python(fn) && keep_context(coroutine) < 0)
        return NULL;
    set_exposed(self, coroutine);
    PyObject *value = PyObject_Call(fn, args, kwargs);
    set_exposed(self, NULL);
    if (value && struck() < 0)
        Py_CLEAR(value);
    return value;
}

/* The context variables of the greenlet that runs; greenlet itself sets them so at each switch. */
void
set_context(PyObject *context)
{
    PyThreadState *thread = PyThreadState_Get();
    Py_XINCREF(context);
    Py_XSETREF(thread->context, context);
    thread->context_ver++;
}

static void
run_defer(Switching *self, State *coroutine)
{
    Py_ssize_t count = PyList_GET_SIZE(coroutine->defers);
    PyObject *call = Py_NewRef(PyList_GET_ITEM(coroutine->defers, count - 1));
    PyObject *value = NULL;
    if (PyList_SetSlice(coroutine->defers, count - 1, count, NULL) == 0)
        value = call_exposed(self, coroutine, PyTuple_GET_ITEM(call, 0), PyTuple_GET_ITEM(call, 1),
                             PyTuple_GET_ITEM(call, 2));
    Py_DECREF(call);
    if (value) {
        Py_DECREF(value);
        return;
    }
    PyObject *error = rightly_named(coroutine, take_error());
    PyObject *context = PyException_GetContext(error);
    if (!context && error != coroutine->error && coroutine->error)
        PyException_SetContext(error, Py_NewRef(coroutine->error));
    Py_XDECREF(context);
    keep_error(coroutine, error);
    Py_DECREF(error);
}

/* It has run to its end: tell those who wait for it, and let go of all it held. */
static int
end(Switching *self, State *coroutine)
{
    settle(self);
    scheduler_pays();
    PyObject *outcome = of.done;
    if (coroutine->error) {
        if (PyErr_GivenExceptionMatches(coroutine->error, of.Cancelled) ||
            PyErr_GivenExceptionMatches(coroutine->error, PyExc_GreenletExit)) {
            outcome = of.cancelled;
            Py_CLEAR(coroutine->error); /* its traceback would hold every frame it passed */
        } else {
            outcome = of.failed;
            coroutine->traceback = PyException_GetTraceback(coroutine->error);
            self->failures++;
        }
    }
    Py_SETREF(coroutine->state, Py_NewRef(outcome));
    coroutine->ended_at = clock_now(self, self->charged_at);
    coroutine->has_ended = 1;
    if (PyErr_Occurred())
        PyErr_Clear();
    Py_CLEAR(coroutine->greenlet);
    Py_CLEAR(coroutine->context);
    Py_CLEAR(coroutine->interrupts);
    Py_CLEAR(coroutine->defers);
    if (PyDict_DelItem(self->living, coroutine->id) < 0)
        PyErr_Clear();
    if (bury(self, coroutine) < 0)
        return -1;
    close_account(coroutine);
    PyObject *watchers = coroutine->watchers;
    coroutine->watchers = NULL;
    if (watchers && watchers != Py_None) {
        for (Py_ssize_t i = 0; i < PyList_GET_SIZE(watchers); i++) {
            PyObject *watcher = Py_NewRef(PyList_GET_ITEM(watchers, i));
            PyObject *told = PyObject_CallOneArg(watcher, (PyObject *)coroutine);
            Py_DECREF(watcher);
            if (!told) {
                Py_DECREF(watchers);
                return -1;
            }
            Py_DECREF(told);
        }
    }
    Py_XDECREF(watchers);
    if (outcome == of.failed && !coroutine->observed &&
        PyList_Append(self->unclaimed, (PyObject *)coroutine) < 0)
        return -1;
    set_running(self, NULL);
    return 0;
}

/* Run one coroutine from its first line to its last deferred call. */
static int
run_job(Switching *self)
{
    State *coroutine = self->job;
    PyObject *fn = self->job_fn, *args = self->job_args, *kwargs = self->job_kwargs;
    self->job = NULL;
    self->job_fn = self->job_args = self->job_kwargs = NULL;
    running_pays(self);
    set_context(coroutine->context);
    PyObject *value = call_exposed(self, coroutine, fn, args, kwargs);
    if (value)
        Py_XSETREF(coroutine->value, value);
    else {
        PyObject *error = rightly_named(coroutine, take_error());
        keep_error(coroutine, error);
        Py_DECREF(error);
    }
    Py_DECREF(fn);
    Py_DECREF(args);
    Py_XDECREF(kwargs);
    while (coroutine->defers && coroutine->defers != Py_None && PyList_GET_SIZE(coroutine->defers))
        run_defer(self, coroutine);
    int ended = end(self, coroutine);
    Py_DECREF(coroutine);
    return ended;
}

/* The life of a worker: one job after the other, until it is woken without one. */
static PyObject *
switching_work(Switching *self, PyObject *_)
{
    char left;
    begin_small_stack();
    PyObject *back = switch_to(self->root);
    if (!back)
        return NULL;
    Py_DECREF(back);
    PyObject *me = (PyObject *)PyGreenlet_GetCurrent();
    if (!me)
        return NULL;
    while (self->job) {
        if (run_job(self) < 0)
            goto failed;
        set_context(NULL); /* it would hold what the dead one has set there */
        if (keep_worker(self, me) < 0)
            goto failed;
        Py_DECREF(me); /* `idle` holds it, or whoever has taken it from there */
        if (leave(self, self->charged_at, NULL, &left) < 0)
            return NULL;
        Py_INCREF(me);
    }
    Py_DECREF(me);
    running_pays(self); /* should it not be the scheduler that ends it */
    Py_RETURN_NONE;
failed:
    Py_DECREF(me);
    return NULL;
}

/* -- spawning */

/* The innermost Python code of a thread, and where it stands in it; NULL if that cannot be told. */
PyCodeObject *
innermost(PyThreadState *thread, int *instruction)
{
    PyCodeObject *code = NULL;
#if PY_VERSION_HEX < 0x030C0000
    _PyInterpreterFrame *frame = thread->cframe->current_frame;
    if (frame) {
        code = (PyCodeObject *)Py_NewRef(frame->f_code);
        *instruction = _PyInterpreterFrame_LASTI(frame) * (int)sizeof(_Py_CODEUNIT);
    }
#elif PY_VERSION_HEX < 0x030E0000
#if PY_VERSION_HEX < 0x030D0000
    struct _PyInterpreterFrame *frame = thread->cframe->current_frame;
#else
    struct _PyInterpreterFrame *frame = thread->current_frame;
#endif
    if (frame) {
        code = (PyCodeObject *)PyUnstable_InterpreterFrame_GetCode(frame);
        *instruction = PyUnstable_InterpreterFrame_GetLasti(frame);
    }
#endif
    if (code && !PyCode_Check(code))
        Py_CLEAR(code);
    return code;
}

int
is_ours(PyCodeObject *code)
{
    PyObject *path = code->co_filename;
    if (PyUnicode_IS_COMPACT_ASCII(path) && PyUnicode_IS_COMPACT_ASCII(of.ours)) {
        Py_ssize_t length = PyUnicode_GET_LENGTH(of.ours);
        return PyUnicode_GET_LENGTH(path) >= length && !memcmp(PyUnicode_DATA(path), PyUnicode_DATA(of.ours), length);
    }
    return PyUnicode_Tailmatch(path, of.ours, 0, PY_SSIZE_T_MAX, -1) != 0;
}

/* `value` is about to be handed to the innermost Python code. Behind the call is a place where a kill may strike,
   and there the value has no name yet: so no shot is fired at whoever still stands at this instruction. */
PyObject *
hand_over(Switching *self, PyObject *value)
{
    PyCodeObject *code = innermost(PyThreadState_Get(), &self->handed_at);
    self->handed_code = code;
    Py_XDECREF(code);
    return value;
}

/* Note where the innermost Python code stands; a code of ours is looked up the slow way. */
static int
note_site(State *coroutine)
{
    PyCodeObject *code = innermost(PyThreadState_Get(), &coroutine->instruction);
    if (code && !is_ours(code)) {
        coroutine->code = (PyObject *)code;
        return 0;
    }
    Py_XDECREF(code);
    PyObject *nothing = PyLong_FromLong(-1);
    coroutine->site = nothing ? PyObject_CallOneArg(of.calling_site, nothing) : NULL;
    Py_XDECREF(nothing);
    return coroutine->site ? 0 : -1;
}

static PyObject *
name_of(PyObject *fn)
{
    if (PyFunction_Check(fn))
        return Py_NewRef(((PyFunctionObject *)fn)->func_name);
    return PyObject_CallOneArg(of.default_name, fn);
}

static int
in_root(Switching *self)
{
    PyGreenlet *me = PyGreenlet_GetCurrent();
    Py_XDECREF(me);
    return (PyObject *)me == self->root;
}

/* Make a coroutine of a call; all arguments are borrowed. */
PyObject *
spawn(Switching *self, PyObject *fn, PyObject *args, PyObject *kwargs, PyObject *name, PyObject *limit, PyObject *site)
{
    if (check_thread(self, "go") < 0 || check_collector(self) < 0)
        return NULL;
    State *spawner = self->running;
    if (spawner) {
        if (check_greenlet(self, spawner, PyThreadState_Get()) < 0)
            return NULL;
        PyObject *done = checkpoint(self, NULL);
        if (!done)
            return NULL;
        Py_DECREF(done);
    } else if (!in_root(self)) {
        PyObject *never = PyObject_CallMethod((PyObject *)self, "refuse_the_dead", NULL); /* it has the words */
        Py_XDECREF(never);
        return NULL;
    }
    if (limit == Py_None)
        limit = NULL;
    if (limit || self->max_coroutines != Py_None) {
        limit = PyObject_CallMethodOneArg((PyObject *)self, str.check_limits_of_spawn, limit ? limit : Py_None);
        if (!limit)
            return NULL;
    }
    PyTypeObject *type = (PyTypeObject *)of.Coroutine;
    State *coroutine = NULL;
    if (!PyCallable_Check(fn))
        PyErr_Format(PyExc_TypeError, "go takes a function and its arguments, not %R", fn);
    else
        coroutine = (State *)type->tp_alloc(type, 0);
    if (!coroutine) {
        Py_XDECREF(limit);
        return NULL;
    }
    if (limit && limit != Py_None)
        coroutine->limit = limit;
    else
        Py_XDECREF(limit);
    coroutine->scheduler = Py_NewRef(self);
    coroutine->state = Py_NewRef(of.ready);
    coroutine->parent_id = Py_NewRef(spawner ? spawner->id : Py_None);
    coroutine->id = PyLong_FromSsize_t(++self->spawned);
    coroutine->name = name && name != Py_None ? Py_NewRef(name) : name_of(fn);
    double now = perf_counter();
    coroutine->started_at = clock_now(self, now);
    if (!coroutine->id || !coroutine->name || PyErr_Occurred())
        goto failed;
    if (site && site != Py_None)
        coroutine->site = Py_NewRef(site);
    else if (note_site(coroutine) < 0)
        goto failed;
    set_exposed(self, NULL);
    if (struck() < 0)
        goto back;
    if (PyThreadState_Get()->context && !(coroutine->context = PyContext_CopyCurrent()))
        goto back;
    scheduler_pays(); /* the handle was the spawner's */
    PyObject *worker = self->idle_count ? pop_worker(self) : hire(self);
    if (!worker)
        goto back;
    coroutine->greenlet = worker;
    if (PyDict_SetItem(self->living, coroutine->id, (PyObject *)coroutine) < 0 || push_caller(self, spawner) < 0)
        goto back;
    if (PyDict_GET_SIZE(self->living) > self->peak)
        self->peak = PyDict_GET_SIZE(self->living);
    self->job = (State *)Py_NewRef(coroutine);
    self->job_fn = Py_NewRef(fn);
    self->job_args = Py_NewRef(args);
    self->job_kwargs = Py_XNewRef(kwargs);
    char left = 0;
    if (leave(self, now, (State *)Py_NewRef(coroutine), &left) < 0) {
        if (!left) { /* it has not begun */
            PyObject *error = take_error();
            PyDict_DelItem(self->living, coroutine->id);
            Py_XDECREF(self->callers[--self->callers_count]);
            keep_worker(self, worker);
            Py_CLEAR(self->job);
            Py_CLEAR(self->job_fn);
            Py_CLEAR(self->job_args);
            Py_CLEAR(self->job_kwargs);
            PyErr_SetObject((PyObject *)Py_TYPE(error), error);
            Py_DECREF(error);
        }
        goto back;
    }
    set_exposed(self, spawner);
    if (!spawner && serve_hirers(self) < 0)
        goto back;
    running_pays(self);
    return (PyObject *)coroutine;
back:
    running_pays(self);
    set_exposed(self, spawner);
failed:
    Py_DECREF(coroutine);
    return NULL;
}

PyObject *
switching_go(Switching *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    static const char *const parameters[] = {"fn", "args", "kwargs", "name", "memory_limit", "spawned_at", NULL};
    PyObject *given[] = {NULL, NULL, Py_None, Py_None, Py_None, Py_None};
    if (take_arguments("go", parameters, 1, args, count, names, given) < 0)
        return NULL;
    if (count > 3 || (given[1] && !PyTuple_Check(given[1])) ||
        (given[2] != Py_None && !PyDict_Check(given[2]))) {
        PyErr_SetString(PyExc_TypeError, "go takes a function, a tuple and a dict of its arguments, the rest by name");
        return NULL;
    }
    PyObject *kwargs = given[2] == Py_None ? NULL : given[2], *none = given[1] ? NULL : PyTuple_New(0);
    PyObject *coroutine = spawn(self, given[0], given[1] ? given[1] : none, kwargs, given[3], given[4], given[5]);
    Py_XDECREF(none);
    return coroutine;
}

/* -- ending by force */

PyObject *
switching_dismiss_workers(Switching *self, PyObject *kept)
{
    Py_ssize_t limit = PyLong_AsSsize_t(kept);
    if (limit < 0 && PyErr_Occurred())
        return NULL;
    while (self->idle_count > limit) {
        PyObject *worker = pop_worker(self);
        if (!worker)
            return NULL;
        Py_CLEAR(self->job);
        PyObject *back = switch_to(worker);
        Py_DECREF(worker);
        if (!back)
            return NULL;
        Py_DECREF(back);
    }
    running_pays(self);
    Py_RETURN_NONE;
}

/* Never schedule it again: it ignored every request to end. What it holds stays where it is. */
PyObject *
switching_abandon(Switching *self, PyObject *victim)
{
    if (!IS_STATE(victim)) {
        PyErr_SetString(PyExc_TypeError, "abandon takes a coroutine");
        return NULL;
    }
    State *coroutine = (State *)victim;
    if (coroutine->has_ended || coroutine == self->running)
        Py_RETURN_NONE;
    for (Py_ssize_t place = 0; place < self->ready.count; place++)
        if (self->ready.items[(self->ready.first + place) & (self->ready.size - 1)] == coroutine) {
            Py_DECREF(ring_pop_at(&self->ready, place));
            break;
        }
    /* Freeing a greenlet raises GreenletExit in it. Whoever swallows that runs on, here, for ever. */
    Py_XINCREF(coroutine->greenlet);
    PyObject *error = PyObject_CallFunction(of.Killed, "s", "abandoned");
    if (!error)
        return NULL;
    Py_XSETREF(coroutine->error, error);
    settle(self);
    State *running = self->running;
    self->running = NULL;
    int ended = end(self, coroutine);
    self->running = running;
    running_pays(self);
    if (ended < 0)
        return NULL;
    Py_RETURN_NONE;
}

int
add_spawning(PyObject *module)
{
    PyGreenlet_Import();
    return _PyGreenlet_API ? 0 : -1;
}
