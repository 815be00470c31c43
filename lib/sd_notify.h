/*
 * sd_notify.h - tell the service manager how we are: sd_notify(3), without libsystemd
 *
 * One datagram a message to the socket that NOTIFY_SOCKET names: a path, or @name for
 * an abstract one. Waits a second at most. Any thread.
 */
#pragma once

/*
 * `address` is the value of NOTIFY_SOCKET. NULL: nobody wants to know, and nothing is
 * done. 0, or -errno: -EAFNOSUPPORT for an address of another kind, -E2BIG for a text
 * over 511 bytes.
 */
int sd_notify_send(const char *address, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
