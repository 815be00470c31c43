/*
 * cmd_watch.c - follow the manifests for as long as we run
 *
 * What HAProxy refuses is in the statuses beside the configuration, and the last good
 * one stays.
 */
#include "command.h"

#include <ev.h>
#include <malloc.h>
#include <stdlib.h>

#include "passes.h"
#include "log.h"
#include "sd_notify.h"
#include "setup.h"
#include "watch.h"

struct watcher {
	struct setup setup;
	struct ev_loop *loop;
	struct passes *passes;
	struct watch *watches[PATHS_MAX];
	size_t n_watches;
	ev_signal stop[2], again;
};

/*
 * Each pass takes and frees megabytes, in blocks. Left to itself malloc learns to keep
 * such blocks in its heap, where what lives on between them holds all of it; and gives
 * each thread a heap of its own, which the next thread may not find.
 */
static void set_malloc(void)
{
	enum { BLOCK_BYTES = 128 << 10 };

	mallopt(M_MMAP_THRESHOLD, BLOCK_BYTES);
	mallopt(M_TRIM_THRESHOLD, BLOCK_BYTES);
	mallopt(M_ARENA_MAX, 1);
}

static void on_change(void *data)
{
	struct watcher *w = data;

	passes_change(w->passes);
}

static void on_stop(EV_P_ ev_signal *signal, int revents)
{
	(void)signal;
	(void)revents;
	ev_break(EV_A_ EVBREAK_ALL);
}

static void on_again(EV_P_ ev_signal *signal, int revents)
{
	(void)loop;
	(void)revents;
	on_change(signal->data);
}

static void start_signals(struct watcher *w)
{
	static const int stops[] = { SIGTERM, SIGINT };

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < 2; i++) {
		ev_signal_init(&w->stop[i], on_stop, stops[i]);
		ev_signal_start(w->loop, &w->stop[i]);
	}
	ev_signal_init(&w->again, on_again, SIGHUP);
	w->again.data = w;
	ev_signal_start(w->loop, &w->again);
}

static bool start_watches(struct watcher *w)
{
	const struct flags *f = w->setup.flags;

	for (size_t i = 0; i < f->n_paths; i++) {
		w->watches[i] = watch_start(w->loop, f->paths[i], on_change, w);
		if (w->watches[i] == NULL)
			return false;
		w->n_watches++;
	}
	return true;
}

/* No default loop: its look for children would take haproxy -c from who waits for it. */
static bool start(struct watcher *w)
{
	w->loop = ev_loop_new(EVFLAG_AUTO);
	w->passes = w->loop != NULL ? passes_new(w->loop, &w->setup) : NULL;
	if (w->passes == NULL)
		return false;
	start_signals(w);
	return start_watches(w);
}

static void stop(struct watcher *w)
{
	for (size_t i = 0; i < w->n_watches; i++)
		watch_stop(w->watches[i]);
	if (w->passes != NULL)
		passes_free(w->passes);
	if (w->loop != NULL)
		ev_loop_destroy(w->loop);
}

int cmd_watch(const struct flags *flags)
{
	struct watcher w = { .n_watches = 0 };
	int code = COMMAND_FAILED;

	set_malloc();
	if (!setup_open(&w.setup, flags, true))
		return COMMAND_FAILED;
	if (flags->verbose)
		log_set_level(LOG_LEVEL_DEBUG);
	if (start(&w)) {
		code = COMMAND_OK;
		passes_begin(w.passes);
		/* What changed between loading and watching is not missed. */
		passes_change(w.passes);
		sd_notify_send(getenv("NOTIFY_SOCKET"), "READY=1");
		ev_run(w.loop, 0);
		passes_end(w.passes);
	}
	stop(&w);
	setup_close(&w.setup);
	return code;
}
