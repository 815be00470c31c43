/*
 * server_name.c - a numeric address and a port as one name
 */
#include "server_name.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

int server_name(const char *address, uint16_t port, char out[SERVER_NAME_BYTES])
{
	unsigned char bytes[sizeof(struct in6_addr)];
	char text[INET6_ADDRSTRLEN];
	int family = AF_INET;

	out[0] = '\0';
	if (inet_pton(family, address, bytes) != 1) {
		family = AF_INET6;
		if (inet_pton(family, address, bytes) != 1)
			return -EINVAL;
	}
	if (inet_ntop(family, bytes, text, sizeof(text)) == NULL)
		return -errno;
	snprintf(out, SERVER_NAME_BYTES, "%s:%u", text, port);
	return 0;
}
