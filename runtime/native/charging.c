/* What a coroutine costs: the time that it runs is measured here, its heap is told by the ledger. */

#include "native.h"

/* Another thread may take the ledger away at any call into Python: hence the look, and the hold. */
static int
charge(PyObject *tally)
{
    PyObject *held = Py_XNewRef(ledger);
    if (!held)
        return 0;
    PyObject *done = PyObject_CallMethodOneArg(held, str.settle, tally);
    Py_DECREF(held);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* Charge heap to the account of `coroutine`, or to nobody's. */
int
charge_to(State *coroutine)
{
    PyObject *tally = coroutine ? state_tally(coroutine) : PyObject_GetAttr(of.memory, str.outside);
    if (!tally)
        return -1;
    int done = charge(tally);
    Py_DECREF(tally);
    return done;
}

/* What the scheduler itself takes is nobody's heap, nor are the copies of C stacks that a switch makes. */
int
charge_switch(void)
{
    return ledger ? charge_to(NULL) : 0;
}

int
make_objects(void)
{
    PyObject *done = PyObject_CallNoArgs(of.make_callers_objects);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

int
settle(Switching *self)
{
    double now = perf_counter();
    if (self->running)
        self->running->busy_s += now - self->charged_at;
    self->charged_at = now;
    return ledger ? charge_to(self->running) : 0;
}
