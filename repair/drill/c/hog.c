// SPDX-License-Identifier: Apache-2.0
/* hog.c - memory hogs under a controller that respawns them, section 3.9.5 */
#include <sys/wait.h>
#include <unistd.h>
#include "rogue.h"

/* Takes its memory at once, then walks over all of it: it never rests in swap. */
int hog_one(long mib, long unused)
{
	unsigned char *mem = take(mib);

	(void)unused;
	if (!mem)
		return 1;
	for (unsigned long salt = (unsigned long)getpid();; salt++)
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
