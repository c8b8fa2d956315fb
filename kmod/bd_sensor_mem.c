// SPDX-License-Identifier: GPL-2.0
/*
 * bd_sensor_mem.c - memory: free, available and wired pages, swap, and the
 * out-of-memory killer. Read from exported counters by the census thread.
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/notifier.h>
#include <linux/oom.h>
#include <linux/string.h>
#include <linux/swap.h>
#include <linux/vmstat.h>
#include "bd.h"
#include "bd_builtin.h"

static struct bd_sensor *free_pages_s, *avail_s, *wired_s, *swap_free_s;
static struct bd_sensor *oom, *kills;

/* Events per second between samples at least half a second apart. */
struct rate {
	struct bd_sensor *s;
	enum vm_event_item event;
	u64 last;
	u64 last_ns;
};

static struct rate swap_in = { .event = PSWPIN };
static struct rate swap_out = { .event = PSWPOUT };
static u64 swap_auto;

static struct file *meminfo;
static u64 meminfo_ns;

static void set(struct bd_sensor *s, u64 value)
{
	if (!IS_ERR_OR_NULL(s))
		bd_set_sensor_value(s, value);
}

static u64 vm_event(enum vm_event_item item)
{
	u64 n = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		n += per_cpu(vm_event_states, cpu).event[item];
	return n;
}

static void sample_rate(struct rate *r, u64 now_ns)
{
	u64 n, span = now_ns - r->last_ns;

	if (r->last_ns && span < NSEC_PER_SEC / 2)
		return;
	n = vm_event(r->event);
	if (r->last_ns)
		set(r->s, div64_u64((n - r->last) * NSEC_PER_SEC, span));
	r->last = n;
	r->last_ns = now_ns;
}

/* Pages that no reclaim can take: pinned, mlocked, and the kernel's own. */
static u64 wired(void)
{
	return global_node_page_state_pages(NR_UNEVICTABLE) +
	       global_node_page_state_pages(NR_SLAB_UNRECLAIMABLE_B) +
	       global_node_page_state_pages(NR_PAGETABLE) +
	       (global_node_page_state_pages(NR_KERNEL_STACK_KB) >> (PAGE_SHIFT - 10));
}

/* All swap areas; what is in use of them is not exported, nor how many they are. */
static u64 total_swap(void)
{
	static const char key[] = "SwapTotal:";
	char text[768];	/* it is one of the first lines */
	loff_t pos = 0;
	ssize_t n = kernel_read(meminfo, text, sizeof(text) - 1, &pos);
	u64 kib = 0;
	char *at;

	text[max_t(ssize_t, n, 0)] = 0;
	at = strstr(text, key);
	if (at)
		sscanf(at + sizeof(key) - 1, "%llu", &kib);
	return kib >> (PAGE_SHIFT - 10);
}

/*
 * Swap comes and goes: unless an operator set L, it is 5 % of what there is.
 * The kernel's count is below 0 while an area that is in use is taken away.
 */
static void sample_swap_free(u64 now_ns)
{
	u64 limit;

	if (IS_ERR_OR_NULL(swap_free_s))
		return;
	bd_set_sensor_value(swap_free_s, max(get_nr_swap_pages(), 0L));
	if (!meminfo || now_ns - meminfo_ns < NSEC_PER_SEC ||
	    READ_ONCE(swap_free_s->limit) != swap_auto)
		return;
	meminfo_ns = now_ns;
	limit = total_swap() / 20;
	if (limit == swap_auto)
		return;
	swap_auto = limit;
	bd_sensor_limit(swap_free_s->name, strlen(swap_free_s->name), &swap_auto);
}

/**
 * bd_sensor_mem_sample() - read the counters; the census thread calls it
 * @now_ns: monotonic
 */
void bd_sensor_mem_sample(u64 now_ns)
{
	set(free_pages_s, global_zone_page_state(NR_FREE_PAGES));
	set(avail_s, max(si_mem_available(), 0L));
	set(wired_s, wired());
	sample_swap_free(now_ns);
	sample_rate(&swap_in, now_ns);
	sample_rate(&swap_out, now_ns);
}

/* Called for every attempt, also where memory is found without a kill. */
static int on_oom(struct notifier_block *nb, unsigned long unused, void *freed)
{
	if (!IS_ERR_OR_NULL(oom))
		bd_add_sensor_value(oom, 1);
	return NOTIFY_OK;
}

static struct notifier_block oom_notifier = { .notifier_call = on_oom };
static bool oom_registered;

/* mark_victim's arguments changed in 6.1 and 6.10: take none of them. */
static void on_victim(void *data)
{
	if (!IS_ERR_OR_NULL(kills))
		bd_add_sensor_value(kills, 1);
}

static struct bd_hook victim_hook = {
	.name = "mark_victim",
	.probe = on_victim,
};

static int oom_init(void)
{
	int err;

	oom = bd_sensor_builtin(BD_ID_OOM, BD_PRESSURE, 3, 0, "OOM_KILLER_RUNNING",
				"events", "oom notifier: attempts");
	err = register_oom_notifier(&oom_notifier);
	if (err)
		return err;
	oom_registered = true;
	if (bd_hook_attach(&victim_hook)) {
		bd_sensor_missing("OOM_KILLS", "no tracepoint mark_victim");
		return 0;
	}
	kills = bd_sensor_builtin(BD_ID_OOM_KILLS, BD_PRESSURE, 2, 0, "OOM_KILLS",
				  "events", "tracepoint mark_victim");
	return 0;
}

int bd_sensor_mem_init(void)
{
	u64 ram = totalram_pages();
	int err;

	swap_auto = 0;
	meminfo_ns = 0;
	meminfo = filp_open("/proc/meminfo", O_RDONLY, 0);
	if (IS_ERR(meminfo))
		meminfo = NULL;	/* no /proc: L of swap stays 0 */
	free_pages_s = bd_sensor_builtin(BD_ID_FREE_PAGES, BD_LEVEL, ram / 512,
					 BD_SENSOR_MIN, "FREE_PAGES", "pages",
					 "vm_zone_stat");
	avail_s = bd_sensor_builtin(BD_ID_AVAIL_PAGES, BD_LEVEL, ram / 50,
				    BD_SENSOR_MIN, "AVAIL_PAGES", "pages",
				    "si_mem_available");
	wired_s = bd_sensor_builtin(BD_ID_WIRED_PAGES, BD_LEVEL, ram / 4 * 3, 0,
				    "WIRED_PAGES", "pages", "vm_node_stat");
	swap_free_s = bd_sensor_builtin(BD_ID_SWAP_FREE, BD_LEVEL, 0, BD_SENSOR_MIN,
					"SWAP_FREE", "pages", "nr_swap_pages");
	swap_in.s = bd_sensor_builtin(BD_ID_SWAPIN_RATE, BD_LEVEL, 0, 0,
				      "SWAPIN_RATE", "pages/s", "vm_event_states");
	swap_out.s = bd_sensor_builtin(BD_ID_SWAPOUT_RATE, BD_LEVEL, 0, 0,
				       "SWAPOUT_RATE", "pages/s", "vm_event_states");
	err = oom_init();
	if (err)
		bd_sensor_mem_exit();	/* /proc/meminfo is open */
	return err;
}

void bd_sensor_mem_exit(void)
{
	bd_hook_detach(&victim_hook);
	if (oom_registered)
		unregister_oom_notifier(&oom_notifier);
	oom_registered = false;
	if (meminfo)
		filp_close(meminfo, NULL);
	meminfo = NULL;
}
