/* A method of Python's with a quick way for what is usual. It is told by the Python form, and looks like it; in C is
   only the case that hardly asks for anything, and what is not usual goes on to the method, as it was called. */

#include "native.h"

typedef struct {
    PyObject_HEAD
    PyObject *method;
    PyTypeObject *owner;
    Way way;
    vectorcallfunc call;
} Quick;

static PyObject *
quick_call(Quick *self, PyObject *const *args, size_t counted, PyObject *names)
{
    Py_ssize_t count = PyVectorcall_NARGS(counted);
    if (!names && count && PyObject_TypeCheck(args[0], self->owner)) {
        PyObject *result = self->way(args[0], args + 1, count - 1);
        if (result != Py_NotImplemented)
            return result;
    }
    return PyObject_Vectorcall(self->method, args, counted, names);
}

static PyObject *
quick_bound(PyObject *self, PyObject *object, PyObject *_)
{
    return object && object != Py_None ? PyMethod_New(self, object) : Py_NewRef(self);
}

/* Its name, signature and documentation are the method's. */
static PyObject *
quick_getattr(Quick *self, PyObject *name)
{
    PyObject *found = PyObject_GenericGetAttr((PyObject *)self, name);
    if (found || !PyErr_ExceptionMatches(PyExc_AttributeError))
        return found;
    PyErr_Clear();
    return PyObject_GetAttr(self->method, name);
}

static PyObject *
quick_get_doc(Quick *self, void *_)
{
    return PyObject_GetAttrString(self->method, "__doc__");
}

static PyObject *
quick_repr(Quick *self)
{
    return PyObject_Repr(self->method);
}

static int
quick_traverse(Quick *self, visitproc visit, void *arg)
{
    Py_VISIT(self->method);
    return 0;
}

static int
quick_clear(Quick *self)
{
    Py_CLEAR(self->method);
    return 0;
}

static void
quick_dealloc(Quick *self)
{
    PyObject_GC_UnTrack(self);
    quick_clear(self);
    Py_TYPE(self)->tp_free(self);
}

static PyMemberDef quick_members[] = {
    {"__wrapped__", T_OBJECT, offsetof(Quick, method), READONLY, NULL},
    {NULL},
};

static PyGetSetDef quick_getset[] = {
    {"__doc__", (getter)quick_get_doc, NULL, NULL, NULL},
    {NULL},
};

static PyTypeObject QuickType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "coloop._native.Quick",
    .tp_basicsize = sizeof(Quick),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL |
                Py_TPFLAGS_METHOD_DESCRIPTOR,
    .tp_dealloc = (destructor)quick_dealloc,
    .tp_traverse = (traverseproc)quick_traverse,
    .tp_clear = (inquiry)quick_clear,
    .tp_call = PyVectorcall_Call,
    .tp_vectorcall_offset = offsetof(Quick, call),
    .tp_descr_get = quick_bound,
    .tp_getattro = (getattrofunc)quick_getattr,
    .tp_repr = (reprfunc)quick_repr,
    .tp_members = quick_members,
    .tp_getset = quick_getset,
};

static PyObject *
native_quick(PyObject *_, PyObject *method)
{
    static const struct {
        const char *name;
        PyTypeObject *owner;
        Way way;
    } ways[] = {
        {"recv", &WireType, wire_recv},
        {"send", &WireType, wire_send},
        {"sendall", &WireType, wire_sendall},
        {"offer", &WireType, wire_offer},
        {"accept", &WireType, wire_accept},
        {"close", &WireType, wire_close},
        {"join", &StateType, state_join},
    };
    PyObject *name = PyObject_GetAttrString(method, "__name__");
    size_t found = 0;
    while (name && found < Py_ARRAY_LENGTH(ways) &&
           PyUnicode_CompareWithASCIIString(name, ways[found].name) != 0)
        found++;
    Py_XDECREF(name);
    if (!name)
        return NULL;
    if (found == Py_ARRAY_LENGTH(ways))
        return PyErr_Format(PyExc_ValueError, "there is no quick way for %R", method);
    Quick *self = PyObject_GC_New(Quick, &QuickType);
    if (!self)
        return NULL;
    self->method = Py_NewRef(method);
    self->owner = ways[found].owner;
    self->way = ways[found].way;
    self->call = (vectorcallfunc)quick_call;
    PyObject_GC_Track(self);
    return (PyObject *)self;
}

int
add_quick(PyObject *module)
{
    static PyMethodDef quick = {"quick", native_quick, METH_O, NULL};
    if (PyType_Ready(&QuickType) < 0)
        return -1;
    PyObject *made = PyCFunction_NewEx(&quick, NULL, NULL);
    int added = made ? PyModule_AddObjectRef(module, "quick", made) : -1;
    Py_XDECREF(made);
    return added;
}
