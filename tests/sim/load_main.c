/*
 * load_main.c - epp-load: run, then report; ^C reports what there is
 */
#include <ev.h>
#include <signal.h>
#include <sys/resource.h>

#include "load_run.h"

static void on_signal(struct ev_loop *loop, struct ev_signal *w, int events)
{
	(void)w;
	(void)events;
	ev_break(loop, EVBREAK_ALL);
}

static void raise_fd_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* 0, or 2 when the file cannot be written. */
static int report(struct load_stats *s, const struct load_options *o,
    uint64_t n_connects)
{
	bool to_stdout = o->json != NULL && strcmp(o->json, "-") == 0;
	FILE *to;

	if (!to_stdout)
		load_stats_print(s, o, n_connects, stdout);
	if (o->json == NULL)
		return 0;
	to = to_stdout ? stdout : fopen(o->json, "w");
	if (to != NULL)
		load_stats_print_json(s, o, n_connects, to);
	if (to == NULL || (to_stdout ? fflush(to) : fclose(to)) != 0) {
		fprintf(stderr, "epp-load: %s: %s\n", o->json,
		    strerror(errno));
		return 2;
	}
	return 0;
}

static int run(const struct load_options *o, struct load_workload *w)
{
	struct ev_loop *loop = ev_default_loop(EVFLAG_AUTO);
	struct ev_signal term, intr;
	struct load_stats stats;
	struct load_run r;
	int rc;

	if (loop == NULL)
		return 2;
	ev_signal_init(&term, on_signal, SIGTERM);
	ev_signal_init(&intr, on_signal, SIGINT);
	ev_signal_start(loop, &term);
	ev_signal_start(loop, &intr);
	load_stats_init(&stats);
	load_run(&r, loop, o, w, &stats);
	rc = report(&stats, o, r.client.n_connects);
	if (rc == 0 && load_stats_errors(&stats) > 0 && !o->allow_errors)
		rc = 1;
	load_stats_fini(&stats);
	ev_loop_destroy(loop);
	return rc;
}

int main(int argc, char **argv)
{
	struct load_workload *w = NULL;
	struct load_options o;
	struct fault f = { 0 };
	char text[640];
	int rc = 2;

	(void)argc;
	signal(SIGPIPE, SIG_IGN);
	switch (load_options_parse(&o, argv, &f)) {
	case FLAGS_HELP:
		load_options_help(stdout);
		return 0;
	case FLAGS_BAD:
		break;
	case FLAGS_OK:
		w = load_workload_new(&o, &f);
		break;
	}
	if (w == NULL) {
		fprintf(stderr, "epp-load: %s\n", fault_text(&f, text,
		    sizeof(text)));
		return 2;
	}
	raise_fd_limit();
	rc = run(&o, w);
	load_workload_free(w);
	return rc;
}
