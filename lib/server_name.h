/*
 * server_name.h - what the server of an address and a port is called
 *
 * HAProxy's server names and the agent's endpoint names must be the same words,
 * or a pick names nobody. Whoever gives a name to an endpoint that has none of
 * its own asks here. Pure; any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* "[IPv6 address of 45 bytes]:65535", NUL included, without brackets. */
enum { SERVER_NAME_BYTES = 52 };

/*
 * "10.0.0.1:8000", "fd00::1:8000": the address as RFC 5952 has it, a colon, the
 * port. No two endpoints share a name, for the port is what follows the last
 * colon; all of it may stand in a HAProxy name (letters, digits, "-_.:").
 * Returns 0; -EINVAL, with `out` empty, for what is no numeric address.
 */
int server_name(const char *address, uint16_t port,
    char out[SERVER_NAME_BYTES]);
