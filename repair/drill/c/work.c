// SPDX-License-Identifier: Apache-2.0
/* work.c - what the programs of the drills spend their time with */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "rogue.h"

void spin(long loops)
{
	volatile unsigned long x = 1;

	for (long i = 0; i < loops; i++)
		x = x * 6364136223846793005ul + 1442695040888963407ul;
}

/* The I/O-bound bomb of section 3.9.5: no scheduler takes it for a CPU hog. */
void copy_zero(void)
{
	static char buf[65536];
	static int in = -1, out = -1;

	if (in < 0) {
		in = open("/dev/zero", O_RDONLY);
		out = open("/dev/null", O_WRONLY);
	}
	for (int i = 0; i < 8; i++)
		if (read(in, buf, sizeof(buf)) < 0 || write(out, buf, sizeof(buf)) < 0)
			spin(1000);
}

/* Writes to each page something that no page holds twice. */
void touch(unsigned char *mem, unsigned long bytes, unsigned long salt)
{
	for (unsigned long i = 0; i < bytes; i += 4096)
		*(unsigned long *)(mem + i) = i * 2654435761ul + salt;
}

unsigned char *take(long mib)
{
	void *p = mmap(NULL, (unsigned long)mib << 20, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* The limit keeps a bomb at its size: fork fails above it and is tried again. */
void limit_processes(long n)
{
	struct rlimit r = { n, n };

	signal(SIGCHLD, SIG_IGN);
	if (n > 0)
		setrlimit(RLIMIT_NPROC, &r);
}

void nap_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}
