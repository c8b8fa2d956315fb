// SPDX-License-Identifier: GPL-2.0
/*
 * bd_memory.c - the direct map, read-only: one region for each range of RAM.
 *
 * Never the holes between them: no page is mapped there, and a carrier that
 * copies with this machine's CPU (rxe) would fault in a softirq.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ioport.h>
#include <linux/mm.h>
#include <linux/security.h>
#include "bd.h"

/* Real machines have up to a dozen ranges; the table has other entries too. */
#define RANGES_MAX	14

struct ranges {
	int count;
	u64 left_out;	/* bytes */
};

static int export_range(struct resource *res, void *arg)
{
	u64 start = PAGE_ALIGN(res->start), end = (res->end + 1) & PAGE_MASK;
	struct ranges *r = arg;
	char name[BD_REGION_NAME] = "memory";

	end = min_t(u64, end, __pa(high_memory));	/* the direct map's end */
	if (end <= start)
		return 0;
	if (r->count == RANGES_MAX) {
		r->left_out += end - start;
		return 0;
	}
	if (r->count)
		snprintf(name, sizeof(name), "memory.%d", r->count);
	r->count++;
	return bd_region_add_phys(name, BD_KIND_MEMORY, BD_PERM_READ,
				  (u64)(uintptr_t)__va(start), start, end - start,
				  0, NULL);
}

/** bd_memory_export() - publish the RAM, unless that is refused; it goes with the table */
int bd_memory_export(void)
{
	struct ranges r = { 0 };
	int err;

	if (!bd_export_memory)
		return 0;
	if (security_locked_down(LOCKDOWN_KCORE)) {
		pr_warn("kernel lockdown: the memory regions are withheld\n");
		return 0;
	}
	err = walk_iomem_res_desc(IORES_DESC_NONE,
				  IORESOURCE_SYSTEM_RAM | IORESOURCE_BUSY,
				  0, -1, &r, export_range);
	if (r.left_out)
		pr_warn("%llu bytes of RAM lie in more ranges than the region table holds\n",
			r.left_out);
	return err;
}
