// SPDX-License-Identifier: GPL-2.0
/*
 * drive.c - makes what the sensors count, for kmodtest: each mode does one
 * thing, and then waits, or goes on, until its process group is killed.
 */
#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

static char *pages(long mib)
{
	char *p = mmap(NULL, mib << 20, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		err(1, "mmap");
	return p;
}

/* Goes round: pages that were swapped out come back. */
static void touch(long mib)
{
	char *p = pages(mib);

	for (;;)
		for (long i = 0; i < mib << 20; i += 4096)
			p[i]++;
}

static void wire(long mib)
{
	if (mlock(pages(mib), mib << 20))
		err(1, "mlock");
}

static void *sleeper(void *unused)
{
	pause();
	return unused;
}

static void threads(long n)
{
	pthread_t t;

	while (n--)
		if (pthread_create(&t, NULL, sleeper, NULL))
			errx(1, "pthread_create");
}

static void zombies(long n)
{
	while (n--)
		if (!fork())
			_exit(0);
}

static void files(long n)
{
	struct rlimit most = { n + 64, n + 64 };

	if (setrlimit(RLIMIT_NOFILE, &most))
		err(1, "setrlimit");
	while (n--)
		if (open("/dev/null", O_RDONLY) < 0)
			err(1, "open");
}

static void spin(long n)
{
	while (--n)
		if (!fork())
			break;
	for (;;)
		;
}

/* Two switches a round, if both run on one CPU. It ends by itself. */
static void pingpong(long rounds)
{
	int there[2], back[2];
	char c = 0;

	if (pipe(there) || pipe(back))
		err(1, "pipe");
	if (!fork()) {
		close(there[1]);	/* or it would never see the end */
		while (read(there[0], &c, 1) == 1 && write(back[1], &c, 1) == 1)
			;
		_exit(0);
	}
	while (rounds--)
		if (write(there[1], &c, 1) != 1 || read(back[0], &c, 1) != 1)
			err(1, "round");
	_exit(0);
}

static const struct {
	const char *name;
	void (*run)(long n);
} modes[] = {
	{ "touch", touch }, { "wire", wire }, { "threads", threads }, { "zombies", zombies },
	{ "files", files }, { "spin", spin }, { "pingpong", pingpong },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc == 3 && i < sizeof(modes) / sizeof(*modes); i++)
		if (!strcmp(argv[1], modes[i].name)) {
			modes[i].run(atol(argv[2]));
			pause();
		}
	errx(2, "mode and number");
}
