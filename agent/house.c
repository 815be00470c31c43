/*
 * house.c - who is built from what, and what a signal does
 */
#include "house.h"

#include <ev.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "acceptor.h"
#include "counters.h"
#include "epoch.h"
#include "fault.h"
#include "fleet.h"
#include "log.h"
#include "must.h"
#include "options.h"
#include "scrape.h"
#include "watch.h"
#include "worker.h"

struct house {
	struct ev_loop *loop;
	char *file;
	struct epoch *fleet;
	struct acceptor *acceptor;
	struct scraper *scraper;
	struct worker **workers;
	size_t n_workers;
	struct watch *watch;
	ev_signal term, intr, hup, usr1;
};

static void reload(struct house *h, const char *because)
{
	struct fault why = { 0 };
	char text[640];
	struct options *o = options_load(h->file, &why);

	if (o == NULL) {
		log_error("house.reload", "because=%s err=\"%s\" "
		    "kept=\"the last good configuration\"", because,
		    fault_text(&why, text, sizeof(text)));
		return;
	}
	log_info("house.reload", "because=%s file=%s "
	    "kept=\"listen and threads: a restart changes them\"", because,
	    h->file);
	log_set_level(o->log_level);
	scraper_reload(h->scraper, o);
}

static void on_term(EV_P_ ev_signal *signal, int revents)
{
	(void)revents;
	log_info("house.stop", "signal=%d", signal->signum);
	ev_break(EV_A_ EVBREAK_ALL);
}

static void on_hup(EV_P_ ev_signal *signal, int revents)
{
	(void)loop;
	(void)revents;
	reload(signal->data, "SIGHUP");
}

static void on_file(void *data)
{
	reload(data, "file");
}

static const struct {
	const char *name;
	size_t offset;
} counter_rows[] = {
#define COUNTER_ROW(name, help) { #name, offsetof(struct counters, name) },
	COUNTERS(COUNTER_ROW)
#undef COUNTER_ROW
};

static uint64_t counter_sum(const struct house *h, size_t offset)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < h->n_workers; i++) {
		const char *base =
		    (const char *)worker_counters(h->workers[i]);

		sum += atomic_load_explicit(
		    (const _Atomic uint64_t *)(const void *)(base + offset),
		    memory_order_relaxed);
	}
	return sum;
}

static void log_counters(const struct house *h)
{
	char line[768];
	int n = 0;

	for (size_t i = 0; i < sizeof(counter_rows) / sizeof(*counter_rows) &&
	     n < (int)sizeof(line); i++)
		n += snprintf(line + n, sizeof(line) - (size_t)n, "%s%s=%llu",
		    i > 0 ? " " : "", counter_rows[i].name,
		    (unsigned long long)counter_sum(h, counter_rows[i].offset));
	log_info("house.counters", "%s", line);
}

static void on_usr1(EV_P_ ev_signal *signal, int revents)
{
	(void)loop;
	(void)revents;
	log_counters(signal->data);
}

static void catch_signal(struct house *h, ev_signal *watcher, int signum,
    void (*handler)(EV_P_ ev_signal *, int))
{
	ev_signal_init(watcher, handler, signum);
	watcher->data = h;
	ev_signal_start(h->loop, watcher);
}

/* HAProxy 2.6 opens a connection per request under way: we want many. */
static void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		log_warn("house.limit", "files=%llu",
		    (unsigned long long)limit.rlim_cur);
}

static size_t thread_count(const struct options *o)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (o->threads > 0)
		return o->threads;
	return cores > 0 ? (size_t)cores : 1;
}

static void stop_workers(struct house *h)
{
	for (size_t i = 0; i < h->n_workers; i++)
		worker_drain(h->workers[i]);
	log_counters(h);
	for (size_t i = 0; i < h->n_workers; i++)
		worker_stop(h->workers[i]);
	h->n_workers = 0;
}

static int start_workers(struct house *h, size_t n)
{
	h->workers = calloc(n, sizeof(struct worker *));
	if (h->workers == NULL)
		return -1;
	while (h->n_workers < n) {
		struct worker *w = worker_start(h->n_workers, h->fleet);

		if (w == NULL)
			return -1;
		h->workers[h->n_workers++] = w;
	}
	return 0;
}

static int build_fleet(struct house *h, size_t n_readers)
{
	struct fleet *first = fleet_empty();

	if (first == NULL)
		return -1;
	h->fleet = epoch_new(n_readers, first, fleet_retire);
	if (h->fleet == NULL)
		fleet_retire(first);
	return h->fleet != NULL ? 0 : -1;
}

static int open_acceptor(struct house *h, const struct options *o)
{
	struct fault why = { 0 };
	char text[640];

	h->acceptor = acceptor_open(h->loop, o->listens, o->n_listens, &why);
	if (h->acceptor == NULL)
		log_error("house.listen", "err=\"%s\"",
		    fault_text(&why, text, sizeof(text)));
	return h->acceptor != NULL ? 0 : -1;
}

static void take_down(struct house *h)
{
	acceptor_close(h->acceptor);
	watch_stop(h->watch);
	stop_workers(h);
	free(h->workers);
	scraper_stop(h->scraper);
	if (h->fleet != NULL) {
		epoch_reclaim(h->fleet);
		epoch_free(h->fleet);
	}
	free(h->file);
	ev_loop_destroy(h->loop);
}

/*
 * The acceptor binds first, so that a taken address ends us before anything else has
 * begun, and accepts last, when there is somebody to answer.
 */
static int build(struct house *h, struct options *o)
{
	size_t n_threads = thread_count(o);
	size_t n_pools = o->n_pools;

	if (h->file == NULL || open_acceptor(h, o) != 0 ||
	    build_fleet(h, n_threads) != 0) {
		options_free(o);
		return -1;
	}
	h->scraper = scraper_start(h->fleet, o);
	if (h->scraper == NULL) {
		options_free(o);
		return -1;
	}
	if (start_workers(h, n_threads) != 0)
		return -1;
	h->watch = watch_start(h->loop, h->file, on_file, h);
	acceptor_start(h->acceptor, h->workers, h->n_workers);
	log_info("house.ready", "version=%s file=%s pools=%zu threads=%zu",
	    EPP_VERSION, h->file, n_pools, n_threads);
	return 0;
}

int house_run(struct options *options)
{
	struct house h = { .loop = ev_default_loop(EVFLAG_AUTO) };
	int status = EXIT_FAILURE;

	must(h.loop != NULL);
	h.file = strdup(options->file);
	signal(SIGPIPE, SIG_IGN);
	raise_file_limit();
	catch_signal(&h, &h.term, SIGTERM, on_term);
	catch_signal(&h, &h.intr, SIGINT, on_term);
	catch_signal(&h, &h.hup, SIGHUP, on_hup);
	catch_signal(&h, &h.usr1, SIGUSR1, on_usr1);
	if (build(&h, options) == 0) {
		ev_run(h.loop, 0);
		status = EXIT_SUCCESS;
	}
	take_down(&h);
	return status;
}
