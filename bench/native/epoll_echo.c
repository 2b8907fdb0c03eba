/* The floor under every echo server: one epoll loop, two system calls for an echo, nothing else.

   epoll_echo FD      FD: a listening socket, handed over by the process that became this one

   Level-triggered for reading. What the kernel does not take at once waits in the connection, and reading from it
   pauses meanwhile, so that large messages are echoed whole and a peer that does not read fills its own buffers only. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_EVENTS = 1024, BUFFER_BYTES = 65536 };

typedef struct {
    int fd;
    char *rest; /* what the kernel has not taken yet */
    size_t rest_bytes;
} connection;

static int poller;
static char buffer[BUFFER_BYTES];

static void watch(connection *c, int operation, uint32_t events) {
    struct epoll_event event = {events, {.ptr = c}};
    epoll_ctl(poller, operation, c->fd, &event);
}

static void drop(connection *c) {
    close(c->fd);
    free(c->rest);
    free(c);
}

static void accept_all(int listener) {
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        connection *c = calloc(1, sizeof *c);
        if (!c) abort();
        c->fd = fd;
        watch(c, EPOLL_CTL_ADD, EPOLLIN);
    }
}

static void keep_rest(connection *c, const char *from, size_t bytes) {
    c->rest = malloc(bytes);
    if (!c->rest) abort();
    memcpy(c->rest, from, bytes);
    c->rest_bytes = bytes;
    watch(c, EPOLL_CTL_MOD, EPOLLOUT);
}

static void echo(connection *c) {
    ssize_t got = recv(c->fd, buffer, sizeof buffer, 0);
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN) drop(c);
        return;
    }
    ssize_t done = send(c->fd, buffer, got, MSG_NOSIGNAL);
    if (done < 0 && errno != EAGAIN) drop(c);
    else if (done < got) keep_rest(c, buffer + (done > 0 ? done : 0), got - (done > 0 ? done : 0));
}

static void send_rest(connection *c) {
    ssize_t done = send(c->fd, c->rest, c->rest_bytes, MSG_NOSIGNAL);
    if (done < 0) {
        if (errno != EAGAIN) drop(c);
        return;
    }
    c->rest_bytes -= done;
    memmove(c->rest, c->rest + done, c->rest_bytes);
    if (c->rest_bytes) return;
    free(c->rest);
    c->rest = NULL;
    watch(c, EPOLL_CTL_MOD, EPOLLIN);
}

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    int listener = atoi(argv[1]);
    struct epoll_event events[MAX_EVENTS], event = {EPOLLIN, {.ptr = NULL}};
    fcntl(listener, F_SETFL, O_NONBLOCK);
    poller = epoll_create1(0);
    if (poller < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event)) {
        perror("epoll_echo");
        return 1;
    }
    for (;;) {
        int n = epoll_wait(poller, events, MAX_EVENTS, -1);
        for (int i = 0; i < n; i++) {
            connection *c = events[i].data.ptr;
            if (!c) accept_all(listener);
            else if (c->rest_bytes) send_rest(c);
            else echo(c);
        }
    }
}
