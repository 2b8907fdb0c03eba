/* The interpreter's own frames, read in the midst of an allocation: where each CPython keeps the innermost, and the
   code that one runs. */

#ifndef COLOOP_LEDGER_FRAMES_H
#define COLOOP_LEDGER_FRAMES_H

#include "ledger.h"

#ifndef Py_BUILD_CORE
#define Py_BUILD_CORE
#include <internal/pycore_frame.h>
#undef Py_BUILD_CORE
#else
#include <internal/pycore_frame.h>
#endif

static inline _PyInterpreterFrame *
innermost_frame(PyThreadState *thread)
{
#if PY_VERSION_HEX >= 0x030D0000
    return thread->current_frame;
#else
    return thread->cframe ? thread->cframe->current_frame : NULL;
#endif
}

/* NULL of one that runs none, or none any more. */
static inline PyCodeObject *
code_of(_PyInterpreterFrame *frame)
{
#if PY_VERSION_HEX >= 0x030D0000
    PyObject *code = frame->f_executable;
#else
    PyObject *code = (PyObject *)frame->f_code;
#endif
    return code && PyCode_Check(code) && Py_REFCNT(code) > 0 ? (PyCodeObject *)code : NULL;
}

#endif
