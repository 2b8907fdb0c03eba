/* The native form of the hot path: what the Python modules named below say, said to the machine.

       coroutine.c   what switching knows of a coroutine       _coroutine_state.py
       switching.c   who runs next                             _switching.py
       spawning.c    starting and ending one                   _switching.py
       charging.c    who pays for what is allocated            _switching.py
       ledger*.c     what each has allocated: see ledger.h
       stacks.c      where its Python frames lie
       spare.c       what the allocator has in reserve     _spare_room.py
       timers.c      deadlines, soonest first                  _timers.py
       timing.c      when to wake whom                         _timing.py
       graves.c      what is remembered of the dead            _snapshot.py
       line.c        waiting in line                           _line.py
       channel.c     what passes through a channel             _passage.py
       arguments.c   the arguments of a call
       poller.c      which descriptors are ready               _poller.py
       wire.c        reading and writing a plain socket        _wire.py, _socket.py
       connection.c  how one begins and ends                   _listener.py, _socket.py
       tls.c         reading and writing a TLS stream          _tls.py
       quick.c       the usual case of a method
       collector.c   when the garbage collector is at work     _switching.py
       module.c      what Python imports                       _native.pyi
       docs.h        what `help` says                          _switching.py

   The Python form is the reference, and the same tests run on both. Whatever is rare stays in Python and is
   called from here: limits, what is said of a timeout, the order that a seed decides, the report of a failure.

   Three things differ from the Python form, because they must:

   * No bytecode runs here, so an exception from another thread (`kill`) cannot strike inside. It would
     strike in whatever Python code comes next, which may be another coroutine's. So each way in takes down
     `exposed` and then asks whether one is pending: if so it is raised here, before anything has changed.
     And what is handed out to Python code is not lost on the threshold: see `hand_over`.
   * A spawn site is noted as a code object and an offset, without making a frame object.
   * The dead are remembered as C structures and become tuples when somebody looks.

   A greenlet's C stack is copied away while it is switched out: no pointer into it may be kept over a switch. */

#ifndef COLOOP_NATIVE_H
#define COLOOP_NATIVE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <structmember.h>
#include <time.h>

#pragma GCC visibility push(hidden)

#define SLICE_SWITCHES 256
#define TURN_OPERATIONS 64
#define SLICE_S 0.001
#define KEPT_DEAD 256

#define VISIT(field) Py_VISIT(field);
#define CLEAR(field) Py_CLEAR(field);

/* What is asked of the rest of coloop; loaded when the first scheduler is made. */
typedef struct {
    PyObject *ready, *waiting, *done, *failed, *cancelled; /* states */
    PyObject *Coroutine, *default_name;
    PyObject *Cancelled, *Killed, *NotRunning, *Timeout;
    PyObject *trimmed, *calling_site, *Site, *ours;
    PyObject *foreign, *either, *nobody, *closed_error;
    PyObject *SSLError, *SSLWantReadError;
    PyObject *Tally, *memory, *MonotonicClock, *check_seconds;
    PyObject *Limit, *Crossing, *Struck, *StruckDown, *rightly_named;
} Names;

extern Names of;

typedef struct {
    PyObject *safe_point, *check_limits, *check_limits_of_spawn, *now;
    PyObject *sleep, *wake, *expire, *call_failed, *NoneType, *gr_context, *outcome, *randrange;
} Strings; /* made once: the interpreter's method cache keeps each name that is made anew */

extern Strings str;

typedef struct {
    PyObject **into;
    const char *text;
} Text; /* that a file makes once */

static inline int
make_texts(const Text *texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!(*texts[i].into = PyUnicode_InternFromString(texts[i].text)))
            return -1;
    return 0;
}

extern _Thread_local PyObject *current; /* the scheduler of this thread; owned */

/* -- one coroutine */

typedef struct Account Account;

typedef struct {
    PyObject_HEAD
    /* What every switch looks at comes first, in two lines of the cache. */
    PyObject *state, *verb, *subject, *greenlet, *raise, *value, *interrupts;
    PyObject *limit; /* of its heap; NULL: it has none */
    double busy_s;
    Py_ssize_t switches;
    Account *account; /* if its generation is still that one; of a dead one, what it has left is on it */
    uint32_t generation;
    const void *first_chunk; /* of its Python frames; NULL: not known so far */
    PyObject *weakrefs;
    PyObject *scheduler, *watchers, *defers, *error, *name, *id, *parent_id;
    PyObject *context; /* a copy of its parent's; made when somebody asks for it if the parent had none */
    PyObject *traceback; /* of a failure, as of its end */
    PyObject *tally;   /* made when somebody asks for it */
    PyObject *site;    /* made from `code` when somebody asks for it */
    PyObject *code;
    int instruction;
    double started_at, ended_at;
    int64_t peak, allocated; /* of its heap, at its end */
    char has_ended, observed;
} State;

extern PyTypeObject StateType;

#define IS_STATE(o) PyObject_TypeCheck(o, &StateType)

PyObject *state_tally(State *self);                   /* new reference */
PyObject *site_of(PyObject *code, int instruction);   /* new reference */
int keep_context(State *self);                        /* make it, if it has none yet */
int add_coroutine(PyObject *module);

/* -- timers */

typedef struct Timers Timers;

typedef struct {
    PyObject_VAR_HEAD
    Timers *timers; /* borrowed; NULL: it is over, and holds nothing */
    double deadline;
    PyObject *owner, *fn;
    PyObject *args[]; /* as many as `ob_size` says */
} Timer;

typedef struct {
    double deadline;
    unsigned long long serial;
    Timer *timer; /* owned, also when it is over */
} Due;

struct Timers {
    PyObject_HEAD
    Due *heap;
    Py_ssize_t size, count, living;
    unsigned long long added;
};

extern PyTypeObject TimerType, TimersType;

Timer *timers_add(Timers *self, double deadline, PyObject *owner, PyObject *fn, PyObject *const *args,
                  Py_ssize_t count);
Timer *timers_pop_expired(Timers *self, double now); /* owned */
void timer_cancel(Timer *self);
void timer_release(Timer *self); /* once it is over */
int add_timers(PyObject *module);

/* -- the scheduler */

typedef struct {
    State **items;
    Py_ssize_t size, first, count; /* size is a power of two */
} Ring;

/* Numbers are copied: an object made for the living would be charged to one and, kept here, credited to nobody. */
typedef struct {
    PyObject *name, *state, *site, *code, *outcome;
    int instruction;
    double lived_s, ended_at, busy_s;
    Py_ssize_t id, parent_id, switches; /* a parent's id of 0: none */
    long long heap_bytes, heap_peak, allocated_total;
} Grave;

typedef struct {
    PyObject_HEAD
    PyObject *dict, *weakrefs;
    PyObject *clock, *living, *unclaimed, *dice, *max_coroutines, *limit;
    State *running, *exposed;
    Timers *timers;
    PyObject *waker, *expirer; /* its own methods, for timers to call */
    PyObject *sockets;
    PyObject *root, *hirer; /* greenlets */
    State *job; /* with its function */
    PyObject *job_fn, *job_args, *job_kwargs;
    State **callers; /* NULL stands for the root */
    Py_ssize_t callers_count, callers_size;
    PyObject **idle; /* workers */
    Py_ssize_t idle_count, idle_size;
    Ring ready;
    Grave graves[KEPT_DEAD];
    Py_ssize_t buried;
    Py_ssize_t spawned, peak, failures, switches;
    Py_ssize_t slice_left, turn_left;
    double slice_end, running_since, charged_at;
    unsigned long thread_id;
    Account **pays; /* where its thread keeps who pays; NULL: it is not that thread's scheduler now */
    char is_monotonic, collecting; /* whether the garbage collector is at work on its thread */
    const void *handed_code; /* where something was handed to a coroutine last; only compared */
    int handed_at;
} Switching;

extern PyTypeObject SwitchingType;

static inline double
perf_counter(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* An exception that another thread has sent and that has not struck yet: raise it here. */
static inline int
struck_on(PyThreadState *thread)
{
    PyObject *error = thread->async_exc;
    if (!error)
        return 0;
    thread->async_exc = NULL;
    PyErr_SetNone(error);
    Py_DECREF(error);
    return -1;
}

static inline int
struck(void)
{
    return struck_on(PyThreadState_Get());
}

static inline void
set_exposed(Switching *self, State *coroutine)
{
    Py_XINCREF(coroutine);
    Py_XSETREF(self->exposed, coroutine);
}

static inline void
set_running(Switching *self, State *coroutine)
{
    Py_XINCREF(coroutine);
    Py_XSETREF(self->running, coroutine);
}

double clock_now(Switching *self, double now);

State *ring_pop_at(Ring *ring, Py_ssize_t place);
int leave(Switching *self, double now, State *target, char *left);
int make_ready(Switching *self, State *coroutine);
PyObject *switch_to(PyObject *greenlet); /* new reference */
PyObject *yield_now(Switching *self, PyObject *_);
PyObject *checkpoint(Switching *self, PyObject *_);
PyObject *park(Switching *self, PyObject *verb, PyObject *subject, PyObject *timeout_s);
int wake(Switching *self, State *coroutine, PyObject *value);
int interrupt(Switching *self, State *coroutine, PyObject *error);
int check_thread(Switching *self, const char *what);
int ask_greenlet(Switching *self, State *me, PyThreadState *thread);

/* A greenlet that somebody has made inside of a coroutine is none of ours: the switch back would lead to the coroutine's
   own, in the midst of whatever has started the stranger. */
static inline int
check_greenlet(Switching *self, State *me, PyThreadState *thread)
{
    return me->first_chunk && me->first_chunk == thread->datastack_chunk ? 0 : ask_greenlet(self, me, thread);
}

/* On the way of every wait: where the scheduler of this thread is `self`, there is nothing to ask. */
static inline int
check_here(Switching *self, const char *what)
{
    return current == (PyObject *)self ? 0 : check_thread(self, what);
}

/* -- the garbage collector */

int hear_of_collections(void);
int refuse_collector(Switching *self);

/* Whoever starts a coroutine or waits must not be what the collector runs. */
static inline int
check_collector(Switching *self)
{
    return self->collecting ? refuse_collector(self) : 0;
}

int add_switching(PyObject *module);

/* -- when to wake whom; arguments are borrowed, `now` is what `perf_counter` said, `what` the delay is called */

Timer *set_timer(Switching *self, double now, PyObject *delay_s, const char *what, PyObject *fn,
                 PyObject *const *args, Py_ssize_t count);
PyObject *sleep_for(Switching *self, PyObject *seconds);
int add_timing(PyObject *module);

/* -- starting and ending */

PyObject *spawn(Switching *self, PyObject *fn, PyObject *args, PyObject *kwargs, PyObject *name, PyObject *limit,
                PyObject *site);
PyObject *switching_go(Switching *self, PyObject *const *args, Py_ssize_t count, PyObject *names);
PyObject *switching_abandon(Switching *self, PyObject *victim);
PyObject *switching_dismiss_workers(Switching *self, PyObject *kept);
int push_caller(Switching *self, State *caller);
int serve_hirers(Switching *self);
PyObject *take_error(void);
void set_context(PyObject *context);
PyCodeObject *innermost(PyThreadState *thread, int *instruction);
int is_ours(PyCodeObject *code);
PyObject *hand_over(Switching *self, PyObject *value);
int add_spawning(PyObject *module);

/* -- charging */

void settle(Switching *self);

/* -- the ledger */

#if defined(__linux__) && defined(__GLIBC__)
#define TLS_IS_NEAR __attribute__((tls_model("initial-exec"))) /* each allocation asks for it */
#else
#define TLS_IS_NEAR
#endif

typedef struct {
    int64_t bytes, blocks, peak, allocated;
} Figures;

extern char counting;
extern _Thread_local Account *paying TLS_IS_NEAR; /* NULL: a thread that has run no scheduler so far */

/* Greenlets are switched by whoever pays for their stacks; the scheduler pays until somebody else says that he does. */
Account *scheduler_pays(void); /* who paid before */
void stacks_pay(void);
void running_pays(Switching *self);

static inline void
pays_again(Account *account)
{
    paying = account;
}

void close_account(State *coroutine);
void read_account(State *coroutine, Figures *figures);
int add_ledger(PyObject *module);

/* -- limits */

int check_limit(PyObject *limit); /* -1: it is none */
void set_limit(State *coroutine, PyObject *limit);
PyObject *rightly_named(State *coroutine, PyObject *error); /* takes the error, and gives one */
void put_off_strike(PyThreadState *thread);
void let_strike(PyThreadState *thread);
int add_limits(PyObject *module);

/* -- stacks */

#define FIRST_CHUNK_BYTES 2048
#define KEPT_CHUNKS 64 /* 1 MiB */

void begin_small_stack(void);
int add_stacks(PyObject *module);

/* -- spare room */

int add_spare(PyObject *module);

/* -- graves */

int bury(Switching *self, State *coroutine);
void empty_grave(Grave *grave);
int traverse_grave(Grave *grave, visitproc visit, void *arg);
PyObject *switching_get_graves(Switching *self, void *_);

/* -- lines and channels */

typedef struct Node { /* one in line; `after` is NULL once he has left */
    struct Node *before, *after;
    PyObject *waiter; /* a State or a Joint */
    PyObject *brings; /* of a Joint: number, line, what it brings there */
} Node;

typedef struct {
    PyObject_HEAD
    Node ends; /* the first comes after it, the last before it */
} Line;

typedef struct {
    PyObject_HEAD
    PyObject *what, *scheduler;
    State *coroutine; /* NULL unless it waits */
} Joint;

extern PyTypeObject LineType, JointType;

static inline int
line_is_empty(Line *line)
{
    return line->ends.after == &line->ends;
}

Line *new_line(void);
PyObject *line_serve(Line *self, Switching *here, PyObject *value);
PyObject *line_wait(Line *self, Switching *here, PyObject *verb, PyObject *subject, PyObject *timeout_s,
                    PyObject *brings);
int add_line(PyObject *module);
int add_channel(PyObject *module);

int take_arguments(const char *function, const char *const *parameters, Py_ssize_t required,
                   PyObject *const *args, Py_ssize_t count, PyObject *names, PyObject **given);

PyObject *no_scheduler(void); /* raises */

/* -- descriptors */

struct Poller;

/* In the order of use: with many connections each line of the cache that is touched is fetched from afar. */
typedef struct {
    PyObject_HEAD
    int fd;
    char readable, writable, short_is_drained, plain;
    Switching *scheduler;  /* of an endpoint */
    struct Poller *poller; /* the native one, while it watches this */
    PyObject *closed_by, *read_waiter, *reader, *read_ended, *ahead; /* bytes read ahead: made on demand */
    Py_ssize_t received, sent;
    PyObject *writer, *write_ended, *write_waiter;
    char reset, bare; /* bare: it owns its descriptor itself, nobody has asked for `raw` yet */
    char held;        /* not to be read from now */
    sa_family_t family; /* of what was accepted in C */
    double born_at;
    PyObject *raw, *peer, *file, *local, *id, *owner, *role;
    struct sockaddr_in6 from; /* of a peer whose address nobody has asked for; else its family is 0 */
    PyObject *seal, *incoming, *outgoing, *unsent; /* of TLS, as is the next */
    char quiet, in_pieces;
    PyObject *parting;  /* how it had ended when we ended our stream */
    Py_ssize_t overdue; /* how much had moved, and one, when a wait last took too long */
} Wire;

typedef struct Poller {
    PyObject_HEAD
    PyObject *dict, *bell;
    Wire **wires; /* by number */
    Py_ssize_t waiting;
    int size, epoll, bell_fd, rope;
} Poller;

extern PyTypeObject WireType;

/* What was never set, and what was set to None, is not there. */
static inline int
there(PyObject *object)
{
    return object && object != Py_None;
}

#define WIRE_BUFFER_BYTES 65536
extern char wire_buffer[WIRE_BUFFER_BYTES]; /* everybody's, until anybody else runs */

int expect(Wire *wire, int is_reading, PyObject *waiter);
void withdraw(Wire *wire, int is_reading);
int watch(Poller *self, Wire *wire);
void unwatch(Wire *wire);
Switching *usual(Wire *self);
int take_turns(Switching *scheduler);
int wait_for(Wire *self, Switching *scheduler, PyObject *verb, int is_reading);
PyObject *wire_get_raw(Wire *self, void *_);
PyObject *wire_get_peer(Wire *self, void *_);
PyObject *wire_get_read_ended(Wire *self, void *_);
PyObject *wire_get_closed_by(Wire *self, void *_);
PyObject *wire_get_ending(Wire *self, void *_);
void left_by_peer(Wire *self);
int add_poller(PyObject *module);
int add_wire(PyObject *module);
int add_connection(PyObject *module);

/* For `tls.c`: raise what is made of an error of the kernel's; hold the lane and wait for the kernel. */
PyObject *wire_fail(Wire *self, int number);
int wire_wait(Wire *self, Switching *scheduler, int is_reading);

PyObject *tls_recv(Wire *self, Switching *scheduler, size_t asked);
PyObject *tls_send(Wire *self, Switching *scheduler, PyObject *data, int all);
int add_tls(PyObject *module);

/* -- quick ways: they return NotImplemented, borrowed, for what is not usual */

typedef PyObject *(*Way)(PyObject *self, PyObject *const *args, Py_ssize_t count);

PyObject *wire_recv(PyObject *wire, PyObject *const *args, Py_ssize_t count);
PyObject *wire_send(PyObject *wire, PyObject *const *args, Py_ssize_t count);
PyObject *wire_sendall(PyObject *wire, PyObject *const *args, Py_ssize_t count);
PyObject *wire_offer(PyObject *wire, PyObject *const *args, Py_ssize_t count);
PyObject *wire_accept(PyObject *wire, PyObject *const *args, Py_ssize_t count);
PyObject *wire_close(PyObject *wire, PyObject *const *args, Py_ssize_t count);
PyObject *state_join(PyObject *coroutine, PyObject *const *args, Py_ssize_t count);
int add_quick(PyObject *module);

int load_names(void);

#pragma GCC visibility pop
#endif
