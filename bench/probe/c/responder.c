// responder answers HTTP on some ports of every address of 127.0.0.0/8, or
// only accepts and waits for the end. It counts what arrives by address and
// port: target i is 127.(1+i/(256*200)).(i/200%256).(1+i%200), port P+i%ports.
//
//   responder http|tcp FIRST_PORT PORTS TARGETS
//
// Each line on standard input is answered by one of JSON about the time since
// the one before, and begins the next stretch of time.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char answer[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n";

enum { LISTENER = 1 << 30 };
static int http, first_port, ports, targets, ep;
static int64_t *last, *worst; // ns, by target
static uint32_t *seen;
static uint64_t arrived;
static int64_t begun;

static int64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void arrive(int fd) {
  struct sockaddr_in a;
  socklen_t n = sizeof a;
  arrived++;
  if (getsockname(fd, (struct sockaddr *)&a, &n) != 0) return;
  uint32_t ip = ntohl(a.sin_addr.s_addr);
  int b = (ip >> 16 & 255) - 1, c = ip >> 8 & 255, d = (ip & 255) - 1;
  int i = (b * 256 + c) * 200 + d;
  if (b < 0 || d < 0 || d >= 200 || i >= targets) return;
  int64_t t = now();
  seen[i]++;
  if (last[i] >= begun && t - last[i] > worst[i]) worst[i] = t - last[i];
  last[i] = t;
}

// converse returns whether the connection is over.
static int converse(int fd) {
  char b[4096];
  ssize_t n = recv(fd, b, sizeof b, 0);
  if (n < 0 && errno == EAGAIN) return 0;
  if (n <= 0 || !http) return n <= 0;
  if (n < 4 || memcmp(b + n - 4, "\r\n\r\n", 4) != 0) return 0;
  send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL);
  return 1;
}

static void accept_all(int l) {
  for (;;) {
    int fd = accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    arrive(fd);
    if (converse(fd)) {
      close(fd);
      continue;
    }
    struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
  }
}

static int by_size(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

static void report(void) {
  int64_t t = now();
  int64_t *gaps = malloc(targets * sizeof *gaps);
  int n = 0;
  uint32_t least = UINT32_MAX, most = 0;
  for (int i = 0; i < targets; i++) {
    if (worst[i] > 0) gaps[n++] = worst[i];
    if (seen[i] < least) least = seen[i];
    if (seen[i] > most) most = seen[i];
    worst[i] = seen[i] = 0;
  }
  qsort(gaps, n, sizeof *gaps, by_size);
#define AT(q) (n ? gaps[(int)((q) * (n - 1))] : 0)
  printf("{\"Elapsed\":%lld,\"Arrived\":%llu,\"Least\":%u,\"Most\":%u,\"Gaps\":[%lld,%lld,%lld]}\n", (long long)(t - begun),
         (unsigned long long)arrived, least, most, (long long)AT(.5), (long long)AT(.99), (long long)AT(1));
  fflush(stdout);
  free(gaps);
  arrived = 0;
  begun = t;
}

static void die(const char *what) {
  perror(what);
  exit(1);
}

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  http = strcmp(argv[1], "http") == 0;
  first_port = atoi(argv[2]), ports = atoi(argv[3]), targets = atoi(argv[4]);
  last = calloc(targets, sizeof *last), worst = calloc(targets, sizeof *worst), seen = calloc(targets, sizeof *seen);
  ep = epoll_create1(EPOLL_CLOEXEC);
  for (int i = 0; i < ports; i++) {
    int l = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(first_port + i)};
    if (bind(l, (struct sockaddr *)&a, sizeof a) != 0) die("bind");
    if (listen(l, 4096) != 0) die("listen");
    struct epoll_event e = {.events = EPOLLIN, .data.fd = l | LISTENER};
    epoll_ctl(ep, EPOLL_CTL_ADD, l, &e);
  }
  struct epoll_event in = {.events = EPOLLIN, .data.fd = 0};
  epoll_ctl(ep, EPOLL_CTL_ADD, 0, &in);
  begun = now();
  puts("ready");
  fflush(stdout);
  for (;;) {
    struct epoll_event e[256];
    int n = epoll_wait(ep, e, 256, -1);
    for (int i = 0; i < n; i++) {
      int fd = e[i].data.fd;
      if (fd & LISTENER) {
        accept_all(fd & ~LISTENER);
      } else if (fd == 0) {
        char b[256];
        ssize_t k = read(0, b, sizeof b);
        if (k <= 0) return 0;
        for (ssize_t j = 0; j < k; j++)
          if (b[j] == '\n') report();
      } else if (converse(fd)) {
        close(fd);
      }
    }
  }
}
