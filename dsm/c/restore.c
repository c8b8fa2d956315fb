/* SPDX-License-Identifier: Apache-2.0 */
/* restore.c - a process becomes the one that was saved (image.h). */
#define _GNU_SOURCE
#pragma GCC optimize("no-stack-protector") /* its canary is overwritten, too */
#include <fcntl.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "image.h"
#include "impl.h"

/* What is needed while everything else is overwritten. It lies in no image. */
struct bridge {
	struct image im;
	struct map now;
	struct node fresh;
	uint64_t low;			/* so far the stack reaches */
	char stack[64 << 10];
};

#define BRIDGE	((struct bridge *)0x2f0000000000)

/* A system call that touches nothing of the C library's. */
static inline __attribute__((always_inline)) long sys(long n, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall" : "=a"(ret) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
	return ret;
}

static __attribute__((noreturn)) void give_up(const char *why, uint64_t bytes)
{
	sys(SYS_write, 2, (long)why, bytes, 0, 0, 0);
	for (;;)
		sys(SYS_exit_group, 1, 0, 0, 0, 0, 0);
}

#define GIVE_UP(why)	give_up(why "\n", sizeof(why))

static int same_text(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

static int is(const struct mapping *m, const char *name)
{
	return same_text(m->path, name);
}

/* The heap and the stack are there, and grow; the vdso is the kernel's. */
static int of_kernel(const struct mapping *m)
{
	return is(m, "[heap]") || is(m, "[stack]") || (m->path[0] == '[' && m->path[1] == 'v');
}

static int is_there(const struct map *now, const struct mapping *m)
{
	for (uint32_t i = 0; i < now->n; i++)
		if (now->m[i].from == m->from && now->m[i].to == m->to && same_text(now->m[i].path, m->path))
			return 1;
	return 0;
}

static void map_again(const struct mapping *m)
{
	long fd = -1, flags = MAP_PRIVATE | MAP_FIXED, p;
	long prot = (m->read ? PROT_READ : 0) | (m->write ? PROT_WRITE : 0) | (m->exec ? PROT_EXEC : 0);

	if (m->path[0] == '/') {
		fd = sys(SYS_open, (long)m->path, O_RDONLY | O_CLOEXEC, 0, 0, 0, 0);
		if (fd < 0)
			GIVE_UP("dsm: restore this process: a file that was mapped is not there");
	} else {
		flags |= MAP_ANONYMOUS;
	}
	p = sys(SYS_mmap, m->from, m->to - m->from, prot, flags, fd, m->offset);
	if (fd >= 0)
		sys(SYS_close, fd, 0, 0, 0, 0, 0);
	if (p != (long)m->from)
		GIVE_UP("dsm: restore this process: its memory cannot be mapped");
}

static void load(int fd, uint64_t from, uint64_t to, uint64_t at)
{
	while (from < to) {
		uint64_t most = to - from < 1 << 30 ? to - from : 1 << 30;
		long n = sys(SYS_pread64, fd, from, most, at, 0, 0);

		if (n == -EINTR)
			continue;
		if (n <= 0)
			GIVE_UP("dsm: restore this process: its memory cannot be read");
		from += n;
		at += n;
	}
}

/* The kernel lets the stack grow as it is used. */
static void grow_stack(uint64_t to)
{
	for (uint64_t p = BRIDGE->low & ~4095ULL; p > to; p -= 4096)
		*(volatile char *)(p - 4096) = 0;
}

extern jmp_buf dsm_image_here;

/* On the bridge's stack; nothing but the bridge is read. */
static __attribute__((noreturn)) void become(void)
{
	const struct image *im = &BRIDGE->im;
	uint64_t at = sizeof(*im);

	sys(SYS_brk, im->brk, 0, 0, 0, 0, 0);
	grow_stack(im->stack);
	for (uint32_t i = 0; i < im->map.n; i++) {
		const struct mapping *m = &im->map.m[i];

		if (!m->shared && !of_kernel(m) && !(m->path[0] == '/' && is_there(&BRIDGE->now, m)))
			map_again(m);
	}
	for (uint32_t i = 0; i < im->map.n; i++) {
		const struct mapping *m = &im->map.m[i];
		uint64_t from = im->stack > m->from && im->stack < m->to ? im->stack : m->from;

		if (!is_saved(m))
			continue;
		load(BRIDGE->fresh.fds[2], from, m->to, at);
		at += m->to - from;
	}
	/* Everything is as it was, but for what the daemon gave to this process. */
	self.w = BRIDGE->fresh.w;
	self.conn = BRIDGE->fresh.conn;
	self.uffd = BRIDGE->fresh.uffd;
	for (int i = 0; i < 4; i++)
		self.fds[i] = BRIDGE->fresh.fds[i];
	self.ring = BRIDGE->fresh.ring;
	self.words = BRIDGE->fresh.words;
	self.op = BRIDGE->fresh.op;
	longjmp(dsm_image_here, 1);
}

static int read_image(struct image *im)
{
	ssize_t n = pread(self.fds[2], im, sizeof(*im), 0);

	if (n != sizeof(*im) || im->magic != IMAGE_MAGIC || im->map.n > MAPPINGS || im->files > FILES)
		return fail(-EBADMSG, "what is to be restored is no image of a process");
	return 0;
}

static const struct mapping *find(const struct map *map, const char *name)
{
	for (uint32_t i = 0; i < map->n; i++)
		if (is(&map->m[i], name))
			return &map->m[i];
	return NULL;
}

/* Pointers into the vdso are in the C library's memory. */
static int same_place(const struct map *a, const struct map *b, const char *name)
{
	const struct mapping *p = find(a, name), *q = find(b, name);

	return p && q && p->to == q->to && (is(p, "[stack]") || p->from == q->from);
}

static int check(const struct image *im, const struct map *now)
{
	static struct image d;
	int err = image_describe(&d);

	if (err < 0)
		return err;
	if (d.program != im->program)
		return fail(-EXDEV, "restore this process: the program is another build");
	if (strcmp(d.kernel, im->kernel) != 0)
		return fail(-EXDEV, "restore this process: it was saved on the kernel %s", im->kernel);
	if (d.thread != im->thread || !same_place(&im->map, now, "[vdso]") || !same_place(&im->map, now, "[stack]"))
		return fail(-EXDEV, "restore this process: it lies at other addresses");
	return 0;
}

static int open_files(const struct image *im)
{
	for (int i = 0; i < im->files; i++) {
		const struct file *f = &im->file[i];
		int fd = open(f->path, f->flags & (O_ACCMODE | O_APPEND | O_NONBLOCK));

		if (fd < 0 || lseek(fd, f->offset, SEEK_SET) < 0)
			return fail(-errno, "restore this process: open %s: %s", f->path, strerror(errno));
		if (fd != f->fd && (dup2(fd, f->fd) < 0 || close(fd) < 0))
			return fail(-errno, "restore this process: file %d: %s", f->fd, strerror(errno));
	}
	return 0;
}

int image_restore(void)
{
	struct bridge *b = BRIDGE;
	int err;

	if (mmap(b, sizeof(*b), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != b)
		return fail(-errno, "restore this process: no room at %p", (void *)b);
	err = read_image(&b->im);
	if (err >= 0)
		err = read_map(&b->now);
	if (err >= 0)
		err = check(&b->im, &b->now);
	if (err >= 0)
		err = open_files(&b->im);
	if (err < 0)
		return err;
	b->fresh = self;
	b->low = (uintptr_t)__builtin_frame_address(0);
	__asm__ volatile("mov %0, %%rsp\n\txor %%ebp, %%ebp\n\tcall *%1" : : "r"(b->stack + sizeof(b->stack) - 64), "r"(become) : "memory");
	__builtin_unreachable();
}

void image_restored(void)
{
	munmap(BRIDGE, sizeof(*BRIDGE));
}
