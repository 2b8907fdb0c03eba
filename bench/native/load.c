/* The other side of every echo measure: sends messages, takes them back, and compares each byte.

   load closed  PORT CONNECTIONS SIZE SECONDS LIMIT CORE PID   each connection sends the next when the last is back
   load rate    PORT CONNECTIONS SIZE SECONDS RATE CORE PID    RATE messages a second, whether or not answers come
   load accept  PORT CONNECTIONS SIZE SECONDS LIMIT CORE PID   connect, one message there and back, close; and again

   LIMIT ends the run after so many messages (0: no limit). CORE is where to run (-1: anywhere). PID is the server's
   process: how much CPU time it took for the messages does not depend on who else wants the core. Prints one line
   of JSON. Anything that is not as it must be (a byte that differs, a connection that the server closes, an answer
   that never comes) is an error. Compiled with -DTLS it speaks TLS 1.3; only its certificate is not looked at.

   At a fixed rate, a message's latency counts from the moment at which it was due, not from that at which it could
   be sent: a server that stalls delays all that were due meanwhile, and each of them is counted (no coordinated
   omission). The loop spins, so that its own sleep is not part of the figure: it needs a core of its own, and goes
   ahead of all others there if it may. When it does not come round for 0.1 ms, somebody else had that core, and what
   was late then was not the server's fault. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#ifdef TLS
#include <openssl/err.h>
#include <openssl/ssl.h>
#endif

enum { MAX_EVENTS = 1024, BUFFER_BYTES = 1 << 18, STAMP_BYTES = 8, MAX_OPENING = 256, SOURCES = 200 };
static const double PATIENCE_S = 20, HELD_UP_S = 1e-4;

typedef struct {
    int fd;
#ifdef TLS
    SSL *tls;
#endif
    long started;         /* messages that may be sent so far */
    long sent, received;  /* whole messages */
    long sent_bytes, received_bytes; /* of the message under way */
} connection;

static int poller, port, count, closing, still_open;
static long size, total_sent_bytes, total_received_bytes, total_received, total_opened;
static char *pattern, *buffer;
static connection *connections;

static double begin, rate;           /* of the measured part; rate 0: closed loop */
static double *latencies;
static long latency_count, latency_room;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static clockid_t server_clock;
static int server_known;
static double server_cpu_begin, server_cpu_end, load_cpu_begin, load_cpu_end;

static double cpu_of(clockid_t clock) {
    struct timespec t;
    return clock_gettime(clock, &t) ? 0 : t.tv_sec + t.tv_nsec * 1e-9;
}

static void note_cpu(double *server, double *load) {
    *server = server_known ? cpu_of(server_clock) : 0;
    *load = cpu_of(CLOCK_PROCESS_CPUTIME_ID);
}

static void fail(const char *what) {
    fprintf(stderr, "load: %s\n", what);
    exit(1);
}

static void fail_errno(const char *what) {
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

#ifdef TLS
static SSL_CTX *context;

static void tls_prepare(void) {
    signal(SIGPIPE, SIG_IGN); /* its `write` cannot be told not to send it */
    context = SSL_CTX_new(TLS_client_method());
    if (!context) fail("no TLS");
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION); /* the same ciphers for everybody */
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
}

static void attach(connection *c) {
    c->tls = SSL_new(context);
    if (!c->tls || !SSL_set_fd(c->tls, c->fd)) fail("no TLS");
    SSL_set_connect_state(c->tls);
}

/* As `send` and `recv` answer: a number of bytes, 0 at the end, or -1 with errno. */
static ssize_t answer_of(connection *c, int done) {
    if (done > 0) return done;
    switch (SSL_get_error(c->tls, done)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    }
    if (closing) return 0; /* who closes without saying so in TLS has closed too */
    fprintf(stderr, "load: TLS: %s\n", ERR_reason_error_string(ERR_peek_last_error()));
    exit(1);
}

static ssize_t give(connection *c, const char *bytes, long length) {
    ERR_clear_error();
    return answer_of(c, SSL_write(c->tls, bytes, (int)length));
}

static ssize_t take(connection *c, char *bytes, long length) {
    ERR_clear_error();
    return answer_of(c, SSL_read(c->tls, bytes, (int)length));
}

static int drained(ssize_t got) {
    (void)got; /* one record at a time: only the next look tells */
    return 0;
}

static void end_sending(connection *c) {
    SSL_shutdown(c->tls);
    shutdown(c->fd, SHUT_WR);
}

static void release(connection *c) {
    SSL_free(c->tls);
    close(c->fd);
}
#else
static void tls_prepare(void) {}

static void attach(connection *c) {
    (void)c;
}

static ssize_t give(connection *c, const char *bytes, long length) {
    return send(c->fd, bytes, length, MSG_NOSIGNAL);
}

static ssize_t take(connection *c, char *bytes, long length) {
    return recv(c->fd, bytes, length, 0);
}

static int drained(ssize_t got) {
    return got < BUFFER_BYTES;
}

static void end_sending(connection *c) {
    shutdown(c->fd, SHUT_WR);
}

static void release(connection *c) {
    close(c->fd);
}
#endif

/* The first bytes of a message tell whose it is and which: an answer that belongs elsewhere is found out. */
static uint64_t stamp_of(const connection *c, long number) {
    return ((uint64_t)(c - connections) << 40) ^ (uint64_t)number;
}

/* Messages vary only in their stamp; `number`'s stamp is put in place before the pattern is used. */
static void stamp_pattern(const connection *c, long number) {
    uint64_t stamp = stamp_of(c, number);
    memcpy(pattern, &stamp, size < STAMP_BYTES ? (size_t)size : STAMP_BYTES);
}

/* Each has a source address of its own kind: a short-lived connection holds its port for a minute. */
static void open_connection(connection *c) {
    struct sockaddr_in here = {.sin_family = AF_INET}, there = {.sin_family = AF_INET, .sin_port = htons(port)};
    int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd < 0) fail_errno("socket");
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)(total_opened % SOURCES));
    there.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(c->fd, (struct sockaddr *)&here, sizeof here)) fail_errno("bind");
    if (setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on)) fail_errno("TCP_NODELAY");
    if (connect(c->fd, (struct sockaddr *)&there, sizeof there) && errno != EINPROGRESS) fail_errno("connect");
    attach(c);
    struct epoll_event event = {EPOLLIN | EPOLLOUT | EPOLLET, {.ptr = c}};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event)) fail_errno("epoll_ctl");
    total_opened++;
}

static void send_what_may_go(connection *c) {
    while (c->sent < c->started) {
        stamp_pattern(c, c->sent);
        ssize_t done = give(c, pattern + c->sent_bytes, size - c->sent_bytes);
        if (done < 0) {
            if (errno == EAGAIN || errno == ENOTCONN) return;
            fail_errno("send");
        }
        total_sent_bytes += done;
        c->sent_bytes += done;
        if (c->sent_bytes < size) return; /* the kernel is full, and will tell */
        c->sent_bytes = 0;
        c->sent++;
    }
}

static void compare(connection *c, const char *bytes, long length) {
    while (length > 0) {
        long left = size - c->received_bytes, part = length < left ? length : left;
        if (c->received >= c->sent + (c->sent_bytes > 0)) fail("the server sent more than it was given");
        stamp_pattern(c, c->received);
        if (memcmp(bytes, pattern + c->received_bytes, part)) fail("an echo differs from what was sent");
        total_received_bytes += part;
        c->received_bytes += part;
        bytes += part;
        length -= part;
        if (c->received_bytes == size) {
            c->received_bytes = 0;
            if (rate > 0 && c->received > 0 && latency_count < latency_room) {
                long place = (c->received - 1) * count + (c - connections); /* in the order of being due */
                latencies[latency_count++] = now() - (begin + place / rate);
            }
            c->received++;
            total_received++;
        }
    }
}

static void receive_what_came(connection *c) {
    for (;;) {
        ssize_t got = take(c, buffer, BUFFER_BYTES);
        if (got == 0) {
            if (!closing) fail("the server closed a connection");
            release(c);
            c->fd = -1;
            still_open--;
            return;
        }
        if (got < 0) {
            if (errno == EAGAIN) return;
            fail_errno("recv");
        }
        compare(c, buffer, got);
        if (drained(got)) return;
    }
}

/* One look at the poller; `after` is called for each connection on which something happened. */
static void turn(int timeout_ms, void (*after)(connection *)) {
    struct epoll_event events[MAX_EVENTS];
    int n = epoll_wait(poller, events, MAX_EVENTS, timeout_ms);
    if (n < 0 && errno != EINTR) fail_errno("epoll_wait");
    for (int i = 0; i < n; i++) {
        connection *c = events[i].data.ptr;
        if (events[i].events & EPOLLERR) {
            int error = 0;
            socklen_t length = sizeof error;
            getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &length);
            errno = error;
            fail_errno("connection");
        }
        if (events[i].events & (EPOLLIN | EPOLLHUP)) receive_what_came(c);
        if (after) after(c);
        if (c->fd >= 0) send_what_may_go(c);
    }
}

static void check_patience(double since) {
    if (now() - since > PATIENCE_S) fail("no answer for a long time");
}

/* All connections stand, and the server has answered on each: what follows measures echoes alone. */
static void open_all(void) {
    int opened = 0;
    double since = now();
    while (total_received < count) {
        for (; opened < count && opened - total_received < MAX_OPENING; opened++) {
            connections[opened].started = 1;
            open_connection(&connections[opened]);
        }
        turn(100, NULL);
        check_patience(since);
    }
}

static void drain(void) {
    double since = now();
    while (total_received_bytes < total_sent_bytes) {
        turn(100, NULL);
        check_patience(since);
    }
    for (int i = 0; i < count; i++)
        while (connections[i].sent_bytes > 0 || connections[i].received < connections[i].sent) {
            turn(100, NULL); /* a large message of which the kernel had taken a part */
            check_patience(since);
        }
}

/* The server has closed each of them when this returns: nobody's tidying up falls into the next one's time. */
static void close_all(void) {
    double since = now();
    closing = 1;
    still_open = count;
    for (int i = 0; i < count; i++) end_sending(&connections[i]);
    while (still_open > 0) {
        turn(100, NULL);
        check_patience(since);
    }
}

static int over;
static long limit;

static void start_next(connection *c) {
    if (!over && c->received == c->started && (limit == 0 || total_received < limit)) c->started++;
}

static void tell(long messages, double seconds) {
    printf("{\"messages\": %ld, \"seconds\": %.9f, \"sent_bytes\": %ld, \"received_bytes\": %ld, "
           "\"server_cpu_s\": %.9f, \"load_cpu_s\": %.9f}\n",
           messages, seconds, total_sent_bytes, total_received_bytes, server_cpu_end - server_cpu_begin,
           load_cpu_end - load_cpu_begin);
}

static void run_closed(double seconds) {
    open_all();
    long asked = limit;
    if (limit) limit += 2 * count; /* those of the opening and of the warm-up come on top */
    for (int i = 0; i < count; i++) {
        start_next(&connections[i]);
        send_what_may_go(&connections[i]);
    }
    for (double since = now(); total_received < 2 * count; check_patience(since)) turn(100, start_next);
    note_cpu(&server_cpu_begin, &load_cpu_begin);
    begin = now();
    long before = total_received;
    if (asked) limit = before + asked; /* the last turn of the warm-up may have brought more than one */
    double end = begin + seconds, since = begin;
    while (since < end && (limit == 0 || total_received < limit)) {
        turn(100, start_next);
        since = now();
    }
    note_cpu(&server_cpu_end, &load_cpu_end);
    long messages = total_received - before;
    over = 1;
    drain();
    close_all();
    tell(messages, since - begin);
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double percentile_us(double share) {
    long place = (long)(share * latency_count);
    return latencies[place < latency_count ? place : latency_count - 1] * 1e6;
}

static void go_ahead_of_others(void) {
    struct sched_param least = {.sched_priority = 1};
    sched_setscheduler(0, SCHED_FIFO, &least); /* without the right to, it goes on as it is */
}

static void run_rate(double seconds, double wanted_rate) {
    long total = (long)(seconds * wanted_rate), due = 0;
    latency_room = total;
    latencies = calloc(total, sizeof *latencies);
    if (total < 1 || !latencies) fail("nothing to send at this rate");
    go_ahead_of_others();
    open_all();
    rate = wanted_rate;
    begin = now();
    double give_up = begin + seconds + PATIENCE_S, before = begin, held_up_s = 0;
    while (latency_count < total) {
        double moment = now();
        if (moment - before > HELD_UP_S) held_up_s += moment - before;
        before = moment;
        while (due < total && begin + due / rate <= moment) {
            connection *c = &connections[due++ % count];
            c->started++;
            send_what_may_go(c);
        }
        turn(0, NULL);
        if (moment > give_up) fail("the server cannot keep up with this rate");
    }
    double took = now() - begin;
    drain();
    close_all();
    qsort(latencies, latency_count, sizeof *latencies, ascending);
    printf("{\"messages\": %ld, \"seconds\": %.9f, \"sent_bytes\": %ld, \"received_bytes\": %ld, "
           "\"p50_us\": %.3f, \"p99_us\": %.3f, \"p999_us\": %.3f, \"held_up_s\": %.9f}\n",
           latency_count, took, total_sent_bytes, total_received_bytes, percentile_us(.5), percentile_us(.99),
           percentile_us(.999), held_up_s);
}

static int open_now;

static void open_again(connection *c) {
    if (c->received == 0) return;
    release(c);
    *c = (connection){.fd = -1};
    open_now--;
    if (over || (limit && total_opened >= limit)) return;
    c->started = 1;
    open_connection(c);
    open_now++;
}

static void run_accept(double seconds) {
    note_cpu(&server_cpu_begin, &load_cpu_begin);
    begin = now();
    for (int i = 0; i < count && (limit == 0 || i < limit); i++) {
        connections[i].started = 1;
        open_connection(&connections[i]);
        open_now++;
    }
    double end = begin + seconds, since = begin;
    while (since < end && open_now > 0) {
        turn(100, open_again);
        since = now();
    }
    note_cpu(&server_cpu_end, &load_cpu_end);
    long messages = total_received;
    double last = since;
    over = 1;
    while (open_now > 0) {
        turn(100, open_again);
        check_patience(last);
    }
    tell(messages, since - begin);
}

static void allow_many_descriptors(void) {
    struct rlimit limits;
    getrlimit(RLIMIT_NOFILE, &limits);
    limits.rlim_cur = limits.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limits);
}

static void pin(int core) {
    cpu_set_t cores;
    CPU_ZERO(&cores);
    CPU_SET(core, &cores);
    if (sched_setaffinity(0, sizeof cores, &cores)) fail_errno("sched_setaffinity");
}

int main(int argc, char **argv) {
    if (argc != 9) fail("usage: load closed|rate|accept PORT CONNECTIONS SIZE SECONDS LIMIT|RATE CORE PID");
    if (atoi(argv[7]) >= 0) pin(atoi(argv[7]));
    port = atoi(argv[2]);
    count = atoi(argv[3]);
    size = atol(argv[4]);
    double seconds = atof(argv[5]);
    if (count < 1 || size < 1) fail("connections and size must be 1 or more");
    server_known = atoi(argv[8]) > 0 && clock_getcpuclockid(atoi(argv[8]), &server_clock) == 0;
    allow_many_descriptors();
    tls_prepare();
    poller = epoll_create1(0);
    pattern = malloc(size);
    buffer = malloc(BUFFER_BYTES);
    connections = calloc(count, sizeof *connections);
    if (poller < 0 || !pattern || !buffer || !connections) fail("out of memory");
    for (long i = 0; i < size; i++) pattern[i] = (char)(i * 31 + i / 251);
    if (!strcmp(argv[1], "rate")) {
        run_rate(seconds, atof(argv[6]));
        return 0;
    }
    limit = atol(argv[6]);
    if (!strcmp(argv[1], "closed")) run_closed(seconds);
    else if (!strcmp(argv[1], "accept")) run_accept(seconds);
    else fail("no such mode");
    return 0;
}
