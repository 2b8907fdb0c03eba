/* When the garbage collector is at work on this thread.

   It begins wherever an object is made, so also in the midst of a step of the scheduler's, and it runs what is
   anybody's: finalizers, callbacks of weak references, the `finally` of generators. If one of these started a coroutine or
   waited, the scheduler would be entered a second time there. So in between neither is done: see `refuse_the_collector`.

   It says when it begins and when it has done. Those who are told of that as we are may do anything, too: hence the
   first of all notes the beginning, and the last the end. They are told on the thread that collects; while a finalizer
   runs, others run as well. */

#define Py_BUILD_CORE_MODULE
#include <Python.h>
#include <internal/pycore_interp.h>

#include "native.h"

static int
is_phase(PyObject *const *args, Py_ssize_t count, const char *phase)
{
    return count && PyUnicode_Check(args[0]) && PyUnicode_CompareWithASCIIString(args[0], phase) == 0;
}

static void
note_collecting(char collecting)
{
    if (current)
        ((Switching *)current)->collecting = collecting;
}

static PyObject *
native_collection_begins(PyObject *_, PyObject *const *args, Py_ssize_t count)
{
    if (is_phase(args, count, "start")) {
        put_off_strike(PyThreadState_Get());
        note_collecting(1);
    }
    Py_RETURN_NONE;
}

static PyObject *
native_collection_ends(PyObject *_, PyObject *const *args, Py_ssize_t count)
{
    if (is_phase(args, count, "stop")) {
        note_collecting(0);
        let_strike(PyThreadState_Get());
    }
    Py_RETURN_NONE;
}

/* Others may have come meanwhile, or somebody has emptied the list. */
static int
be_first_and_last(PyObject *callbacks, PyObject *first, PyObject *last)
{
    Py_ssize_t count = PyList_GET_SIZE(callbacks);
    if (count && PyList_GET_ITEM(callbacks, 0) == first && PyList_GET_ITEM(callbacks, count - 1) == last)
        return 0;
    for (Py_ssize_t i = count; i-- > 0;)
        if (PyList_GET_ITEM(callbacks, i) == first || PyList_GET_ITEM(callbacks, i) == last)
            if (PyList_SetSlice(callbacks, i, i + 1, NULL) < 0)
                return -1;
    return PyList_Insert(callbacks, 0, first) < 0 ? -1 : PyList_Append(callbacks, last);
}

int
hear_of_collections(void)
{
    static PyMethodDef begins = {"collection_begins", (PyCFunction)(void (*)(void))native_collection_begins,
                                 METH_FASTCALL, NULL};
    static PyMethodDef ends = {"collection_ends", (PyCFunction)(void (*)(void))native_collection_ends,
                               METH_FASTCALL, NULL};
    static PyObject *first, *last;
    if ((!first && !(first = PyCFunction_New(&begins, NULL))) || (!last && !(last = PyCFunction_New(&ends, NULL))))
        return -1;
    /* Each interpreter has a list of its own. It is taken from there, because each limit asks: an import would leave
       dicts in the interpreter's free list, and on the account of whoever sets one. */
    return be_first_and_last(PyThreadState_Get()->interp->gc.callbacks, first, last);
}

/* A collection was heard to begin. That it is over was not heard if somebody has emptied the list meanwhile. */
int
refuse_collector(Switching *self)
{
    if (!PyThreadState_Get()->interp->gc.collecting) {
        self->collecting = 0;
        return 0;
    }
    PyObject *never = PyObject_CallMethod((PyObject *)self, "refuse_the_collector", NULL); /* it has the words */
    Py_XDECREF(never);
    return -1;
}
