/*
 * sim_main.c - epp-sim: model servers in one process; main has the only thread
 */
#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

#include "log.h"
#include "sim_server.h"

static void on_signal(struct ev_loop *loop, struct ev_signal *w, int events)
{
	(void)w;
	(void)events;
	ev_break(loop, EVBREAK_ALL);
}

/* A thousand listeners and their clients need more than the usual 1024. */
static void raise_fd_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		log_warn("sim.rlimit", "nofile=%llu",
		    (unsigned long long)limit.rlim_max);
}

static int run(const struct sim_options *o)
{
	struct ev_loop *loop = ev_default_loop(EVFLAG_AUTO);
	struct ev_signal term, intr;
	struct sim_house house;
	int rc;

	if (loop == NULL)
		return 1;
	ev_signal_init(&term, on_signal, SIGTERM);
	ev_signal_init(&intr, on_signal, SIGINT);
	ev_signal_start(loop, &term);
	ev_signal_start(loop, &intr);
	rc = sim_house_init(&house, loop, o);
	if (rc == 0) {
		printf("ready\n");
		fflush(stdout);
		ev_run(loop, 0);
	}
	sim_house_fini(&house);
	ev_loop_destroy(loop);
	return rc < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct fault f = { 0 };
	struct sim_options o;
	char text[640];
	int rc = 0;

	(void)argc;
	signal(SIGPIPE, SIG_IGN);
	switch (sim_options_parse(&o, argv, &f)) {
	case FLAGS_HELP:
		sim_options_help(stdout);
		break;
	case FLAGS_BAD:
		fprintf(stderr, "epp-sim: %s\n", fault_text(&f, text,
		    sizeof(text)));
		rc = 2;
		break;
	case FLAGS_OK:
		raise_fd_limit();
		rc = run(&o);
		break;
	}
	sim_options_fini(&o);
	return rc;
}
