// SPDX-License-Identifier: GPL-2.0
/*
 * bd_sensor.c - the kernel's Sensor Box, section 3.4: a few contiguous pages
 * of <ID, C, L, V> that a monitor copies without this machine's CPUs.
 *
 * Each record is one cache line, so that a sensor updated by one CPU never
 * bounces another CPU's.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/bitmap.h>
#include <linux/build_bug.h>
#include <linux/ctype.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/mutex.h>
#include <linux/string.h>
#include "bd.h"
#include "bd_builtin.h"

static_assert(sizeof(struct bd_sensor) == 64);
static_assert(sizeof(struct bd_sbox) == 64);

static struct bd_sbox *box;
static struct bd_region *region;
static DEFINE_MUTEX(box_lock);
/* The contracts as their owner wants them; one that rests shows L 0. */
static u64 limits[BD_SBOX_CAPACITY];
static DECLARE_BITMAP(resting, BD_SBOX_CAPACITY);

/** bd_sbox() - the header of the kernel's box; exported for bd_inject.ko */
struct bd_sbox *bd_sbox(void)
{
	return box;
}
EXPORT_SYMBOL_GPL(bd_sbox);

static struct bd_sensor *record(u32 i)
{
	return (struct bd_sensor *)(box + 1) + i;
}

/**
 * bd_word_ok() - whether a name or unit may stand in a box
 * @s: text of at most @size bytes
 * @size: with the NUL
 * @unit: a unit may be empty, or pages/s; in a name '/' parts user from sensor
 */
bool bd_word_ok(const char *s, size_t size, bool unit)
{
	size_t n = strnlen(s, size);

	if (n == size || (!n && !unit))
		return false;
	for (; *s; s++)
		if (!isascii(*s) || !isgraph(*s) || (*s == '/' && !unit))
			return false;
	return true;
}

static struct bd_sensor *place(u32 id)
{
	struct bd_sensor *s, *free = NULL;
	u32 i;

	for (i = 0; i < BD_SBOX_CAPACITY; i++) {
		s = record(i);
		if (s->id == id)
			return ERR_PTR(-EEXIST);
		if (!s->id && !free)
			free = s;
	}
	return free ?: ERR_PTR(-ENOSPC);
}

static void box_changed(void)
{
	u32 i, count = 0;

	for (i = 0; i < BD_SBOX_CAPACITY; i++)
		if (record(i)->id)
			count = i + 1;
	WRITE_ONCE(box->count, count);
	smp_wmb();	/* the records before the generation that announces them */
	WRITE_ONCE(box->generation, box->generation + 1);
}

/* Return: whether L changed, which a monitor believes with a new generation only. */
static bool show_limit(u32 i)
{
	u64 limit = test_bit(i, resting) ? 0 : limits[i];

	if (record(i)->limit == limit)
		return false;
	WRITE_ONCE(record(i)->limit, limit);
	return true;
}

static struct bd_sensor *create(u32 id, enum bd_class class, u64 limit,
				u16 flags, const char *name, const char *unit)
{
	struct bd_sensor *s;

	mutex_lock(&box_lock);
	s = place(id);
	if (IS_ERR(s))
		goto out;
	memset(s, 0, sizeof(*s));
	s->class = class;
	s->flags = flags;
	s->limit = limit;
	limits[s - record(0)] = limit;
	__clear_bit(s - record(0), resting);
	strscpy(s->name, name, sizeof(s->name));
	strscpy(s->unit, unit, sizeof(s->unit));
	smp_store_release(&s->id, id);	/* the id makes it a record */
	box_changed();
out:
	mutex_unlock(&box_lock);
	return s;
}

/**
 * bd_new_sensor() - a sensor in the kernel's box
 * @id: unique, at least BD_SENSOR_ID_MODULES
 * @class: progress, level or pressure (Table 3.1)
 * @limit: L: microseconds for progress; 0: no threshold
 * @flags: BD_SENSOR_MIN, BD_SENSOR_CLOCK
 * @name: printable, without blanks or '/', under BD_SENSOR_NAME bytes
 * @unit: likewise, under BD_SENSOR_UNIT bytes; may be empty
 *
 * Sleeps. Return: the sensor, or ERR_PTR: -EINVAL, -EEXIST, -ENOSPC.
 */
struct bd_sensor *bd_new_sensor(u32 id, enum bd_class class, u64 limit,
				u16 flags, const char *name, const char *unit)
{
	if (id < BD_SENSOR_ID_MODULES || class < BD_PROGRESS || class > BD_PRESSURE)
		return ERR_PTR(-EINVAL);
	if (flags & ~(BD_SENSOR_MIN | BD_SENSOR_CLOCK))
		return ERR_PTR(-EINVAL);
	if (!bd_word_ok(name, BD_SENSOR_NAME, false) || !bd_word_ok(unit, BD_SENSOR_UNIT, true))
		return ERR_PTR(-EINVAL);
	return create(id, class, limit, flags, name, unit);
}
EXPORT_SYMBOL_GPL(bd_new_sensor);

/**
 * bd_add_sensor_value() - count events that several CPUs may report at once
 * @sensor: from bd_new_sensor()
 * @n: added to V
 *
 * Any context. It costs a locked instruction: prefer one sensor a CPU and
 * bd_set_sensor_value() where events are frequent.
 */
void bd_add_sensor_value(struct bd_sensor *sensor, u64 n)
{
	atomic64_add(n, (atomic64_t *)&sensor->value);
}
EXPORT_SYMBOL_GPL(bd_add_sensor_value);

/**
 * bd_release_sensor() - take a sensor out of the box
 * @sensor: from bd_new_sensor(), NULL or an error pointer
 *
 * Sleeps. Nobody may still update @sensor.
 */
void bd_release_sensor(struct bd_sensor *sensor)
{
	if (IS_ERR_OR_NULL(sensor))
		return;
	mutex_lock(&box_lock);
	WRITE_ONCE(sensor->id, 0);
	smp_wmb();	/* free before it is empty */
	memset(sensor, 0, sizeof(*sensor));
	box_changed();
	mutex_unlock(&box_lock);
}
EXPORT_SYMBOL_GPL(bd_release_sensor);

/**
 * bd_sensor_builtin() - a sensor of this module, with its route in the manifest
 * @id: enum bd_builtin_id
 * @class: Table 3.1
 * @limit: L unless the parameter limits says otherwise
 * @flags: BD_SENSOR_*
 * @name: field's name
 * @unit: of V
 * @route: where V comes from on this kernel (DECISION 11)
 */
struct bd_sensor *bd_sensor_builtin(u32 id, enum bd_class class, u64 limit,
				    u16 flags, const char *name,
				    const char *unit, const char *route)
{
	struct bd_sensor *s;
	char entry[BD_ENTRY_NAME];

	s = create(id, class, limit, flags, name, unit);
	if (IS_ERR(s)) {
		bd_sensor_missing(name, "no room in the box");
		return s;
	}
	if (route) {
		snprintf(entry, sizeof(entry), "sensor.%s", name);
		bd_manifest_string(entry, route);
	}
	return s;
}

/**
 * bd_sensor_limit() - another contract for a sensor
 * @name: of one sensor, or of all of a kind: TICKS is TICKS.0, TICKS.1, ...
 * @len: bytes of @name
 * @limit: the new L, or NULL to only count
 *
 * Return: how many sensors have that name.
 */
int bd_sensor_limit(const char *name, size_t len, const u64 *limit)
{
	bool changed = false;
	struct bd_sensor *s;
	int i, found = 0;

	mutex_lock(&box_lock);
	for (i = 0; i < BD_SBOX_CAPACITY; i++) {
		s = record(i);
		if (!s->id || strncmp(s->name, name, len))
			continue;
		if (s->name[len] && s->name[len] != '.')
			continue;
		found++;
		if (!limit)
			continue;
		limits[i] = *limit;
		changed |= show_limit(i);
	}
	if (changed)
		box_changed();
	mutex_unlock(&box_lock);
	return found;
}

/**
 * bd_sensor_rest() - a contract that does not bind for a while
 * @s: from bd_sensor_builtin()
 * @rest: L is 0 until it is called again with false
 *
 * Sleeps. What an operator sets meanwhile is what stands afterwards.
 */
void bd_sensor_rest(struct bd_sensor *s, bool rest)
{
	u32 i = s - record(0);

	mutex_lock(&box_lock);
	__assign_bit(i, resting, rest);
	if (show_limit(i))
		box_changed();
	mutex_unlock(&box_lock);
}

/**
 * bd_sensor_contract() - L of a sensor, also while it rests
 * @s: from bd_sensor_builtin()
 */
u64 bd_sensor_contract(const struct bd_sensor *s)
{
	return READ_ONCE(limits[s - record(0)]);
}

/**
 * bd_sensor_missing() - say what this kernel does not offer; nothing is faked
 * @name: of the sensor
 * @why: for the manifest and the log
 */
void bd_sensor_missing(const char *name, const char *why)
{
	char entry[BD_ENTRY_NAME], text[96];

	snprintf(entry, sizeof(entry), "sensor.%s", name);
	snprintf(text, sizeof(text), "missing: %s", why);
	bd_manifest_string(entry, text);
	pr_warn("sensor %s is missing: %s\n", name, why);
}

static int box_init(void)
{
	int err;

	box = bd_pages_alloc(BD_SBOX_PAGES * PAGE_SIZE);
	if (!box)
		return -ENOMEM;
	box->major = BD_VERSION_MAJOR;
	box->minor = BD_VERSION_MINOR;
	box->capacity = BD_SBOX_CAPACITY;
	box->record_size = sizeof(struct bd_sensor);
	box->hz = HZ;
	box->ncpus = num_online_cpus();
	memcpy(box->boot_id, bd_boot_id, sizeof(box->boot_id));
	smp_store_release(&box->magic, BD_SBOX_MAGIC);	/* magic last */
	err = bd_region_add("sensorbox", BD_KIND_SENSORBOX, BD_PERM_READ, box,
			    BD_SBOX_PAGES * PAGE_SIZE, &region);
	if (err)
		bd_pages_free(box, BD_SBOX_PAGES * PAGE_SIZE);
	return err;
}

static void box_exit(void)
{
	bd_region_del(region);
	bd_pages_free(box, BD_SBOX_PAGES * PAGE_SIZE);
	box = NULL;
}

static const struct {
	int (*init)(void);
	void (*exit)(void);
} sensors[] = {
	{ box_init, box_exit },
	{ bd_sensor_cpu_init, bd_sensor_cpu_exit },
	{ bd_sensor_mem_init, bd_sensor_mem_exit },
	{ bd_sensor_file_init, bd_sensor_file_exit },
	{ bd_heart_init, bd_heart_exit },
	{ bd_uids_init, bd_uids_exit },
	{ bd_census_init, bd_census_exit },
	{ bd_limits_init, bd_limits_exit },
};

static void exit_first(int n)
{
	while (n-- > 0)
		sensors[n].exit();
}

int bd_sensor_init(void)
{
	int i, err;

	for (i = 0; i < ARRAY_SIZE(sensors); i++) {
		err = sensors[i].init();
		if (err) {
			exit_first(i);
			return err;
		}
	}
	return 0;
}

void bd_sensor_exit(void)
{
	exit_first(ARRAY_SIZE(sensors));
}
