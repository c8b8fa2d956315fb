/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image.h - the whole process as private state, for programs that name none: what
 * is mapped privately, and where its one thread stands.
 */
#ifndef LAZYSTATE_DSM_IMAGE_H
#define LAZYSTATE_DSM_IMAGE_H

#include <limits.h>
#include <stdint.h>

#define IMAGE_MAGIC	0x31474d494d5344ULL	/* "DSMIMG1" */
#define MAPPINGS	192
#define FILES		32

/* One mapping: a line of /proc/self/maps. */
struct mapping {
	uint64_t from, to, offset, inode;
	uint8_t read, write, exec, shared;
	char path[116];			/* "": nobody's */
};

struct map {
	uint32_t n, reserved;
	struct mapping m[MAPPINGS];
};

/* A file that the program has open. */
struct file {
	int32_t fd, flags;
	int64_t offset;
	char path[112];
};

/* What an image begins with. Then come the writable mappings, one by one. */
struct image {
	uint64_t magic;
	uint64_t program;		/* sum of the executable */
	uint64_t thread;		/* the thread pointer */
	uint64_t stack, brk;		/* the stack below is not saved */
	char kernel[65 * 2];		/* its vdso is in our pointers */
	uint16_t files;
	uint32_t reserved;
	struct map map;
	struct file file[FILES];
};

/* What must be the same in a process that is to be restored. */
int image_describe(struct image *d);
/* In a process that was restored. */
void image_restored(void);
/* Reads /proc/self/maps without memory of anybody's. */
int read_map(struct map *map);
/* Is it the process's own, and saved with its contents? */
static inline int is_saved(const struct mapping *m)
{
	return m->write && !m->shared;
}
/*
 * Lets the process lie at the same addresses whenever it is run: runs it anew, if it
 * must. Returns 0 if that is not allowed.
 */
int same_addresses(void);
/*
 * Saves the process behind an operation. Returns 1 in a process that was restored
 * there, 0 in the one that was saved.
 */
int image_save(void);
/* Makes this process the one that was saved. Returns if it cannot. */
int image_restore(void);

#endif
