/* What `help` says of a scheduler's own methods: the words of `_switching.py`, which a test compares. */

#ifndef COLOOP_DOCS_H
#define COLOOP_DOCS_H

PyDoc_STRVAR(scheduler_go_doc,
"go($self, fn, args=(), kwargs=None, *, name=None, memory_limit=None, spawned_at=None)\n--\n\n"
"Start `fn(*args, **kwargs)` now; return when it first parks or has ended.\n\n"
"Args:\n"
"    fn: a plain function.\n"
"    args: its positional arguments.\n"
"    kwargs: its keyword arguments.\n"
"    name: the coroutine's name; the function's own by default.\n"
"    memory_limit: heap bytes above which it gets `MemoryLimitExceeded`; needs level `heap`.\n"
"    spawned_at: the place to show instead of the caller's.\n\n"
"Raises:\n"
"    TooManyCoroutines: `max_coroutines` live already.\n"
"    NotRunning: called by a finalizer at the end of a coroutine, or one that the garbage collector runs.\n"
"    ValueError: a limit that is not positive, or at a level that could not tell.\n"
"    WrongThread: called from another thread.");
PyDoc_STRVAR(scheduler_park_doc, "park($self, verb, subject=None, timeout_s=None)\n--\n\n"
"The running coroutine waits until `wake` or `interrupt` ends its wait.\n\n"
"Args:\n"
"    verb: what it does, for those who look: `recv`, `sleep`, `channel receive` ...\n"
"    subject: what it does that with; shown as text behind the verb.\n"
"    timeout_s: raise `Timeout` after so many seconds.\n\n"
"Returns:\n"
"    What was given to `wake`.\n\n"
"Raises:\n"
"    NotRunning: no coroutine runs, or a finalizer that the garbage collector runs asks.\n"
"    WrongThread: called from another thread.\n"
"    BaseException: what was given to `interrupt`: `Timeout`, `Cancelled` ...");
PyDoc_STRVAR(scheduler_wake_doc, "wake($self, coroutine, value=None, /)\n--\n\n"
"End the wait of `coroutine` normally; False if it does not wait (any more).\n\n"
"Raises:\n"
"    WrongThread: called from another thread.");
PyDoc_STRVAR(scheduler_wake_each_doc, "wake_each($self, coroutines, /)\n--\n\n"
"End the waits of them all normally, in order.");
PyDoc_STRVAR(scheduler_interrupt_doc, "interrupt($self, coroutine, error, /)\n--\n\n"
"Raise `error` at the wait of `coroutine`, or at its next one if it does not wait now.\n\n"
"Raises:\n"
"    WrongThread: called from another thread.");
PyDoc_STRVAR(scheduler_yield_now_doc, "yield_now($self, /)\n--\n\n"
"Let the other ready ones run, then go on.\n\n"
"Raises:\n"
"    NotRunning: no coroutine runs, or a finalizer that the garbage collector runs asks.\n"
"    WrongThread: called from another thread.");
PyDoc_STRVAR(scheduler_checkpoint_doc, "checkpoint($self, /)\n--\n\n"
"For operations that succeed without waiting: yield when many of them came in a row.");
PyDoc_STRVAR(scheduler_run_slice_doc, "run_slice($self, /)\n--\n\n"
"Let the ready ones run, for `SLICE_SWITCHES` switches or `SLICE_S` seconds.");
PyDoc_STRVAR(scheduler_dismiss_workers_doc, "dismiss_workers($self, kept, /)\n--\n\n"
"Let all but so many of the idle workers end.");
PyDoc_STRVAR(scheduler_settle_doc, "settle($self, /)\n--\n\n"
"Charge the running coroutine up to this moment, so that its figures can be read.");
PyDoc_STRVAR(scheduler_abandon_doc, "abandon($self, coroutine, /)\n--\n\n"
"Never schedule it again: it ignored every request to end. What it holds stays where it is.");

#endif
