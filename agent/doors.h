/*
 * doors.h - listening sockets of one kind, and the connections that come in by them
 *
 * Each connection is handed to `take`, non-blocking and close-on-exec. When the
 * process has no descriptor left, all doors rest for a moment instead of spinning:
 * who knocks meanwhile waits in the kernel's queue. The thread that runs `loop`.
 */
#pragma once

#include <stddef.h>

struct doors;
struct ev_loop;
struct fault;
struct listen_options;

/* `fd` is the callee's from here on. */
typedef void doors_take_f(int fd, void *data);

/*
 * Opened, by listener.h, but not looked at before doors_start(). `event` names the
 * line that is logged when descriptors run out; it must outlive the doors. NULL with
 * `why` filled.
 */
struct doors *doors_open(struct ev_loop *loop,
    const struct listen_options *listens, size_t n_listens, const char *event,
    doors_take_f *take, void *data, struct fault *why);
void doors_start(struct doors *d);

/* NULL is fine. */
void doors_close(struct doors *d);
