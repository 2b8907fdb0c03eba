/* Whose block an object lies in. The map is only asked, and nothing is read of what the object keeps. */

#include "ledger.h"

static Account *
account_under(PyObject *object)
{
    const uint32_t *tag = find_tag((uintptr_t)object - (uintptr_t)header_of(Py_TYPE(object)));
    return tag && *tag ? tagged_account(*tag) : NULL;
}

/* Whether it is on the account of the coroutine with this id, which may have ended. */
int
owed_by_coroutine(PyObject *object, int64_t coroutine)
{
    Account *account = account_under(object);
    return account && number_of(account) >= FIRST_ACCOUNT && particulars[number_of(account)].coroutine == coroutine;
}

/* Whether it is what one has left that was started at one of these places, a list of tuples of code or text and an
   instruction. */
int
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
