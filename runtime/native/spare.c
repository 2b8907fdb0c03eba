/* What the allocator of small objects holds beyond what it has handed out.

   CPython counts this only where it prints it, and only for the allocator that is in place. But a tracer puts
   hooks before that one. So what was in place when this module was loaded is put back while this is counted.
   Nobody can allocate meanwhile: that takes the GIL, and no Python code runs here. */

#include "native.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int _PyObject_DebugMallocStats(FILE *out); /* 3.11 to 3.13: 0 where it is not pymalloc that is in place */

static PyMemAllocatorEx without_hooks;

/* What it prints of the allocator without hooks, to be freed; NULL if there is nothing. */
static char *
statistics(void)
{
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    if (!out)
        return NULL;
    PyMemAllocatorEx hooks;
    PyMem_GetAllocator(PYMEM_DOMAIN_OBJ, &hooks);
    PyMem_SetAllocator(PYMEM_DOMAIN_OBJ, &without_hooks);
    int counted = _PyObject_DebugMallocStats(out);
    PyMem_SetAllocator(PYMEM_DOMAIN_OBJ, &hooks);
    if (fclose(out) == 0 && counted)
        return text;
    free(text);
    return NULL;
}

/* From a line as `18 arenas * 1048576 bytes/arena      =           18,874,368`; -1 if there is none. */
static long long
figure(const char *text, const char *label)
{
    const char *line = strstr(text, label), *c = line ? strchr(line, '=') : NULL;
    if (!c)
        return -1;
    long long bytes = 0;
    for (; *c && *c != '\n'; c++)
        if (isdigit((unsigned char)*c))
            bytes = 10 * bytes + (*c - '0');
    return bytes;
}

static PyObject *
native_spare_room(PyObject *_, PyObject *__)
{
    char *text = statistics();
    if (!text)
        Py_RETURN_NONE;
    long long arenas = figure(text, "bytes/arena"), handed_out = figure(text, "bytes in allocated blocks");
    free(text);
    if (arenas <= 0 || handed_out < 0)
        Py_RETURN_NONE;
    return PyLong_FromLongLong(arenas - handed_out);
}

int
add_spare(PyObject *module)
{
    static PyMethodDef methods[] = {{"spare_room", native_spare_room, METH_NOARGS, NULL}, {NULL}};
    PyMem_GetAllocator(PYMEM_DOMAIN_OBJ, &without_hooks);
    return PyModule_AddFunctions(module, methods);
}
