/* Whose block an object lies in. The map is only asked, and nothing is read of what the object keeps. */

#include "ledger.h"

static Account *
account_under(PyObject *object)
{
    const uint32_t *tag = find_tag((uintptr_t)object - (uintptr_t)header_of(Py_TYPE(object)));
    return tag && *tag ? tagged_account(*tag) : NULL;
}

/* Whether it is on the account of the coroutine with this id, which may have ended. */
static int
owed_by_coroutine(PyObject *object, int64_t coroutine)
{
    Account *account = account_under(object);
    return account && number_of(account) >= FIRST_ACCOUNT && particulars[number_of(account)].coroutine == coroutine;
}

/* Whether it is what one has left that was started at one of these places, a list of tuples of code or text and an
   instruction. */
static int
owed_by_the_dead(PyObject *object, PyObject *places)
{
    Account *account = account_under(object);
    if (!account || number_of(account) < FIRST_ACCOUNT || !(account->flags & IS_CLOSED))
        return 0;
    const Birth *birth = &births[account->birth];
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(places); i++) {
        PyObject *place = PyList_GET_ITEM(places, i);
        if (PyTuple_GET_ITEM(place, 0) == (birth->place ? birth->place : Py_None) &&
            PyLong_AsLong(PyTuple_GET_ITEM(place, 1)) == birth->instruction)
            return 1;
    }
    return 0;
}

static int
are_places(PyObject *places)
{
    if (!PyList_CheckExact(places))
        return 0;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(places); i++) {
        PyObject *place = PyList_GET_ITEM(places, i);
        if (!PyTuple_CheckExact(place) || PyTuple_GET_SIZE(place) != 2 || !PyLong_CheckExact(PyTuple_GET_ITEM(place, 1)))
            return 0;
    }
    return 1;
}

PyObject *
native_ledger_objects(PyObject *_, PyObject *const *args, Py_ssize_t count)
{
    int by_id = count == 2 && PyLong_CheckExact(args[1]);
    if (count != 2 || !PyList_CheckExact(args[0]) || !(by_id || are_places(args[1]))) {
        PyErr_SetString(PyExc_TypeError, "ledger_objects takes a list of objects and the id of a coroutine, or places");
        return NULL;
    }
    long long coroutine = by_id ? PyLong_AsLongLong(args[1]) : 0;
    if (coroutine == -1 && PyErr_Occurred())
        return NULL;
    PyObject *owed = PyList_New(0);
    for (Py_ssize_t i = 0; owed && counting && i < PyList_GET_SIZE(args[0]); i++) {
        PyObject *object = PyList_GET_ITEM(args[0], i);
        int is_owed = by_id ? owed_by_coroutine(object, coroutine) : owed_by_the_dead(object, args[1]);
        if (is_owed && PyList_Append(owed, object) < 0)
            Py_CLEAR(owed);
    }
    return owed;
}
