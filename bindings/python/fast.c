/*
 * satchel._fast: the way from a search to Python's hits, compiled. What it does _hits.py does too, through
 * ctypes, where this module is not there; a search of a millisecond has emptied the processor's caches, and
 * then every step of ctypes is slow.
 *
 * It is loaded by Python, is not linked with the library, and gets the addresses of the functions that it
 * calls: which library is used is decided in _native.py alone. Python's stable ABI: one build serves all
 * versions from 3.10 on.
 */
#define Py_LIMITED_API 0x030a0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <satchel.h>
#include <stdbool.h>

/* ------------------------------------------------------------------ the library */

#define FUNCTIONS(X)                                                                               \
    X(search_options_init)                                                                         \
    X(search)                                                                                      \
    X(results_count)                                                                               \
    X(results_mode)                                                                                \
    X(results_get)                                                                                 \
    X(results_get_match)                                                                           \
    X(results_close)

/* What the library has by these names. Written by bind(), and then only read. */
static struct {
#define MEMBER(name) __typeof__(satchel_##name) *name;
    FUNCTIONS(MEMBER)
#undef MEMBER
} library;

#define NAMES(X)                                                                                   \
    X(document_id) X(score) X(text) X(_source) X(_index) X(start) X(end) X(start_utf16) X(end_utf16)

/* Names of slots that are set here. */
static struct {
#define MEMBER(name) PyObject *name;
    NAMES(MEMBER)
#undef MEMBER
} names;

/* What search() makes: OpenResults, or what bind() gave that is derived from it. */
static PyTypeObject *results_type;

/* bind(addresses, type): of the functions, by their names; and of results. */
static PyObject *bind(PyObject *module, PyObject *arguments) {
    (void)module;
    PyObject *addresses, *type;
    if (!PyArg_ParseTuple(arguments, "OO!:bind", &addresses, &PyType_Type, &type))
        return NULL;
    if (!PyType_IsSubtype((PyTypeObject *)type, results_type)) {
        PyErr_SetString(PyExc_TypeError, "bind() takes a class derived from OpenResults");
        return NULL;
    }
#define TAKE(name)                                                                                 \
    {                                                                                              \
        PyObject *address = PyMapping_GetItemString(addresses, "satchel_" #name);                  \
        void *function = address ? PyLong_AsVoidPtr(address) : NULL;                               \
        Py_XDECREF(address);                                                                       \
        if (PyErr_Occurred())                                                                      \
            return NULL;                                                                           \
        library.name = (__typeof__(satchel_##name) *)function;                                     \
    }
    FUNCTIONS(TAKE)
#undef TAKE
    Py_INCREF(type);
    results_type = (PyTypeObject *)type;
    Py_RETURN_NONE;
}

/* ------------------------------------------------------------------ results */

/* A satchel_results, and whether it is closed with this object. */
typedef struct open_results {
    PyObject_HEAD satchel_results *results;
    bool owned;
} open_results;

static PyObject *results_new(satchel_results *results, bool owned) {
    open_results *made = (open_results *)PyType_GenericAlloc(results_type, 0);
    if (made) {
        made->results = results;
        made->owned = owned;
    } else if (owned) {
        library.results_close(&results);
    }
    return (PyObject *)made;
}

static void results_free(PyObject *self) {
    open_results *of = (open_results *)self;
    if (of->owned)
        library.results_close(&of->results);
    PyTypeObject *type = Py_TYPE(self);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyObject *text_of(const char *text) {
    return PyUnicode_FromString(text ? text : "");
}

/* Sets a slot of an object whose own class forbids it: they are frozen once made. Takes `value`. */
static bool set(PyObject *object, PyObject *name, PyObject *value) {
    bool done = value && PyObject_GenericSetAttr(object, name, value) == 0;
    Py_XDECREF(value);
    return done;
}

/* The hit, or false with an exception: an index that is no hit's. */
static bool get_hit(const open_results *of, size_t index, satchel_hit *hit) {
    *hit = (satchel_hit){0};
    if (library.results_get(of->results, index, hit, sizeof *hit, NULL) == SATCHEL_OK)
        return true;
    PyErr_Format(PyExc_IndexError, "there is no hit %zu", index);
    return false;
}

static PyObject *make_hit(open_results *of, size_t index, PyTypeObject *type) {
    satchel_hit hit;
    PyObject *made = get_hit(of, index, &hit) ? PyType_GenericAlloc(type, 0) : NULL;
    if (!made)
        return NULL;
    Py_INCREF(of);
    if (set(made, names._source, (PyObject *)of) &&
        set(made, names._index, PyLong_FromSize_t(index)) &&
        set(made, names.document_id, text_of(hit.document_id)) &&
        set(made, names.score, PyFloat_FromDouble(hit.score)) &&
        set(made, names.text,
            PyUnicode_DecodeUTF8(hit.text, (Py_ssize_t)hit.text_length, "strict")))
        return made;
    Py_DECREF(made);
    return NULL;
}

/* hits(type): a list of new objects: with document_id, score and text, and where to read the rest. */
static PyObject *results_hits(PyObject *self, PyObject *type) {
    open_results *of = (open_results *)self;
    if (!PyType_Check(type)) {
        PyErr_SetString(PyExc_TypeError, "hits() takes a type");
        return NULL;
    }
    size_t count = library.results_count(of->results);
    PyObject *list = PyList_New((Py_ssize_t)count);
    for (size_t i = 0; list && i < count; i++) {
        PyObject *hit = make_hit(of, i, (PyTypeObject *)type);
        if (!hit)
            Py_CLEAR(list);
        else
            PyList_SetItem(list, (Py_ssize_t)i, hit);
    }
    return list;
}

/* read(index): what hits() left out, as the library has it. */
static PyObject *results_read(PyObject *self, PyObject *index) {
    size_t at = PyLong_AsSize_t(index);
    satchel_hit hit;
    if (PyErr_Occurred() || !get_hit((open_results *)self, at, &hit))
        return NULL;
    return Py_BuildValue(
        "zzLLLLLLLLLffizLLL", hit.title, hit.heading, (long long)hit.range.start,
        (long long)hit.range.end, (long long)hit.range.start_utf16, (long long)hit.range.end_utf16,
        (long long)hit.snippet.start, (long long)hit.snippet.end,
        (long long)hit.snippet.start_utf16, (long long)hit.snippet.end_utf16, (long long)hit.chunk,
        (double)hit.keyword_score, (double)hit.vector_score, (int)hit.page, hit.metadata,
        (long long)hit.time_ms, (long long)hit.source_start, (long long)hit.source_end);
}

/* matches(index, type): a tuple of objects of a type with the slots of a range. */
static PyObject *results_matches(PyObject *self, PyObject *arguments) {
    Py_ssize_t index;
    PyObject *type;
    if (!PyArg_ParseTuple(arguments, "nO!:matches", &index, &PyType_Type, &type))
        return NULL;
    const open_results *of = (open_results *)self;
    satchel_hit hit;
    if (!get_hit(of, (size_t)index, &hit))
        return NULL;
    PyObject *matches = PyTuple_New((Py_ssize_t)hit.match_count);
    for (size_t i = 0; matches && i < hit.match_count; i++) {
        satchel_range range = {0};
        library.results_get_match(of->results, (size_t)index, i, &range, NULL);
        PyObject *made = PyType_GenericAlloc((PyTypeObject *)type, 0);
        bool filled = made && set(made, names.start, PyLong_FromLongLong(range.start)) &&
                      set(made, names.end, PyLong_FromLongLong(range.end)) &&
                      set(made, names.start_utf16, PyLong_FromLongLong(range.start_utf16)) &&
                      set(made, names.end_utf16, PyLong_FromLongLong(range.end_utf16));
        if (filled) {
            PyTuple_SetItem(matches, (Py_ssize_t)i, made);
        } else {
            Py_XDECREF(made);
            Py_CLEAR(matches);
        }
    }
    return matches;
}

static PyObject *results_get_mode(PyObject *self, void *unused) {
    (void)unused;
    return PyLong_FromLong(library.results_mode(((open_results *)self)->results));
}

/* ------------------------------------------------------------------ the module */

/* Too large is too large: the library refuses what this gives for it. */
static int32_t int32_of(PyObject *number) {
    int overflow;
    long value = PyLong_AsLongAndOverflow(number, &overflow);
    if (overflow > 0 || value > INT32_MAX)
        return INT32_MAX;
    return overflow < 0 || value < INT32_MIN ? INT32_MIN : (int32_t)value;
}

/* search(store, query, mode, k, filter, cancel): the results; or what to raise: status, message and the
 * system's error number. `store` and `cancel` are addresses, query and filter bytes without a NUL. */
static PyObject *search(PyObject *module, PyObject *const *arguments, Py_ssize_t count) {
    (void)module;
    if (count != 6) {
        PyErr_SetString(PyExc_TypeError, "search() takes 6 arguments");
        return NULL;
    }
    satchel_search_options options;
    library.search_options_init(&options, sizeof options);
    satchel_store *store = PyLong_AsVoidPtr(arguments[0]);
    const char *query = PyBytes_AsString(arguments[1]);
    options.mode = int32_of(arguments[2]);
    options.k = int32_of(arguments[3]);
    if (arguments[4] != Py_None)
        options.filter = PyBytes_AsString(arguments[4]);
    options.cancel = PyLong_AsVoidPtr(arguments[5]);
    if (PyErr_Occurred())
        return NULL;
    satchel_results *results = NULL;
    satchel_error error = {0};
    satchel_status status;
    Py_BEGIN_ALLOW_THREADS status = library.search(&results, store, query, &options, &error);
    Py_END_ALLOW_THREADS if (status) return Py_BuildValue("iyi", (int)status, error.message,
                                                          (int)error.os_code);
    return results_new(results, true);
}

/* borrowed(address): results that something else keeps open, and closes. */
static PyObject *borrowed(PyObject *module, PyObject *address) {
    (void)module;
    satchel_results *results = PyLong_AsVoidPtr(address);
    return PyErr_Occurred() ? NULL : results_new(results, false);
}

static PyMethodDef results_methods[] = {
    {"hits", results_hits, METH_O, "hits(type)"},
    {"read", results_read, METH_O, "read(index)"},
    {"matches", results_matches, METH_VARARGS, "matches(index, type)"},
    {NULL, NULL, 0, NULL}};

static PyGetSetDef results_properties[] = {
    {"mode", results_get_mode, NULL, "SATCHEL_SEARCH_* that served", NULL},
    {NULL, NULL, NULL, NULL, NULL}};

static PyType_Slot results_slots[] = {{Py_tp_dealloc, results_free},
                                      {Py_tp_methods, results_methods},
                                      {Py_tp_getset, results_properties},
                                      {0, NULL}};

static PyType_Spec results_spec = {.name = "satchel._fast.OpenResults",
                                   .basicsize = sizeof(open_results),
                                   .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
                                   .slots = results_slots};

static PyMethodDef functions[] = {{"bind", bind, METH_VARARGS, "bind(addresses, type)"},
                                  {"search", (PyCFunction)(void (*)(void))search, METH_FASTCALL,
                                   "search(store, query, mode, k, filter, cancel)"},
                                  {"borrowed", borrowed, METH_O, "borrowed(address)"},
                                  {NULL, NULL, 0, NULL}};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "satchel._fast",
                                        .m_size = -1, .m_methods = functions};

PyMODINIT_FUNC PyInit__fast(void); // Python looks for it by name

PyMODINIT_FUNC PyInit__fast(void) {
#define MAKE(name)                                                                                 \
    names.name = PyUnicode_InternFromString(#name);                                                \
    if (!names.name)                                                                               \
        return NULL;
    NAMES(MAKE)
#undef MAKE
    PyObject *module = PyModule_Create(&definition);
    PyObject *type = module ? PyType_FromSpec(&results_spec) : NULL;
    Py_XINCREF(type);
    results_type = (PyTypeObject *)type;
    if (type && PyModule_AddObject(module, "OpenResults", type) == 0)
        return module;
    Py_XDECREF(type);
    Py_XDECREF(module);
    return NULL;
}
