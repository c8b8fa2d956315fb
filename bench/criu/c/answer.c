/* SPDX-License-Identifier: Apache-2.0 */
/* A server of one client, which it answers byte by byte. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY) };
	int l = socket(AF_INET, SOCK_STREAM, 0), one = 1, c;
	char b;

	if (argc != 2 || l < 0)
		return 2;
	at.sin_port = htons((unsigned short)atoi(argv[1]));
	if (setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(l, (struct sockaddr *)&at, sizeof(at)) || listen(l, 1))
		return 1;
	c = accept(l, NULL, NULL);
	if (c < 0)
		return 1;
	close(l);
	while (read(c, &b, 1) == 1)
		if (write(c, &b, 1) != 1)
			return 1;
	return 0;
}
