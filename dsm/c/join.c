/* SPDX-License-Identifier: Apache-2.0 */
/* join.c - a process becomes a node's: welcome, memory, userfaultfd, start. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fds.h"
#include "image.h"
#include "impl.h"

#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW	_IO(0xAA, 0x00)
#endif
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY	1
#endif

#define BASE_MAX	(1ULL << 47)

struct node self = { .conn = -1, .uffd = -1, .fds = { -1, -1, -1, -1 } };

/* A program that counts its descriptors, or is restored, finds its own only. */
static int high(int fd)
{
	int to = fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD);

	if (to < 0)
		return fd; /* not so many are allowed */
	close(fd);
	return to;
}

/* Gives everything back. */
static void leave(void)
{
	close_fds(self.fds, 4);
	if (self.uffd >= 0)
		close(self.uffd);
	if (self.conn >= 0)
		close(self.conn);
	free(self.held);
	self = (struct node){ .conn = -1, .uffd = -1, .fds = { -1, -1, -1, -1 } };
}

static int check_welcome(unsigned n)
{
	const struct bd_dsm_welcome *w = &self.w;

	if (w->magic != BD_DSM_MAGIC)
		return fail(-EPROTO, "the daemon is of another version: its magic is %#llx", (unsigned long long)w->magic);
	if (w->error)
		return fail(w->error > 0 ? -w->error : w->error, "%.*s", BD_DSM_TEXT, w->text);
	if (n != (w->flags & BD_DSM_DEVICE ? 4 : 3))
		return fail(-EPROTO, "a welcome with %u descriptors", n);
	if (!w->nodes || w->node >= w->nodes || !w->page_size || w->page_size & (w->page_size - 1) || w->locks > INT32_MAX - 1 || w->conds > INT32_MAX)
		return fail(-EPROTO, "node %u of %u, pages of %u, %u locks", w->node, w->nodes, w->page_size, w->locks);
	if (!w->bytes || w->bytes % w->page_size || w->bytes > BASE_MAX || w->base % w->page_size || !w->base || w->base > BASE_MAX - w->bytes)
		return fail(-EPROTO, "a region of %#llx bytes at %#llx", (unsigned long long)w->bytes, (unsigned long long)w->base);
	return 0;
}

int welcome(const char *path)
{
	struct bd_dsm_hello h = { .magic = BD_DSM_MAGIC, .thread = syscall(SYS_gettid) };
	unsigned n = 0;
	int err;

	if (self.stage != OUT)
		return fail(-EISCONN, "this process has joined a node already");
	if (!path)
		path = getenv("DSM_SOCKET");
	if (!path)
		return fail(-ENOENT, "DSM_SOCKET is not set: programs of the DSM are started by dsmrun");
	self.conn = err = connect_to(path);
	if (err >= 0)
		err = send_message(self.conn, &h, sizeof(h), NULL, 0);
	if (err >= 0)
		err = receive_message(self.conn, &self.w, sizeof(self.w), self.fds, &n);
	if (err >= 0)
		err = check_welcome(n);
	if (err < 0) {
		leave();
		return err;
	}
	self.conn = high(self.conn);
	for (unsigned i = 0; i < n; i++)
		self.fds[i] = high(self.fds[i]);
	self.top = self.w.bytes;
	self.stage = WELCOME;
	mine = 1;
	return 0;
}

int map_region(int scratch)
{
	void *at = (void *)self.w.base, *p;
	int flags = scratch ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE : MAP_SHARED;

	p = mmap(at, self.w.bytes, PROT_READ | PROT_WRITE, flags | MAP_FIXED_NOREPLACE, scratch ? -1 : self.fds[0], 0);
	if (p == MAP_FAILED)
		return fail(-errno, "map the region at %p: %s", at, strerror(errno));
	if (p != at) {
		munmap(p, self.w.bytes);
		return fail(-EEXIST, "the region was mapped at %p, not %p: Linux 4.17 is needed", p, at);
	}
	if (madvise(p, self.w.bytes, MADV_DONTFORK) < 0)
		return fail(-errno, "keep the region from forks: %s", strerror(errno));
	return 0;
}

/* Where no image of a process has anything (restore.c). */
#define RING_AT	((void *)0x2e0000000000)

static int map_ring(void)
{
	void *p = mmap(RING_AT, self.w.ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, self.fds[1], 0);

	if (p == MAP_FAILED)
		return fail(-errno, "map the ring: %s", strerror(errno));
	return open_ring(p, self.w.ring_bytes);
}

static int new_uffd(void)
{
	if (self.w.flags & BD_DSM_DEVICE)
		self.uffd = ioctl(self.fds[3], USERFAULTFD_IOC_NEW, O_CLOEXEC);
	else
		self.uffd = syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	if (self.uffd < 0)
		return fail(-errno, "a userfaultfd: %s", strerror(errno));
	self.uffd = high(self.uffd);
	return 0;
}

/* Gives the daemon what it needs to watch the region, and hears whether it does. */
static int start(void)
{
	struct bd_dsm_ready r = { .magic = BD_DSM_MAGIC };
	struct bd_dsm_start s;
	int fds[2] = { self.uffd, open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC) }, none[4], err;
	unsigned n;

	if (fds[1] < 0)
		return fail(-errno, "/proc/self/pagemap: %s", strerror(errno));
	err = send_message(self.conn, &r, sizeof(r), fds, 2);
	close(fds[1]);
	if (err < 0)
		return err;
	err = receive_message(self.conn, &s, sizeof(s), none, &n);
	if (err < 0)
		return err;
	close_fds(none, n);
	if (s.magic != BD_DSM_MAGIC || s.error)
		return fail(s.error > 0 ? -s.error : -EPROTO, "%.*s", BD_DSM_TEXT, s.text);
	return 0;
}

/*
 * The kernel kills this process when the daemon dies: a page that nobody brings
 * must not be waited for, nor be read as zeros.
 */
static int leash(int on)
{
	int flags = fcntl(self.conn, F_GETFL);

	if (flags < 0 || fcntl(self.conn, F_SETOWN, getpid()) < 0 || fcntl(self.conn, F_SETSIG, SIGKILL) < 0 ||
	    fcntl(self.conn, F_SETFL, on ? flags | O_ASYNC : flags & ~O_ASYNC) < 0)
		return fail(-errno, "tie this process to the daemon: %s", strerror(errno));
	return 0;
}

int attach(void)
{
	int err = map_region(0);

	if (err >= 0)
		err = map_ring();
	if (err >= 0 && !(self.held = calloc(self.w.locks + 1, 1)))
		err = fail(-ENOMEM, "no memory for %u locks", self.w.locks);
	if (err >= 0)
		err = new_uffd();
	if (err >= 0)
		err = start();
	if (err >= 0)
		err = leash(1);
	if (err >= 0)
		self.stage = IN;
	return err;
}

int dsm_join(const char *path)
{
	int err = welcome(path);

	if (err < 0)
		return err;
	err = attach();
	if (err < 0)
		leave();
	return err;
}

/* As an image, if there is one to go on from. */
int attach_whole(void)
{
	int err = attach();

	if (err >= 0 && self.w.flags & BD_DSM_RESTORED)
		err = image_restore();
	return err;
}

int dsm_join_whole(const char *path)
{
	int same = same_addresses(), err = welcome(path);

	if (err < 0)
		return err;
	err = attach_whole();
	if (err < 0)
		leave();
	self.whole = same;
	return err;
}

int dsm_end(void)
{
	int err = operation(BD_DSM_END, 0, 0, 0), loose;

	if (err < 0)
		return err;
	loose = leash(0);
	munmap((void *)self.w.base, self.w.bytes);
	munmap(self.ring, self.w.ring_bytes);
	leave();
	self.stage = ENDED;
	return loose;
}
