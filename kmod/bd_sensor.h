/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bd_sensor.h - the Sensor Box for other modules: new_sensor() and
 * set_sensor_value() of section 3.4.1. kmod/example shows a whole user.
 */
#ifndef BD_SENSOR_H
#define BD_SENSOR_H

#include <linux/compiler.h>
#include "uapi/backdoor.h"

/* Identifiers below are the built-in sensors'; a module chooses above. */
#define BD_SENSOR_ID_MODULES	0x10000u

struct bd_sbox *bd_sbox(void);
struct bd_sensor *bd_new_sensor(u32 id, enum bd_class class, u64 limit,
				u16 flags, const char *name, const char *unit);
void bd_add_sensor_value(struct bd_sensor *sensor, u64 n);
void bd_release_sensor(struct bd_sensor *sensor);

/**
 * bd_set_sensor_value() - one aligned store, which is all an update costs
 * @sensor: from bd_new_sensor()
 * @value: V
 *
 * Any context, NMI included. One writer for a sensor, or bd_add_sensor_value().
 */
static inline void bd_set_sensor_value(struct bd_sensor *sensor, u64 value)
{
	WRITE_ONCE(sensor->value, value);
}

#endif
