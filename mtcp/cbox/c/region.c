/* SPDX-License-Identifier: Apache-2.0 */
/* region.c - where boxes lie: memfds that nobody can cut under whoever maps them. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "impl.h"

#define SEALS	(F_SEAL_SHRINK | F_SEAL_GROW)

int region_new(struct cbox_region *r, uint64_t length)
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
