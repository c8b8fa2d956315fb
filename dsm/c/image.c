/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image.c - saves the process, and becomes it again (image.h). A process has one
 * thread, is made of the same executable on the same kernel, and lies at the same
 * addresses. Of the new one there remain the executable's text, descriptors and
 * what the daemon gave; all else is overwritten by system calls from a stack that
 * is in no image.
 */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "image.h"
#include "impl.h"

#define LARGEST	(1ULL << 36)

jmp_buf dsm_image_here;
static struct image im;

static int put_bytes(const void *p, uint64_t bytes, uint64_t at)
{
	for (ssize_t n; bytes; bytes -= n, at += n, p = (const char *)p + n) {
		n = pwrite(self.fds[2], p, bytes < 1 << 30 ? bytes : 1 << 30, at);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n <= 0)
			return fail(-errno, "the image of this process: %s", strerror(errno));
	}
	return 0;
}

/* Not a checksum against chance alone: another build has other addresses. */
static int sum_program(uint64_t *sum)
{
	static unsigned char b[64 << 10];
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	*sum = 0xcbf29ce484222325ULL;
	if (fd < 0)
		return fail(-errno, "/proc/self/exe: %s", strerror(errno));
	while ((n = read(fd, b, sizeof(b))) > 0)
		for (ssize_t i = 0; i < n; i++)
			*sum = (*sum ^ b[i]) * 0x100000001b3ULL;
	close(fd);
	return n < 0 ? fail(-errno, "/proc/self/exe: %s", strerror(errno)) : 0;
}

/* What must be the same in a process that is to be restored. */
int image_describe(struct image *d)
{
	struct utsname u;

	memset(d, 0, sizeof(*d));
	d->magic = IMAGE_MAGIC;
	uname(&u);
	snprintf(d->kernel, sizeof(d->kernel), "%s %s", u.release, u.version);
	syscall(SYS_arch_prctl, ARCH_GET_FS, &d->thread);
	return sum_program(&d->program);
}

/* The program's files; its standard input is one. */
static int list_files(struct image *d)
{
	struct stat st;
	char link[32];
	ssize_t n;

	for (int fd = 0; fd < HIGH_FD; fd++) {
		struct file *f = &d->file[d->files];

		if (fd == 1 || fd == 2 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
			continue;
		if (d->files == FILES)
			return fail(-EMFILE, "the image of this process: more than %d files are open", FILES);
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = readlink(link, f->path, sizeof(f->path) - 1);
		if (n < 0 || n == sizeof(f->path) - 1)
			return fail(-ENAMETOOLONG, "the image of this process: the name of file %d is too long", fd);
		f->path[n] = 0;
		f->fd = fd;
		f->flags = fcntl(fd, F_GETFL);
		f->offset = lseek(fd, 0, SEEK_CUR);
		d->files++;
	}
	return 0;
}

static int write_all(void)
{
	uint64_t at = sizeof(im);
	int err = put_bytes(&im, sizeof(im), 0);

	for (uint32_t i = 0; err >= 0 && i < im.map.n; i++) {
		const struct mapping *m = &im.map.m[i];
		uint64_t from = im.stack > m->from && im.stack < m->to ? im.stack : m->from;

		if (!is_saved(m))
			continue;
		if (m->to - m->from > LARGEST)
			return fail(-EFBIG, "the image of this process: a mapping of %llu bytes", (unsigned long long)(m->to - m->from));
		err = put_bytes((void *)from, m->to - from, at);
		at += m->to - from;
	}
	return err < 0 ? err : call(BD_DSM_CHECKPOINT, at, 0, 0);
}

/* How floating point rounds and what it traps: longjmp does not bring it back. */
static uint32_t mxcsr;
static uint16_t x87;

int image_save(void)
{
	volatile char room[2 * 4096]; /* what is saved of the stack begins in it */
	static int err;

	room[0] = 0;

	fflush(NULL); /* or a restored process would write it again */
	__asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(mxcsr), "=m"(x87));
	if (setjmp(dsm_image_here)) {
		__asm__ volatile("ldmxcsr %0\n\tfldcw %1" : : "m"(mxcsr), "m"(x87));
		image_restored();
		return 1;
	}
	err = image_describe(&im);
	if (err >= 0)
		err = list_files(&im);
	if (err >= 0)
		err = read_map(&im.map);
	im.brk = syscall(SYS_brk, 0);
	im.stack = ((uintptr_t)room - 4096) & ~4095ULL;
	if (err >= 0)
		err = write_all();
	return err == -DSM_ELOST ? 0 : err; /* the one before is still there, and the daemon has told */
}
