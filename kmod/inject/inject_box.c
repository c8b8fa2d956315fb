// SPDX-License-Identifier: GPL-2.0
/* inject_box.c - what a broken or hostile target writes into its Sensor Box */
#include <linux/err.h>
#include <linux/module.h>
#include <linux/stddef.h>
#include <linux/string.h>
#include "bd_sensor.h"
#include "inject.h"

struct field {
	const char *name;
	u8 offset;
	u8 size;
};

#define FIELD(type, member) { \
	#member, offsetof(struct type, member), sizeof_field(struct type, member) }

static const struct field of_header[] = {
	FIELD(bd_sbox, magic), FIELD(bd_sbox, major), FIELD(bd_sbox, capacity),
	FIELD(bd_sbox, count), FIELD(bd_sbox, record_size), FIELD(bd_sbox, generation),
	FIELD(bd_sbox, boot_id), FIELD(bd_sbox, mono_ns), FIELD(bd_sbox, ncpus),
};

static const struct field of_sensor[] = {
	FIELD(bd_sensor, id), FIELD(bd_sensor, class), FIELD(bd_sensor, flags),
	FIELD(bd_sensor, limit), FIELD(bd_sensor, value), FIELD(bd_sensor, name),
	FIELD(bd_sensor, unit),
};

static struct bd_sensor *sensor(struct bd_sbox *box, u32 id)
{
	struct bd_sensor *s = (struct bd_sensor *)(box + 1);
	int i;

	for (i = 0; i < BD_SBOX_CAPACITY; i++, s++)
		if (s->id == id)
			return s;
	return NULL;
}

static int put(void *base, const struct field *fields, int n, const char *name,
	       u64 value)
{
	int i;

	for (i = 0; base && i < n; i++)
		if (!strcmp(fields[i].name, name)) {
			memcpy(base + fields[i].offset, &value,
			       min_t(size_t, fields[i].size, sizeof(value)));
			return 0;
		}
	return -ENOENT;
}

/**
 * inject_corrupt() - overwrite one field, without a word to the box's owner
 * @id: of the sensor; 0: the header
 * @field: its name in uapi/backdoor.h
 * @value: its first eight bytes, or as many as the field has
 */
int inject_corrupt(u32 id, const char *field, u64 value)
{
	struct bd_sbox *(*box)(void) = symbol_get(bd_sbox);
	int err;

	if (!box)
		return -ENODEV;
	if (id)
		err = put(sensor(box(), id), of_sensor, ARRAY_SIZE(of_sensor), field, value);
	else
		err = put(box(), of_header, ARRAY_SIZE(of_header), field, value);
	symbol_put(bd_sbox);
	return err;
}
