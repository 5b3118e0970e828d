// floor makes as many probes as the kernel lets one thread make, and nothing
// else: no schedule but one, no policy, no record of what it finds. Its system
// calls are those of mapwarden's event loop: sockets are used again after
// their connection was taken back, the handshake's last word rides on the
// request, and the target closes first.
//
// With reset it is http, but without the end of our side: what good manners
// towards a target that only half closes cost.
//
//   floor http|reset|tcp|half FIRST_PORT PORTS TARGETS INTERVAL_MS
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int http, half, reset, first_port, ports, targets, ep;
static int spare[1 << 16], spares, sockets;
enum { MAX_SOCKETS = 8192 }; // what a stalled responder makes of it is not counted anyway
static struct sockaddr nowhere = {.sa_family = AF_UNSPEC};

static int64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int fresh(void) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    perror("socket");
    exit(1);
  }
  sockets++;
  struct epoll_event e = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.fd = fd};
  epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
  return fd;
}

static void part(int fd) {
  if (!half && !reset) shutdown(fd, SHUT_WR);
  connect(fd, &nowhere, sizeof nowhere);
  spare[spares++] = fd;
}

static void launch(int i) {
  if (!spares && sockets == MAX_SOCKETS) return;
  int fd = spares ? spare[--spares] : fresh(), off = 0;
  setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &off, sizeof off);
  int b = 1 + i / (256 * 200), c = i / 200 % 256, d = 1 + i % 200, port = first_port + i % ports;
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port),
                          .sin_addr.s_addr = htonl(127u << 24 | b << 16 | c << 8 | d)};
  connect(fd, (struct sockaddr *)&a, sizeof a);
  if (!http) {
    connect(fd, (struct sockaddr *)&a, sizeof a);
    part(fd);
    return;
  }
  char q[256];
  int n = snprintf(q, sizeof q, "GET /healthz HTTP/1.1\r\nHost: 127.%d.%d.%d:%d\r\nConnection: close\r\nUser-Agent: floor\r\nAccept: */*\r\n\r\n", b, c, d, port);
  if (send(fd, q, n, MSG_NOSIGNAL) != n) part(fd);
}

int main(int argc, char **argv) {
  if (argc != 6) return 2;
  struct rlimit r;
  getrlimit(RLIMIT_NOFILE, &r);
  r.rlim_cur = r.rlim_max;
  setrlimit(RLIMIT_NOFILE, &r);
  reset = strcmp(argv[1], "reset") == 0, http = reset || strcmp(argv[1], "http") == 0, half = strcmp(argv[1], "half") == 0;
  first_port = atoi(argv[2]), ports = atoi(argv[3]), targets = atoi(argv[4]);
  int64_t step = atoll(argv[5]) * 1000000 / targets, due = now(), tick = 1 << 23;
  ep = epoll_create1(EPOLL_CLOEXEC);
  int next = 0;
  for (;;) {
    int64_t t = now();
    for (; due <= t; due += step) {
      launch(next);
      next = next + 1 == targets ? 0 : next + 1;
    }
    int64_t wake = (due + tick - 1) & ~(tick - 1);
    struct epoll_event e[512];
    int n = epoll_wait(ep, e, 512, (wake - now() + 999999) / 1000000);
    for (int i = 0; i < n; i++) {
      char b[16384];
      int fd = e[i].data.fd;
      if (e[i].events & EPOLLHUP && !(e[i].events & EPOLLIN)) continue; // one that was taken back
      ssize_t k = recv(fd, b, sizeof b, 0);
      if (k > 0 && !(e[i].events & EPOLLRDHUP)) k = recv(fd, b, sizeof b, 0);
      if (k >= 0) part(fd);
    }
  }
}
