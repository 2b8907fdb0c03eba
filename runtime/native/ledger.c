/* What Python asks the ledger for. See `_native_ledger.py`. */

#include "ledger.h"

#include <stdlib.h>

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
    if (counting && let_pay(schedulers) < 0) /* if not, there may be no accounts, either */
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
    int64_t total = ledger_bytes, living = living_bytes(), each[PROBE];
    for (int i = 0; i < PROBE; i++)
        each[i] = accounts[i].bytes;
    return Py_BuildValue("LLLLLLLL", total, living, closed_bytes, each[THREADS], each[OUTSIDE], each[SCHEDULER],
                         each[STACKS], each[OWN]);
}

static PyObject *
native_ledger_residues(PyObject *_, PyObject *__)
{
    PyObject *found = PyList_New(0);
    for (uint32_t i = 0; found && i < births_used; i++) {
        Birth *birth = &births[i];
        if (!birth->ended)
            continue;
        PyObject *place = Py_NewRef(birth->place ? birth->place : Py_None); /* a finalizer may let it go */
        PyObject *told = Py_BuildValue("NiLLL", place, birth->instruction, birth->ended, birth->bytes,
                                       birth->blocks);
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

/* Of every so many bytes on the average; 1: of every block; 0: of none. */
static PyObject *
native_ledger_note_sites(PyObject *_, PyObject *mean)
{
    double bytes = PyFloat_AsDouble(mean);
    if (bytes == -1.0 && PyErr_Occurred())
        return NULL;
    if (accounts && !is_guest())
        note_sites(bytes);
    Py_RETURN_NONE;
}

static PyObject *
native_ledger_note_all(PyObject *_, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2 || !IS_STATE(args[0])) {
        PyErr_SetString(PyExc_TypeError, "ledger_note_all takes a coroutine and whether all are noted");
        return NULL;
    }
    int all = PyObject_IsTrue(args[1]);
    if (all < 0)
        return NULL;
    State *coroutine = (State *)args[0];
    if (counting && !coroutine->has_ended && number_of(account_of(coroutine)) >= FIRST_ACCOUNT)
        note_all_of(coroutine->account, all);
    Py_RETURN_NONE;
}

/* Held before anything is allocated: that may run a finalizer, and stacks may be forgotten there. */
static PyObject *
told_stack(uint32_t number)
{
    Frame frames[MAX_DEPTH];
    int depth = stacks && stacks[number].frames ? stacks[number].depth : 0;
    for (int i = 0; i < depth; i++) {
        frames[i] = stacks[number].frames[depth - 1 - i];
        Py_INCREF(frames[i].code);
    }
    PyObject *told = PyTuple_New(depth);
    for (int i = 0; i < depth; i++) {
        PyObject *place = told ? Py_BuildValue("OL", frames[i].code, frames[i].instruction) : NULL;
        if (place)
            PyTuple_SET_ITEM(told, i, place);
        else
            Py_CLEAR(told);
        Py_DECREF(frames[i].code);
    }
    return told;
}

static PyObject *
told_sum(PyObject *cache, HeapOf *sum)
{
    PyObject *key = PyLong_FromUnsignedLong(sum->stack);
    PyObject *stack = key ? PyDict_GetItemWithError(cache, key) : NULL;
    Py_XINCREF(stack);
    if (key && !stack && !PyErr_Occurred()) {
        stack = told_stack(sum->stack);
        if (stack && PyDict_SetItem(cache, key, stack) < 0)
            Py_CLEAR(stack);
    }
    Py_XDECREF(key);
    if (!stack)
        return NULL;
    return Py_BuildValue("LNddd", sum->coroutine, stack, sum->bytes, sum->blocks, sum->variance);
}

static PyObject *
native_ledger_stacks(PyObject *_, PyObject *__)
{
    static int telling; /* a finalizer may ask too: then the numbers of stacks have to stay what they are */
    Py_ssize_t count;
    if (!telling)
        sweep_stacks();
    HeapOf *sums = sum_sites(&count);
    if (!sums)
        return PyErr_NoMemory();
    telling++;
    PyObject *told = PyList_New(0), *cache = PyDict_New();
    for (Py_ssize_t i = 0; told && i < count; i++) {
        PyObject *sum = cache ? told_sum(cache, &sums[i]) : NULL;
        if (!sum || PyList_Append(told, sum) < 0)
            Py_CLEAR(told);
        Py_XDECREF(sum);
    }
    telling--;
    Py_XDECREF(cache);
    free(sums);
    return told;
}

static PyObject *
told_types(TypeSum *sums, size_t size, TypeSum *none)
{
    PyObject *told = PyList_New(0);
    for (size_t i = 0; told && i <= size; i++) {
        TypeSum *sum = i < size ? &sums[i] : none;
        if (!sum->count)
            continue;
        PyObject *type = sum->type ? (PyObject *)sum->type : Py_None;
        PyObject *each = Py_BuildValue("OLL", type, sum->count, sum->bytes);
        if (!each || PyList_Append(told, each) < 0)
            Py_CLEAR(told);
        Py_XDECREF(each);
    }
    return told;
}

static PyObject *
native_ledger_types(PyObject *_, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2 || !PyList_CheckExact(args[0])) {
        PyErr_SetString(PyExc_TypeError, "ledger_types takes a list of types and the id of a coroutine");
        return NULL;
    }
    long long coroutine = PyLong_AsLongLong(args[1]);
    if (coroutine == -1 && PyErr_Occurred())
        return NULL;
    size_t size;
    TypeSum none = {0}, *sums = counting ? sum_types(args[0], coroutine, &none, &size) : NULL;
    if (!sums)
        return counting ? PyErr_NoMemory() : PyList_New(0);
    PyObject *told = told_types(sums, size, &none);
    free(sums);
    return told;
}

/* table[key] = value, where the table is the runtime's own. */
static PyObject *
native_enter(PyObject *_, PyObject *const *args, Py_ssize_t count)
{
    if (count != 3) {
        PyErr_SetString(PyExc_TypeError, "enter takes a table, a key and a value");
        return NULL;
    }
    Account *payer = scheduler_pays();
    int done = PyObject_SetItem(args[0], args[1], args[2]);
    pays_again(payer);
    if (done < 0)
        return NULL;
    Py_RETURN_NONE;
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
        {"ledger_note_sites", native_ledger_note_sites, METH_O, NULL},
        {"ledger_note_all", (PyCFunction)(void (*)(void))native_ledger_note_all, METH_FASTCALL, NULL},
        {"ledger_stacks", native_ledger_stacks, METH_NOARGS, NULL},
        {"ledger_types", (PyCFunction)(void (*)(void))native_ledger_types, METH_FASTCALL, NULL},
        {"ledger_objects", (PyCFunction)(void (*)(void))native_ledger_objects, METH_FASTCALL, NULL},
        {"enter", (PyCFunction)(void (*)(void))native_enter, METH_FASTCALL, NULL},
        {"ledger_own_thread", native_ledger_own_thread, METH_O, NULL},
        {NULL},
    };
    return PyModule_AddFunctions(module, methods);
}
