/*
 * watch.h - tell when a file or a folder may have changed, however it was changed
 *
 * Renamed over, edited in place (seen when the writer closes it), reached
 * through symlinks of which one was swapped (a ConfigMap's ..data), deleted, or
 * only now created, its directories too. Of a folder: when any name in it does so; not
 * what a link in it leads to. inotify on the directory of every link in the chain
 * answers within some 10 ms, within 1 ms of a rename; a look once a second is there for
 * file systems that do not notify and for machines that are out of inotify
 * instances. Contents are never compared: a call may come for nothing. One
 * loop's thread.
 */
#pragma once

struct ev_loop;
struct watch;

typedef void watch_changed_f(void *data);

/*
 * Copies `path`. What is read after this returned is never older than the next
 * call. NULL without memory.
 */
struct watch *watch_start(struct ev_loop *loop, const char *path,
    watch_changed_f *on_change, void *data);

/* Not from within on_change. */
void watch_stop(struct watch *w);
