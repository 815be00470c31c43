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
#include "books.h"
#include "clock.h"
#include "counters.h"
#include "epoch.h"
#include "fault.h"
#include "fleet.h"
#include "flow_control.h"
#include "follow.h"
#include "handover.h"
#include "listener.h"
#include "log.h"
#include "must.h"
#include "options.h"
#include "report.h"
#include "scrape.h"
#include "sd_notify.h"
#include "upgrade.h"
#include "warm.h"
#include "watch.h"
#include "worker.h"

enum {
	/* A new process accepts when its pools are known, or after so long. */
	POOLS_WAIT_MS = 3000,
	POOLS_LOOK_MS = 10,
};

struct house {
	struct ev_loop *loop;
	char *file;
	struct epoch *fleet;		/* a slot a worker, main's, flow control's */
	struct books *books;		/* NULL: no feedback is configured */
	struct flow_control *flow;
	struct follow *follow;
	struct acceptor *acceptor;
	struct scraper *scraper;
	struct worker **workers;
	size_t n_workers, n_threads, n_pools;
	struct watch *watch;
	struct upgrade *upgrade;
	pid_t old;			/* whom we shall replace; 0: nobody */
	struct handover *from;		/* its connections come from there; or NULL */
	size_t next_worker;		/* round they go, from this one */
	bool is_ready;
	int64_t wait_until_ms;
	ev_timer pools_look;
	ev_signal term, intr, hup, usr1, usr2;
};

/* Readers of the fleet behind the workers. */
static size_t slot_of_main(const struct house *h)
{
	return h->n_threads;
}

static size_t slot_of_flow(const struct house *h)
{
	return h->n_threads + 1;
}

/* ---- signals ---- */

/* Never worth more than a word: we serve, whoever hears of it. */
static void tell_manager(const char *key, long long value)
{
	int err = sd_notify_send(getenv("NOTIFY_SOCKET"), "%s=%lld", key, value);

	if (err != 0)
		log_warn("house.notify", "err=\"%s\"", strerror(-err));
}

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
	struct house *h = signal->data;
	pid_t child = upgrade_child(h->upgrade);

	(void)revents;
	log_info("house.stop", "signal=%d replaced_by=%d", signal->signum,
	    (int)child);
	if (child == 0 && h->is_ready)	/* else the service goes on */
		tell_manager("STOPPING", 1);
	ev_break(EV_A_ EVBREAK_ALL);
}

static void on_hup(EV_P_ ev_signal *signal, int revents)
{
	(void)loop;
	(void)revents;
	tell_manager("RELOADING=1\nMONOTONIC_USEC", clock_us());
	reload(signal->data, "SIGHUP");
	tell_manager("READY", 1);
}

static void on_file(void *data)
{
	reload(data, "file");
}

enum { OTHER_THREADS = 3 };	/* that count, beside the workers' */

static void log_counters(const struct house *h)
{
	const struct counters *threads[THREADS_MAX + OTHER_THREADS];
	size_t n = 0;

	threads[n++] = scraper_counters(h->scraper);
	threads[n++] = flow_control_counters(h->flow);
	if (h->follow != NULL)
		threads[n++] = follow_counters(h->follow);
	for (size_t i = 0; i < h->n_workers; i++)
		threads[n++] = worker_counters(h->workers[i]);
	report_counters(threads, n);
}

static void on_usr1(EV_P_ ev_signal *signal, int revents)
{
	struct house *h = signal->data;

	(void)loop;
	(void)revents;
	log_counters(h);
	epoch_online(h->fleet, slot_of_main(h));
	report_endpoints(epoch_get(h->fleet));
	epoch_offline(h->fleet, slot_of_main(h));
}

/* What our successor, or we ourselves one day, begin with. */
static void save_prefixes(struct house *h)
{
	const struct fleet *fleet;

	epoch_online(h->fleet, slot_of_main(h));
	fleet = epoch_get(h->fleet);
	for (size_t i = 0; i < fleet->n_pools; i++)
		warm_save(fleet->pools[i], clock_unix_ms());
	epoch_offline(h->fleet, slot_of_main(h));
}

/* The new one reads while we still serve: what comes in between, it does not know. */
static void on_usr2(EV_P_ ev_signal *signal, int revents)
{
	struct house *h = signal->data;

	(void)loop;
	(void)revents;
	if (!h->is_ready) {
		log_error("upgrade.refused", "err=\"not ready ourselves yet\"");
		return;
	}
	if (upgrade_child(h->upgrade) == 0)
		save_prefixes(h);
	upgrade_start(h->upgrade);
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

/*
 * Those who wait are answered first, since their workers wait for them; the flow
 * thread answers by a worker's mail, and the scraper pokes the flow thread.
 */
static void stop_threads(struct house *h)
{
	struct handover *to = upgrade_handover(h->upgrade);

	if (h->flow != NULL)
		flow_control_drain(h->flow);
	for (size_t i = 0; i < h->n_workers; i++)
		worker_hand_over(h->workers[i], to);
	if (h->scraper != NULL)
		log_counters(h);
	for (size_t i = 0; i < h->n_workers; i++)
		worker_join(h->workers[i]);
	scraper_stop(h->scraper);
	flow_control_stop(h->flow);
	for (size_t i = 0; i < h->n_workers; i++)
		worker_free(h->workers[i]);
	free(h->workers);
}

static int start_workers(struct house *h, size_t n)
{
	h->workers = calloc(n, sizeof(struct worker *));
	if (h->workers == NULL)
		return -1;
	while (h->n_workers < n) {
		struct worker *w = worker_start(h->n_workers, h->fleet,
		    h->books, h->flow);

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

/* ---- the first connection ---- */

static bool pools_are_known(struct house *h)
{
	const struct fleet *fleet;
	bool are_known = true;

	epoch_online(h->fleet, slot_of_main(h));
	fleet = epoch_get(h->fleet);
	for (size_t i = 0; i < fleet->n_pools; i++)
		are_known &= fleet->pools[i]->is_known;
	epoch_offline(h->fleet, slot_of_main(h));
	return are_known;
}

/* As the acceptor does with those that are new. */
static void on_handed(void *data, struct handed *c)
{
	struct house *h = data;

	for (size_t i = 0; i < h->n_workers; i++) {
		h->next_worker = (h->next_worker + 1) % h->n_workers;
		if (worker_adopt_handed(h->workers[h->next_worker], c) == 0)
			return;
	}
	handed_free(c);		/* every mailbox is full */
}

static void open_doors(struct house *h)
{
	h->is_ready = true;
	acceptor_start(h->acceptor, h->workers, h->n_workers);
	if (h->from != NULL)
		handover_take(h->from, h->loop, on_handed, h);
	follow_start(h->follow);
	log_info("house.ready", "version=%s file=%s pools=%zu threads=%zu "
	    "replaces=%d", EPP_VERSION, h->file, h->n_pools, h->n_threads,
	    (int)h->old);
	if (h->old != 0)	/* said before the old one goes: it was main */
		tell_manager("MAINPID", getpid());
	tell_manager("READY", 1);
	upgrade_finish(h->old);
	listener_close_unused();
}

/* Until we know whom to pick, the old process answers better than we would. */
static void on_pools_look(EV_P_ ev_timer *timer, int revents)
{
	struct house *h = timer->data;
	bool are_known = pools_are_known(h);

	(void)revents;
	if (!are_known && clock_ms() < h->wait_until_ms)
		return;
	if (!are_known)
		log_warn("house.pools", "waited_ms=%d err=\"a source has not "
		    "answered\"", POOLS_WAIT_MS);
	ev_timer_stop(EV_A_ timer);
	open_doors(h);
}

static void await_pools(struct house *h)
{
	h->wait_until_ms = clock_ms() + POOLS_WAIT_MS;
	h->pools_look.data = h;
	ev_timer_init(&h->pools_look, on_pools_look, 0., POOLS_LOOK_MS / 1000.);
	ev_timer_start(h->loop, &h->pools_look);
}

/* ---- built, and taken down ---- */

static int build_books(struct house *h, const struct options *o)
{
	struct fault why = { 0 };
	char text[640];

	if (o->feedback.n_listens > 0) {
		h->books = books_new(&o->feedback, (uint64_t)clock_ns());
		if (h->books == NULL)
			return -1;
	}
	h->flow = flow_control_start(h->fleet, slot_of_flow(h), h->books);
	if (h->flow == NULL || h->books == NULL)
		return h->flow != NULL ? 0 : -1;
	h->follow = follow_open(h->loop, &o->feedback, h->fleet,
	    slot_of_main(h), h->books, h->flow, &why);
	if (h->follow == NULL)
		log_error("house.feedback", "err=\"%s\"",
		    fault_text(&why, text, sizeof(text)));
	return h->follow != NULL ? 0 : -1;
}

static void take_down(struct house *h)
{
	bool is_replaced = upgrade_child(h->upgrade) != 0;

	ev_timer_stop(h->loop, &h->pools_look);
	acceptor_close(h->acceptor);
	handover_close(h->from);
	watch_stop(h->watch);
	stop_threads(h);
	if (h->is_ready && !is_replaced)
		save_prefixes(h);
	follow_close(h->follow);
	if (h->fleet != NULL) {
		epoch_reclaim(h->fleet);
		epoch_free(h->fleet);
	}
	books_free(h->books);
	upgrade_free(h->upgrade);
	free(h->file);
	ev_loop_destroy(h->loop);
}

/*
 * The acceptor binds first, so that a taken address ends us before anything else has
 * begun, and accepts last, when there is somebody to answer.
 */
static int build(struct house *h, struct options *o)
{
	h->n_threads = thread_count(o);
	h->n_pools = o->n_pools;
	if (h->file == NULL || h->upgrade == NULL || open_acceptor(h, o) != 0 ||
	    build_fleet(h, h->n_threads + 2) != 0) {
		options_free(o);
		return -1;
	}
	if (build_books(h, o) == 0)
		h->scraper = scraper_start(h->fleet, o, h->books, h->flow);
	if (h->scraper == NULL) {
		options_free(o);
		return -1;
	}
	if (start_workers(h, h->n_threads) != 0)
		return -1;
	h->watch = watch_start(h->loop, h->file, on_file, h);
	if (h->old != 0)
		await_pools(h);
	else
		open_doors(h);
	return 0;
}

int house_run(struct options *options, char *const *argv)
{
	struct house h = { 0 };
	int status = EXIT_FAILURE;

	h.old = upgrade_inherit(&h.from);
	h.loop = ev_default_loop(EVFLAG_AUTO);
	must(h.loop != NULL);
	h.file = strdup(options->file);
	h.upgrade = upgrade_new(h.loop, argv);
	signal(SIGPIPE, SIG_IGN);
	raise_file_limit();
	catch_signal(&h, &h.term, SIGTERM, on_term);
	catch_signal(&h, &h.intr, SIGINT, on_term);
	catch_signal(&h, &h.hup, SIGHUP, on_hup);
	catch_signal(&h, &h.usr1, SIGUSR1, on_usr1);
	catch_signal(&h, &h.usr2, SIGUSR2, on_usr2);
	if (build(&h, options) == 0) {
		ev_run(h.loop, 0);
		status = EXIT_SUCCESS;
	}
	take_down(&h);
	return status;
}
