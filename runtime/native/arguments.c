/* The arguments of a call, by place or by name, without making a tuple or a dict of them. */

#include "native.h"

static Py_ssize_t
place_of(PyObject *name, const char *const *parameters)
{
    Py_ssize_t place = 0;
    while (parameters[place] && PyUnicode_CompareWithASCIIString(name, parameters[place]) != 0)
        place++;
    return place;
}

/* Put them into `given`, in the order of `parameters`, which end with NULL; the first `required` must be there,
   the others hold their defaults. All borrowed. */
int
take_arguments(const char *function, const char *const *parameters, Py_ssize_t required, PyObject *const *args,
               Py_ssize_t count, PyObject *names, PyObject **given)
{
    Py_ssize_t allowed = 0, named = names ? PyTuple_GET_SIZE(names) : 0, missing = count;
    while (parameters[allowed])
        allowed++;
    if (count > allowed) {
        PyErr_Format(PyExc_TypeError, "%s() takes at most %zd arguments, not %zd", function, allowed, count);
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++)
        given[i] = args[i];
    for (Py_ssize_t i = count; i < required; i++)
        given[i] = NULL;
    for (Py_ssize_t i = 0; i < named; i++) {
        Py_ssize_t place = place_of(PyTuple_GET_ITEM(names, i), parameters);
        if (place == allowed || place < count) {
            PyErr_Format(PyExc_TypeError, "%s() got %s %R", function,
                         place < count ? "twice the argument" : "an unexpected keyword argument",
                         PyTuple_GET_ITEM(names, i));
            return -1;
        }
        given[place] = args[count + i];
    }
    while (missing < required && given[missing])
        missing++;
    if (missing < required) {
        PyErr_Format(PyExc_TypeError, "%s() needs the argument '%s'", function, parameters[missing]);
        return -1;
    }
    return 0;
}
