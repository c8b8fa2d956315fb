// SPDX-License-Identifier: GPL-2.0
/*
 * box.c - makes continuation boxes in memory of backdoor.ko, as the guest's half
 * of their tests.
 *
 *   box checks      try what must be refused and what must work; exit 1 if it is not so
 *   box hold N      N connections over loopback, a box each; prints a line for
 *                   each, "ports LOCAL REMOTE text TEXT", then "ready", and waits;
 *                   a second process, whose parent it is, has the first box too
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "../uapi/bd_box.h"

#define PAGE	4096
#define LEN	(12 * PAGE)	/* a default box */

static int failures;

static void expect(const char *what, int got, int want)
{
	int err = got < 0 ? errno : 0;

	printf("%s %s: %s\n", err == want ? "ok" : "WRONG", what, strerror(err));
	failures += err != want;
}

static void require(const char *what, int right)
{
	printf("%s %s\n", right ? "ok" : "WRONG", what);
	failures += !right;
}

static void fatal(const char *what)
{
	perror(what);
	exit(1);
}

static int device(void)
{
	int fd = open("/dev/backdoor", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		fatal("/dev/backdoor");
	return fd;
}

static struct bd_ioc_box request(int sock)
{
	return (struct bd_ioc_box){ .version = BD_VERSION_MAJOR, .socket = sock, .length = LEN };
}

static char *map_at(int fd, __u64 off, size_t len, int prot, int flags)
{
	char *p = mmap(NULL, len, prot, flags, fd, off);

	return p == MAP_FAILED ? NULL : p;
}

static char *map(int fd, __u64 off)
{
	return map_at(fd, off, LEN, PROT_READ | PROT_WRITE, MAP_SHARED);
}

/* A box of its own file, mapped. */
static char *box(int sock, int *fd, __u64 *off)
{
	struct bd_ioc_box r = request(sock);
	char *m;

	*fd = device();
	if (ioctl(*fd, BD_IOC_NEW_BOX, &r))
		fatal("new box");
	m = map(*fd, r.offset);
	if (!m)
		fatal("map box");
	*off = r.offset;
	return m;
}

static void loopback(void)
{
	struct ifreq r = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	r.ifr_flags = IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &r))
		fatal("lo");
	close(fd);
}

static int listener(struct sockaddr_in *a)
{
	socklen_t len = sizeof(*a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	*a = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	if (bind(fd, (struct sockaddr *)a, sizeof(*a)) || listen(fd, 64) ||
	    getsockname(fd, (struct sockaddr *)a, &len))
		fatal("listen");
	return fd;
}

/* The server's end of a new connection; its client's stays open. */
static int connection(int l, const struct sockaddr_in *to, int *client)
{
	int fd;

	*client = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(*client, (const struct sockaddr *)to, sizeof(*to)))
		fatal("connect");
	fd = accept(l, NULL, NULL);
	if (fd < 0)
		fatal("accept");
	return fd;
}

static void expect_new(const char *what, struct bd_ioc_box r, int want)
{
	int fd = device();

	expect(what, ioctl(fd, BD_IOC_NEW_BOX, &r), want);
	close(fd);
}

static void check_requests(int l, const struct sockaddr_in *to)
{
	int client, sock = connection(l, to, &client), fd = device(), udp = socket(AF_INET, SOCK_DGRAM, 0);
	struct bd_ioc_box_socket s = { .version = BD_VERSION_MAJOR, .socket = -1 };
	struct bd_ioc_box r = request(sock);

	r.version = 9;
	expect_new("another version", r, EPROTO);
	r = request(sock); r.offset = 4096;
	expect_new("an offset", r, EINVAL);
	r = request(sock); r.length = 0;
	expect_new("no length", r, EINVAL);
	r = request(sock); r.length = 1ULL << 40;
	expect_new("more than there is", r, ENOSPC);
	r = request(sock); r.length = ~0ULL;
	expect_new("a length that wraps around", r, ENOSPC);
	expect_new("no descriptor", request(999), EBADF);
	expect_new("no socket", request(fd), ENOTSOCK);
	expect_new("a datagram socket", request(udp), EPROTOTYPE);
	expect_new("a listening socket", request(l), ENOTCONN);
	expect("the box of a file without", ioctl(fd, BD_IOC_GET_BOX, &r), ENOENT);
	expect("the socket of no box", ioctl(fd, BD_IOC_BOX_SOCKET, &s), ENOENT);
	r = request(-1);
	expect("a box without a socket", ioctl(fd, BD_IOC_NEW_BOX, &r), 0);
	r = request(-1);
	expect("a second one", ioctl(fd, BD_IOC_NEW_BOX, &r), EBUSY);
	s.socket = sock;
	expect("a socket for it", ioctl(fd, BD_IOC_BOX_SOCKET, &s), 0);
	r = request(-1);
	expect("what the file has", ioctl(fd, BD_IOC_GET_BOX, &r), 0);
	require("a socket and 12 pages", r.socket == 1 && r.length == LEN && r.offset >= BD_BOX_OFFSET);
	close(fd);
	close(client);
	close(sock);
	close(udp);
}

static void expect_map(const char *what, int fd, __u64 off, size_t len, int prot, int flags, int want)
{
	char *p = map_at(fd, off, len, prot, flags);

	expect(what, p ? 0 : -1, want);
	if (p)
		munmap(p, len);
}

static void check_mapping(void)
{
	const int rw = PROT_READ | PROT_WRITE;
	__u64 off, other;
	int fd, fd2;
	char *m = box(-1, &fd, &off), *m2 = box(-1, &fd2, &other), *again, zeros[PAGE] = "";

	require("a new box is zeros", !memcmp(m + 5 * PAGE, zeros, PAGE));
	expect_map("another's box", fd, other, PAGE, rw, MAP_SHARED, EINVAL);
	expect_map("a page too many", fd, off, LEN + PAGE, rw, MAP_SHARED, EINVAL);
	expect_map("the page behind", fd, off + LEN, PAGE, rw, MAP_SHARED, EINVAL);
	expect_map("the page before", fd, off - PAGE, PAGE, rw, MAP_SHARED, EINVAL);
	expect_map("a private mapping", fd, off, PAGE, rw, MAP_PRIVATE, EINVAL);
	expect_map("code", fd, off, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, EINVAL);
	expect_map("a page in the middle", fd, off + 3 * PAGE, PAGE, PROT_READ, MAP_SHARED, 0);
	expect("code, later", mprotect(m, PAGE, PROT_READ | PROT_EXEC), EACCES);
	expect("growing", mremap(m, LEN, 2 * LEN, MREMAP_MAYMOVE) == MAP_FAILED ? -1 : 0, EFAULT);
	expect("a hole", madvise(m, PAGE, MADV_REMOVE), ENODEV);
	strcpy(m + 7 * PAGE, "stays");
	again = map(fd, off);
	require("two mappings are one memory", again && !strcmp(again + 7 * PAGE, "stays"));
	expect("forget the page", madvise(m + 7 * PAGE, PAGE, MADV_DONTNEED), 0);
	require("it is the same when it comes back", !strcmp(m + 7 * PAGE, "stays"));
	munmap(m, LEN);
	munmap(again, LEN);
	m = map(fd, off);
	require("it outlives its mappings", m && !strcmp(m + 7 * PAGE, "stays"));
	close(fd);
	strcpy(m + 8 * PAGE, "and its descriptor");
	require("a mapping is enough", !strcmp(m + 7 * PAGE, "stays"));
	munmap(m, LEN);
	munmap(m2, LEN);
	close(fd2);
	m = box(-1, &fd, &off);
	require("nobody sees what was another's", !memcmp(m + 7 * PAGE, zeros, PAGE));
	munmap(m, LEN);
	close(fd);
}

static long futex(void *word, int op, int val, const struct timespec *t)
{
	return syscall(SYS_futex, word, op, val, t, NULL, 0);
}

/* The child waits on a mapping of its own, the parent wakes through its. */
static void check_futex(const char *what, int waitv)
{
	struct timespec minute = { .tv_sec = 60 }, nap = { .tv_nsec = 1000000 };
	struct { __u64 val, uaddr; __u32 flags, reserved; } w = { .flags = 2 };
	int fd, status, tries;
	__u64 off;
	char *m = box(-1, &fd, &off);
	pid_t pid = fork();

	if (!pid) {
		char *mine = map(fd, off);

		w.uaddr = (unsigned long)(mine + 4 * PAGE + 64);
		if (waitv)	/* futex_waitv(2) of a process that came later */
			_exit(syscall(449, &w, 1, 0, NULL, 0) == 0 ? 7 : 1);
		_exit(futex(mine + 4 * PAGE + 64, FUTEX_WAIT, 0, &minute) == 0 ? 7 : 1);
	}
	for (tries = 0; tries < 60000 && futex(m + 4 * PAGE + 64, FUTEX_WAKE, 9, NULL) == 0; tries++)
		nanosleep(&nap, NULL);
	require(what, tries < 60000);
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 7)
		require("the one who slept was woken", 0);
	munmap(m, LEN);
	close(fd);
}

/* As another user, who may open the device. */
static void check_quota(void)
{
	struct bd_ioc_box r = request(-1);
	int fds[64], n;

	if (chmod("/dev/backdoor", 0666) || seteuid(1000))
		fatal("become uid 1000");
	r.length = 1 << 20;
	for (n = 0; n < 64; n++) {
		struct bd_ioc_box one = r;

		fds[n] = device();
		if (ioctl(fds[n], BD_IOC_NEW_BOX, &one))
			break;
	}
	expect("a MiB over the quota", n < 64 ? -1 : 0, EDQUOT);
	seteuid(0);
	chmod("/dev/backdoor", 0660);
	expect_new("root's, meanwhile", request(-1), 0);
	while (n >= 0)
		close(fds[n--]);
}

static int checks(void)
{
	struct sockaddr_in to;
	int l = listener(&to);

	check_requests(l, &to);
	check_mapping();
	check_futex("a futex between two mappings", 0);
	check_futex("a futex of several", 1);
	check_quota();
	return failures > 0;
}

static unsigned short port(int fd, int (*of)(int, struct sockaddr *, socklen_t *))
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);

	return of(fd, (struct sockaddr *)&a, &len) ? 0 : ntohs(a.sin_port);
}

static void hold(int n)
{
	struct sockaddr_in to;
	int i, client, fd, sock, l = listener(&to);
	__u64 off;
	char *m, *first = NULL;

	for (i = 0; i < n; i++) {
		sock = connection(l, &to, &client);
		m = box(sock, &fd, &off);
		first = first ? first : m;
		sprintf(m, "box %d of %d", i, getpid());
		strcpy(m + 11 * PAGE, "the end");
		printf("ports %u %u text %s\n", port(sock, getsockname), port(sock, getpeername), m);
	}
	if (first && !fork()) {
		first[PAGE] = 'c';
		for (;;)
			pause();
	}
	while (first && !((volatile char *)first)[PAGE])
		usleep(1000);
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	loopback();
	if (argc == 2 && !strcmp(argv[1], "checks"))
		return checks();
	if (argc == 3 && !strcmp(argv[1], "hold"))
		hold(atoi(argv[2]));
	fprintf(stderr, "usage: box checks, or hold N\n");
	return 2;
}
