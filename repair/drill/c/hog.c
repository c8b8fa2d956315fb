// SPDX-License-Identifier: Apache-2.0
/* hog.c - memory hogs under a controller that respawns them, section 3.9.5 */
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>
#include "rogue.h"

static long left_mib(void)
{
	struct sysinfo s;

	return sysinfo(&s) ? 0 : (long)((s.freeram + s.freeswap) * s.mem_unit >> 20);
}

/*
 * Takes its memory at once, then walks over all of it: it never rests in swap.
 * With last_mib it only creeps, 10 MiB a second, once RAM and swap have less
 * left: who may not be killed and takes all at once leaves the kernel nobody to
 * kill, and a panic, which is no case for repair.
 */
int hog_one(long mib, long last_mib)
{
	unsigned char *mem = take(mib);
	unsigned long salt = (unsigned long)getpid();

	if (!mem)
		return 1;
	for (long mine = 0; mine < mib; mine++) {
		touch(mem + ((unsigned long)mine << 20), 1ul << 20, salt);
		if (last_mib && left_mib() < last_mib)
			nap_ms(100);
	}
	for (;; salt++)
		touch(mem, (unsigned long)mib << 20, salt);
}

int hog_pool(long n, long mib)
{
	long alive = 0;

	for (;;) {
		while (alive < n) {
			pid_t pid = fork();

			if (pid == 0)
				_exit(hog_one(mib, 0));
			if (pid < 0)
				break;
			alive++;
		}
		if (waitpid(-1, NULL, alive < n ? WNOHANG : 0) > 0)
			alive--;
		else
			nap_ms(10);
	}
}
