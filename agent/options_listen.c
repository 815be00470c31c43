/*
 * options_listen.c - addresses we accept on or connect to, as text
 *
 * Numeric ones only: a name would have to be resolved before the first request.
 */
#include "options_rows.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "arena.h"

enum { UNIX_PATH_MAX_BYTES = sizeof(((struct sockaddr_un *)0)->sun_path) - 1 };

static bool is_socket_path(const char *path)
{
	return path[0] == '/' && path[1] != '\0' &&
	    strlen(path) <= UNIX_PATH_MAX_BYTES;
}

static bool parse_port(const char *text, uint16_t *port)
{
	size_t n = strspn(text, "0123456789");
	unsigned long value = strtoul(text, NULL, 10);

	if (n == 0 || n > 5 || text[n] != '\0' || value == 0 || value > 65535)
		return false;
	*port = (uint16_t)value;
	return true;
}

/* Cuts `text` into a numeric host without brackets, and a port. */
static bool split_address(char *text, char **host, uint16_t *port)
{
	char *colon = strrchr(text, ':');
	unsigned char bytes[sizeof(struct in6_addr)];

	if (colon == NULL || !parse_port(colon + 1, port))
		return false;
	*colon = '\0';
	*host = text;
	if (text[0] != '[')
		return inet_pton(AF_INET, text, bytes) == 1;
	if (colon[-1] != ']')
		return false;
	colon[-1] = '\0';
	*host = text + 1;
	return inet_pton(AF_INET6, *host, bytes) == 1;
}

/* Cuts ",mode=0660" off a path. */
static bool split_mode(char *path, unsigned *mode)
{
	char *comma = strchr(path, ',');
	const char *digits;
	size_t n;

	if (comma == NULL)
		return true;
	if (strncmp(comma, ",mode=", 6) != 0)
		return false;
	digits = comma + 6;
	n = strspn(digits, "01234567");
	if (n < 3 || n > 4 || digits[n] != '\0')
		return false;
	*mode = (unsigned)strtoul(digits, NULL, 8);
	*comma = '\0';
	return *mode <= 0777;
}

static int decode_listen(const struct conf_input *in,
    const struct conf_row *row, const struct conf *value, void *out)
{
	struct listen_options *listen = out;
	char *text, *host;
	int err = conf_string(in, row, value, &listen->text);

	if (err != 0)
		return err;
	text = arena_copy(in->arena, listen->text, strlen(listen->text));
	if (text == NULL)
		return conf_no_memory(in);
	listen->mode = 0660;
	if (strncmp(text, "unix:", 5) == 0) {
		listen->path = text + 5;
		if (split_mode(text + 5, &listen->mode) &&
		    is_socket_path(listen->path))
			return 0;
	} else if (split_address(text, &host, &listen->port)) {
		listen->host = host;
		return 0;
	}
	return conf_refuse(in, row, value,
	    "127.0.0.1:9002, \"[::1]:9002\" or unix:/path,mode=0660");
}

int decode_stats_socket(const struct conf_input *in,
    const struct conf_row *row, const struct conf *value, void *out)
{
	const char **socket = out;
	char *text, *host;
	uint16_t port;
	int err = conf_string(in, row, value, socket);

	if (err != 0 || is_socket_path(*socket))
		return err;
	text = arena_copy(in->arena, *socket, strlen(*socket));
	if (text == NULL)
		return conf_no_memory(in);
	if (split_address(text, &host, &port))
		return 0;
	return conf_refuse(in, row, value,
	    "an absolute path of at most %d bytes, or 127.0.0.1:9999",
	    UNIX_PATH_MAX_BYTES);
}

static const struct conf_row listen_row = {
	.key = "listen", .decode = decode_listen,
};

const struct conf_table listen_table = {
	.what = "listen", .size = sizeof(struct listen_options),
	.item = &listen_row,
};
