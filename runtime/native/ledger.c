/* What Python asks the ledger for. See `_native_ledger.py`. */

#include "ledger.h"

/* Whoever runs on each of these schedulers pays from now on. */
static int
let_pay(PyObject *schedulers)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(schedulers); i++) {
        Switching *scheduler = (Switching *)PyList_GET_ITEM(schedulers, i);
        if (!PyObject_TypeCheck(scheduler, &SwitchingType)) {
            PyErr_SetString(PyExc_TypeError, "ledger_start takes a list of schedulers");
            return -1;
        }
        if (scheduler->pays)
            *scheduler->pays = scheduler->running ? account_of(scheduler->running) : &accounts[OUTSIDE];
    }
    return 0;
}

static PyObject *
native_ledger_start(PyObject *_, PyObject *schedulers)
{
    if (!PyList_Check(schedulers)) {
        PyErr_SetString(PyExc_TypeError, "ledger_start takes a list of schedulers");
        return NULL;
    }
    if (start_ledger() < 0)
        return PyErr_NoMemory();
    if (let_pay(schedulers) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *
native_ledger_stop(PyObject *_, PyObject *__)
{
    stop_ledger();
    return PyBool_FromLong(!is_hooked());
}

static PyObject *
native_ledger_trouble(PyObject *_, PyObject *__)
{
    check_ledger();
    if (ledger_trouble)
        return PyUnicode_FromString(ledger_trouble);
    Py_RETURN_NONE;
}

/* Read first, told then: telling allocates. */
static PyObject *
native_ledger_held(PyObject *_, PyObject *__)
{
    if (check_ledger() < 0 || !counting)
        Py_RETURN_NONE;
    int64_t rest = 0, each[PROBE];
    for (int i = 0; i < PROBE; i++)
        rest += each[i] = accounts[i].bytes;
    return Py_BuildValue("LLLLLLLL", ledger_bytes, ledger_bytes - rest - closed_bytes, closed_bytes, each[THREADS],
                         each[OUTSIDE], each[SCHEDULER], each[STACKS], each[OWN]);
}

static PyObject *
native_ledger_residues(PyObject *_, PyObject *__)
{
    PyObject *found = PyList_New(0);
    for (uint32_t i = 0; found && i < births_used; i++) {
        Birth *birth = &births[i];
        if (!birth->ended)
            continue;
        PyObject *place = birth->place ? birth->place : Py_None;
        PyObject *told = Py_BuildValue("OiLLL", place, birth->instruction, birth->ended, birth->bytes, birth->blocks);
        if (!told || PyList_Append(found, told) < 0)
            Py_CLEAR(found);
        Py_XDECREF(told);
    }
    return found;
}

static PyObject *
native_ledger_bookkeeping(PyObject *_, PyObject *__)
{
    int64_t bytes = tag_bytes + (int64_t)accounts_used * (int64_t)(sizeof(Account) + sizeof(Particulars));
    return Py_BuildValue("LLLLLL", bytes, open_accounts, closed_accounts, foreign_frees, foreign_resizes,
                         unmapped_blocks);
}

static PyObject *
native_ledger_audit(PyObject *_, PyObject *__)
{
    Audit audit;
    if (audit_ledger(&audit) < 0)
        return PyErr_NoMemory();
    return Py_BuildValue("LLL", audit.wrong, audit.bytes, audit.blocks);
}

static PyObject *
native_ledger_own_thread(PyObject *_, PyObject *is_own)
{
    int own = PyObject_IsTrue(is_own);
    if (own < 0)
        return NULL;
    thread_is_own = (char)own;
    if (!current)
        paying = NULL;
    Py_RETURN_NONE;
}

int
add_ledger(PyObject *module)
{
    static PyMethodDef methods[] = {
        {"ledger_start", native_ledger_start, METH_O, NULL},
        {"ledger_stop", native_ledger_stop, METH_NOARGS, NULL},
        {"ledger_trouble", native_ledger_trouble, METH_NOARGS, NULL},
        {"ledger_held", native_ledger_held, METH_NOARGS, NULL},
        {"ledger_residues", native_ledger_residues, METH_NOARGS, NULL},
        {"ledger_bookkeeping", native_ledger_bookkeeping, METH_NOARGS, NULL},
        {"ledger_audit", native_ledger_audit, METH_NOARGS, NULL},
        {"ledger_own_thread", native_ledger_own_thread, METH_O, NULL},
        {NULL},
    };
    return PyModule_AddFunctions(module, methods);
}
