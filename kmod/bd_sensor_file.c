// SPDX-License-Identifier: GPL-2.0
/*
 * bd_sensor_file.c - open files, and how often the table was found full.
 *
 * The counter (nr_files) is not exported; /proc/sys/fs/file-nr is, and may be
 * read from a kernel thread. It is opened once: opening needs a free file.
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/kernel.h>
#include "bd.h"
#include "bd_builtin.h"

#define PERIOD_NS	NSEC_PER_SEC

static struct file *file_nr;
static struct bd_sensor *open_files, *full;
static u64 last_ns;

/* "used 0 max" */
static int read_file_nr(u64 *used, u64 *max)
{
	char text[64];
	loff_t pos = 0;
	ssize_t n;

	n = kernel_read(file_nr, text, sizeof(text) - 1, &pos);
	if (n <= 0)
		return n ? n : -EIO;
	text[n] = 0;
	return sscanf(text, "%llu %*u %llu", used, max) == 2 ? 0 : -EINVAL;
}

/**
 * bd_sensor_file_sample() - once a second; the census thread calls it
 * @now_ns: monotonic
 */
void bd_sensor_file_sample(u64 now_ns)
{
	u64 used, max;

	if (!file_nr || now_ns - last_ns < PERIOD_NS)
		return;
	last_ns = now_ns;
	if (read_file_nr(&used, &max))
		return;
	bd_set_sensor_value(open_files, used);
	if (used >= max)
		bd_add_sensor_value(full, 1);
}

int bd_sensor_file_init(void)
{
	u64 used, max;

	last_ns = 0;
	file_nr = filp_open("/proc/sys/fs/file-nr", O_RDONLY, 0);
	if (IS_ERR(file_nr) || read_file_nr(&used, &max)) {
		bd_sensor_file_exit();
		bd_sensor_missing("FILES_OPEN", "/proc/sys/fs/file-nr cannot be read");
		bd_sensor_missing("FILES_FULL", "/proc/sys/fs/file-nr cannot be read");
		return 0;
	}
	open_files = bd_sensor_builtin(BD_ID_FILES_OPEN, BD_LEVEL, max - max / 10, 0,
				       "FILES_OPEN", "files", "fs.file-nr");
	full = bd_sensor_builtin(BD_ID_FILES_FULL, BD_PRESSURE, 1, 0, "FILES_FULL",
				 "events", "fs.file-nr at fs.file-max, sampled");
	if (IS_ERR(open_files) || IS_ERR(full))
		bd_sensor_file_exit();
	return 0;
}

void bd_sensor_file_exit(void)
{
	if (!IS_ERR_OR_NULL(file_nr))
		filp_close(file_nr, NULL);
	file_nr = NULL;
}
