/* SPDX-License-Identifier: Apache-2.0 */
/*
 * region.c - where boxes lie: in memory of backdoor.ko, which outlives the kernel,
 * where this process may have it; else in memfds that nobody can cut under whoever
 * maps them.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "impl.h"
#include "uapi/bd_box.h"

#define DEVICE	"/dev/backdoor"
#define SEALS	(F_SEAL_SHRINK | F_SEAL_GROW)

/* A file for each box: who is given it has this session and no other. */
static int device_new(struct cbox_region *r, uint64_t length, int conn)
{
	struct bd_ioc_box q = { .version = BD_VERSION_MAJOR, .socket = conn, .length = length };
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (ioctl(fd, BD_IOC_NEW_BOX, &q) == 0) {
		*r = (struct cbox_region){ fd, q.offset, length };
		return 0;
	}
	close(fd);
	return -ENODEV;
}

/* The number of a character device says whose it is, whatever its name. */
static int is_device(const struct stat *st)
{
	struct stat ours;

	return S_ISCHR(st->st_mode) && stat(DEVICE, &ours) == 0 && S_ISCHR(ours.st_mode) && ours.st_rdev == st->st_rdev;
}

static int device_check(const struct cbox_region *r)
{
	struct bd_ioc_box q = { .version = BD_VERSION_MAJOR };

	if (ioctl(r->fd, BD_IOC_GET_BOX, &q) < 0)
		return -errno;
	if (r->offset < q.offset || r->offset - q.offset > q.length || r->length > q.length - (r->offset - q.offset))
		return -CBOX_EDAMAGED;
	return 0;
}

static int memfd_new(struct cbox_region *r, uint64_t length)
{
	int fd = memfd_create("cbox", MFD_CLOEXEC | MFD_ALLOW_SEALING), err;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, length) == 0 && fcntl(fd, F_ADD_SEALS, SEALS | F_SEAL_SEAL) == 0) {
		*r = (struct cbox_region){ fd, 0, length };
		return 0;
	}
	err = -errno;
	close(fd);
	return err;
}

int region_new(struct cbox_region *r, uint64_t length, int conn)
{
	return device_new(r, length, conn) == 0 ? 0 : memfd_new(r, length);
}

/* What came from another process is not mapped before it has been looked at. */
static int region_check(const struct cbox_region *r)
{
	struct statfs fs;
	struct stat st;
	int seals;

	if (r->length < sizeof(struct bd_cbox_head) || r->length > BD_CBOX_LEN_MAX || r->offset % 4096)
		return -CBOX_EDAMAGED;
	if (fstat(r->fd, &st) < 0)
		return -errno;
	if (is_device(&st))
		return device_check(r);
	if ((uint64_t)st.st_size < r->length || r->offset > (uint64_t)st.st_size - r->length)
		return -CBOX_EDAMAGED;
	/* A memfd of huge pages has seals too, and kills its reader when none is left. */
	if (fstatfs(r->fd, &fs) < 0)
		return -errno;
	if (fs.f_type != TMPFS_MAGIC)
		return -CBOX_EDAMAGED;
	seals = fcntl(r->fd, F_GET_SEALS);
	if (seals < 0)
		return -errno;
	if ((seals & SEALS) != SEALS || seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
		return -CBOX_EDAMAGED;
	return 0;
}

int region_map(const struct cbox_region *r, uint8_t **m)
{
	int err = region_check(r);
	void *p;

	if (err)
		return err;
	p = mmap(NULL, r->length, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, (off_t)r->offset);
	if (p == MAP_FAILED)
		return -errno;
	*m = p;
	return 0;
}
