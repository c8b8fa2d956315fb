// SPDX-License-Identifier: GPL-2.0
/*
 * bd_buildid.c - the kernel's GNU build id, which names its debug symbols.
 * No symbol gives it to modules; the notes of the kernel image in sysfs do.
 */
#include <linux/elf.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "bd.h"

#define NOTES_MAX	4096
#define ID_MAX		20
#define GNU_BUILD_ID	3	/* note type NT_GNU_BUILD_ID of <elf.h> */

/* Finds the note in a copy of the section; its length, or -ENOENT. */
static int find_note(const u8 *notes, size_t len, const u8 **id)
{
	size_t at = 0;

	while (at + sizeof(Elf64_Nhdr) <= len) {
		const Elf64_Nhdr *n = (const void *)(notes + at);
		size_t name = at + sizeof(*n);
		size_t desc = name + ALIGN((size_t)n->n_namesz, 4);

		if (desc + n->n_descsz > len)
			break;
		if (n->n_type == GNU_BUILD_ID && n->n_namesz == 4 &&
		    !memcmp(notes + name, "GNU", 4) && n->n_descsz <= ID_MAX) {
			*id = notes + desc;
			return n->n_descsz;
		}
		at = desc + ALIGN((size_t)n->n_descsz, 4);
	}
	return -ENOENT;
}

/**
 * bd_build_id() - the build id of the running kernel in hexadecimal
 * @text: at least 2 * 20 + 1 bytes; empty if it cannot be read (no sysfs)
 */
void bd_build_id(char *text)
{
	struct file *f = filp_open("/sys/kernel/notes", O_RDONLY, 0);
	const u8 *id;
	u8 *notes;
	loff_t pos = 0;
	ssize_t n;

	text[0] = '\0';
	if (IS_ERR(f))
		return;
	notes = kmalloc(NOTES_MAX, GFP_KERNEL);
	n = notes ? kernel_read(f, notes, NOTES_MAX, &pos) : 0;
	n = n > 0 ? find_note(notes, n, &id) : 0;
	if (n > 0)
		*bin2hex(text, id, n) = '\0';
	kfree(notes);
	filp_close(f, NULL);
}
