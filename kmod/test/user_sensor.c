// SPDX-License-Identifier: Apache-2.0
/*
 * user_sensor.c - the Sensor Box from user space: an example of its use, and
 * the guest's half of the tests of /dev/backdoor.
 *
 *   user_sensor hold ID [heartbeat]   make a progress sensor and beat until killed
 *   user_sensor apart ID CPU          likewise, in a second thread; the first is busy on CPU
 *   user_sensor adopt ID              own an orphan again, beat until killed
 *   user_sensor release ID            remove a sensor
 *   user_sensor checks                try what must be refused; exit 1 if it is not
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "../uapi/backdoor.h"

static int failures;

static int device(void)
{
	int fd = open("/dev/backdoor", O_RDWR | O_CLOEXEC);

	if (fd < 0) {
		perror("open /dev/backdoor");
		exit(1);
	}
	return fd;
}

static struct bd_ioc_sensor request(unsigned int id)
{
	struct bd_ioc_sensor r = {
		.version = BD_VERSION_MAJOR,
		.id = id,
		.class = BD_PROGRESS,
		.limit = 500000,
	};

	snprintf(r.name, sizeof(r.name), "TEST%u", id);
	strcpy(r.unit, "beats");
	return r;
}

static int beat(unsigned long cmd, struct bd_ioc_sensor r)
{
	int fd = device();
	char *page;
	volatile __u64 *value;

	if (ioctl(fd, cmd, &r)) {
		perror("sensor");
		return 1;
	}
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	value = (volatile __u64 *)(page + r.offset);
	printf("%u %u %llu\n", r.id, r.offset, (unsigned long long)*value);
	fflush(stdout);
	for (;;) {
		*value += 1;	/* one store: that is the whole update */
		usleep(10000);
	}
}

static void *beat_beside(void *r)
{
	exit(beat(BD_IOC_NEW_SENSOR, *(struct bd_ioc_sensor *)r));
}

static int apart(struct bd_ioc_sensor r, int cpu)
{
	pthread_t thread;
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (pthread_create(&thread, NULL, beat_beside, &r) ||
	    sched_setaffinity(0, sizeof(one), &one)) {
		perror("apart");
		return 1;
	}
	for (;;)
		;
}

static int release(unsigned int id)
{
	__u32 whole = (unsigned int)geteuid() << 16 | id;

	if (ioctl(device(), BD_IOC_RELEASE_SENSOR, &whole)) {
		perror("release");
		return 1;
	}
	return 0;
}

static void expect(const char *what, int got, int want)
{
	int err = got < 0 ? errno : 0;

	printf("%s %s: %s\n", err == want ? "ok" : "WRONG", what, strerror(err));
	failures += err != want;
}

/* One field of a good request is spoilt. */
static void expect_sensor(const char *what, int fd, struct bd_ioc_sensor r, int want)
{
	expect(what, ioctl(fd, BD_IOC_NEW_SENSOR, &r), want);
}

static void check_requests(int fd)
{
	struct bd_ioc_sensor r;

	r = request(100); r.version = 9;
	expect_sensor("another version", fd, r, EPROTO);
	r = request(100); r.reserved8 = 1;
	expect_sensor("a reserved field", fd, r, EINVAL);
	r = request(100); r.flags = BD_SENSOR_CLOCK;
	expect_sensor("a user's clock", fd, r, EINVAL);
	r = request(100); r.class = 4;
	expect_sensor("no such class", fd, r, EINVAL);
	r = request(0);
	expect_sensor("id 0", fd, r, EINVAL);
	r = request(0x10000);
	expect_sensor("id of 17 bits", fd, r, EINVAL);
	r = request(100); strcpy(r.name, "two words");
	expect_sensor("a blank in the name", fd, r, EINVAL);
	r = request(100); memset(r.name, 'x', sizeof(r.name));
	expect_sensor("a name without end", fd, r, EINVAL);
	r = request(100); r.limit = ~0ULL;
	expect_sensor("a deadline of ages", fd, r, ERANGE);
	expect_sensor("a good one", fd, request(100), 0);
	expect_sensor("the same again", fd, request(100), EEXIST);
	expect("no such ioctl", ioctl(fd, _IO(BD_IOC_MAGIC, 99)), ENOTTY);
}

static int map(int fd, size_t len, int flags, off_t off)
{
	return mmap(NULL, len, PROT_READ | PROT_WRITE, flags, fd, off) == MAP_FAILED ? -1 : 0;
}

static void check_mapping(int fd)
{
	expect("a private mapping", map(fd, 4096, MAP_PRIVATE, 0), EINVAL);
	expect("the neighbour's page", map(fd, 4096, MAP_SHARED, 4096), EINVAL);
	expect("two pages", map(fd, 8192, MAP_SHARED, 0), EINVAL);
	expect("the page", map(fd, 4096, MAP_SHARED, 0), 0);
}

static void check_capacity(int fd)
{
	unsigned int id;

	for (id = 101; id < 100 + BD_USER_CAPACITY; id++) {
		struct bd_ioc_sensor r = request(id);

		if (ioctl(fd, BD_IOC_NEW_SENSOR, &r))
			expect("a full page's worth", -1, 0);
	}
	expect_sensor("one more than a page holds", fd, request(id), ENOSPC);
}

static void check_admin(int fd)
{
	struct bd_ioc_foreign w = { .version = BD_VERSION_MAJOR };

	strcpy(w.word.name, "nr_threads");
	w.word.size = 4;
	w.word.addr = 0x1000;
	expect("a foreign word in user space", ioctl(fd, BD_IOC_ADD_FOREIGN, &w), EFAULT);
	w.word.addr = 0xffffffff82000000ULL;
	w.word.flags = 8;
	expect("an unknown flag", ioctl(fd, BD_IOC_ADD_FOREIGN, &w), EINVAL);
	w.word.flags = 0;
	expect("a foreign word", ioctl(fd, BD_IOC_ADD_FOREIGN, &w), 0);
}

/* As another user, who may open the device but is not trusted. */
static void check_stranger(void)
{
	struct bd_ioc_foreign w = { .version = BD_VERSION_MAJOR };
	struct bd_ioc_key k = { .version = BD_VERSION_MAJOR };
	struct bd_ioc_sensor r = request(1);
	__u32 roots = 100;
	int fd = -1, i;

	if (chmod("/dev/backdoor", 0666) || seteuid(1000)) {
		perror("become uid 1000");
		failures++;
		return;
	}
	for (i = 0; i < 4; i++) {
		fd = device();
		expect_sensor("a stranger's sensor", fd, request(1 + i), 0);
	}
	expect_sensor("a page over the quota", device(), request(9), EDQUOT);
	r.id = 10;
	r.flags = BD_SENSOR_HEARTBEAT;
	expect_sensor("a stranger's heartbeat", fd, r, EPERM);
	expect("a stranger's key", ioctl(fd, BD_IOC_SET_KEY, &k), EPERM);
	expect("a stranger's word", ioctl(fd, BD_IOC_ADD_FOREIGN, &w), EPERM);
	expect("release of root's", ioctl(fd, BD_IOC_RELEASE_SENSOR, &roots), ENOENT);
	seteuid(0);
	chmod("/dev/backdoor", 0660);
	for (i = 0; i < 4; i++) {
		__u32 id = 1000u << 16 | (1 + i);

		expect("release by another user", ioctl(fd, BD_IOC_RELEASE_SENSOR, &id),
		       i == 3 ? 0 : EBUSY);
	}
}

static int checks(void)
{
	int fd = device();

	check_requests(fd);
	check_mapping(fd);
	check_capacity(fd);
	check_admin(fd);
	check_stranger();
	return failures > 0;
}

int main(int argc, char **argv)
{
	unsigned int id = argc > 2 ? strtoul(argv[2], NULL, 0) : 0;
	struct bd_ioc_sensor r = request(id);

	if (argc == 4 && !strcmp(argv[3], "heartbeat"))
		r.flags = BD_SENSOR_HEARTBEAT;
	if (argc > 2 && !strcmp(argv[1], "hold"))
		return beat(BD_IOC_NEW_SENSOR, r);
	if (argc == 4 && !strcmp(argv[1], "apart"))
		return apart(r, atoi(argv[3]));
	if (argc > 2 && !strcmp(argv[1], "adopt"))
		return beat(BD_IOC_ADOPT_SENSOR, r);
	if (argc > 2 && !strcmp(argv[1], "release"))
		return release(id);
	if (argc == 2 && !strcmp(argv[1], "checks"))
		return checks();
	fprintf(stderr, "usage: user_sensor hold|adopt|release ID, apart ID CPU, or checks\n");
	return 2;
}
