// SPDX-License-Identifier: Apache-2.0
/*
 * dev_storm.c - /dev/backdoor under everything at once: many threads and
 * children that open, map, scribble, fork, and ask with odd arguments, for sensors
 * and for boxes.
 *
 *   dev_storm SECONDS SEED
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "../uapi/bd_box.h"
#include "../uapi/bd_rdma.h"

#define FILES 24
#define THREADS 6
#define MAPS 8

/* Shared by all threads without a lock: they close one another's. */
static int files[FILES];
static time_t end;

static const unsigned long commands[] = {
	BD_IOC_VERSION, BD_IOC_NEW_SENSOR, BD_IOC_NEW_SENSOR, BD_IOC_NEW_SENSOR,
	BD_IOC_RELEASE_SENSOR, BD_IOC_RELEASE_SENSOR, BD_IOC_ADOPT_SENSOR,
	BD_IOC_ADD_FOREIGN, BD_IOC_VERSION + 99, 0, ~0UL,
	BD_IOC_NEW_BOX, BD_IOC_NEW_BOX, BD_IOC_BOX_SOCKET, BD_IOC_GET_BOX,
};

static unsigned int pick(unsigned int *seed, unsigned int n)
{
	return (unsigned int)rand_r(seed) % n;
}

/* Mostly right, with some of it wrong. */
static void argument(unsigned char *b, size_t size, unsigned int *seed)
{
	struct bd_ioc_sensor r = {
		.version = BD_VERSION_MAJOR, .id = pick(seed, 300), .class = 1 + pick(seed, 3),
		.flags = pick(seed, 8) ? 0 : BD_SENSOR_HEARTBEAT, .limit = pick(seed, 1000000),
	};

	memset(b, 0, size);
	snprintf(r.name, sizeof(r.name), "S%u", r.id);
	memcpy(b, &r, sizeof(r));
	for (unsigned int i = pick(seed, 8) ? 0 : pick(seed, 16); i; i--)
		b[pick(seed, size)] = rand_r(seed);
}

/* A box of up to 64 pages, or the socket of one: what the descriptor is is left to chance. */
static void box(unsigned char *b, unsigned int *seed)
{
	struct bd_ioc_box r = {
		.version = BD_VERSION_MAJOR, .socket = pick(seed, 4) ? -1 : (int)pick(seed, 40),
		.length = 4096 * pick(seed, 65),
	};

	memcpy(b, &r, sizeof(r));
}

static void ask(int fd, unsigned int *seed)
{
	unsigned long cmd = commands[pick(seed, sizeof(commands) / sizeof(commands[0]))];
	static const unsigned long wild[] = { 0, 1, ~0UL, 0xffff888000000000UL };
	unsigned char b[256];

	argument(b, sizeof(b), seed);
	if (cmd == BD_IOC_RELEASE_SENSOR)
		*(__u32 *)b = pick(seed, 2) ? pick(seed, 300) : (unsigned int)rand_r(seed);
	if (cmd == BD_IOC_NEW_BOX || cmd == BD_IOC_BOX_SOCKET || cmd == BD_IOC_GET_BOX)
		box(b, seed);
	ioctl(fd, cmd, pick(seed, 16) ? (unsigned long)b : wild[pick(seed, 4)]);
}

static void *map(int fd, unsigned int *seed)
{
	static const int prots[] = { PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC, PROT_NONE };
	size_t len = pick(seed, 8) ? 4096 : 4096 * pick(seed, 40);
	off_t at = pick(seed, 4) ? 0 : 4096 * (off_t)pick(seed, 40);
	struct bd_ioc_box own = { .version = BD_VERSION_MAJOR };
	unsigned char *p;

	if (pick(seed, 2) && ioctl(fd, BD_IOC_GET_BOX, &own) == 0)
		at = own.offset + 4096 * (off_t)(pick(seed, 4) ? 0 : pick(seed, 64));
	p = mmap(NULL, len, prots[pick(seed, 4) & (pick(seed, 4) ? 1 : 3)],
		 pick(seed, 8) ? MAP_SHARED : MAP_PRIVATE, fd, at);
	if (p == MAP_FAILED)
		return NULL;
	if (!mprotect(p, 4096, PROT_READ | PROT_WRITE))
		for (int i = 0; i < 64; i++)
			p[pick(seed, 4096)] = rand_r(seed);
	madvise(p, 4096, pick(seed, 2) ? MADV_DOFORK : MADV_DONTNEED);
	mprotect(p, 4096, PROT_READ | PROT_EXEC);
	return p;
}

static void child(unsigned int seed)
{
	for (int i = 0; i < 20; i++) {
		ask(files[pick(&seed, FILES)], &seed);
		map(files[pick(&seed, FILES)], &seed);
	}
	_exit(0);
}

static void *storm(void *arg)
{
	unsigned int seed = (unsigned long)arg;
	void *maps[MAPS] = {};

	while (time(NULL) < end) {
		int *fd = &files[pick(&seed, FILES)];
		void **m = &maps[pick(&seed, MAPS)];

		switch (pick(&seed, 16)) {
		case 0:
			close(*fd);
			*fd = open("/dev/backdoor", pick(&seed, 4) ? O_RDWR : O_RDONLY);
			break;
		case 1:
			if (*m)
				munmap(*m, 4096);
			*m = map(*fd, &seed);
			break;
		case 2:
			if (*m)
				mremap(*m, pick(&seed, 2) * 4096, 8192, MREMAP_MAYMOVE);
			break;
		case 3:
			if (pick(&seed, 8))
				break;
			if (!fork())
				child(seed);
			while (waitpid(-1, NULL, WNOHANG) > 0)
				;
			break;
		default:
			ask(*fd, &seed);
		}
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t t[THREADS];
	unsigned long seed = argc > 2 ? strtoul(argv[2], NULL, 0) : 1;

	end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 5);
	memset(files, -1, sizeof(files));
	for (unsigned long i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, storm, (void *)(seed * 100 + i));
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	while (wait(NULL) > 0)
		;
	return 0;
}
