/*
 * bench_apply.c - from a plan to a HAProxy that does it: all anew, and one route more
 *
 * Plans are made by hand: hostnames of their own, one path each, one Service, as the
 * gateway-api-bench's route test has them. Times are of render() and apply_output();
 * the baseline of the second is what any change cost without the runtime API, a
 * reload. `event` is until the first request is served by the new route.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "apply.h"
#include "arena.h"
#include "clock.h"
#include "must.h"
#include "output.h"
#include "render.h"

enum { EVENTS = 200, PORT = 18089 };

static const char address[] = "127.88.1.7";

struct bench {
	char dir[64];
	pid_t haproxy;
	struct apply *apply;
	size_t n;
	struct plan plan;
	struct plan_bind bind;
	struct plan_listener listener;
	struct plan_backend service;
	struct plan_endpoint endpoint;
	struct plan_target target;
	struct plan_rule *rules;
	struct plan_match *matches;
	char (*names)[40];
};

static const struct plan_header header = { "x-bench", "1" };
static const struct plan_header_edits edits = { .add = &header, .n_add = 1 };

static void make(struct bench *b, size_t n)
{
	b->n = n;
	b->rules = calloc(n + EVENTS, sizeof(*b->rules));
	b->matches = calloc(n + EVENTS, sizeof(*b->matches));
	b->names = calloc(n + EVENTS, sizeof(*b->names));
	must(b->rules != NULL && b->matches != NULL && b->names != NULL);
	b->endpoint = (struct plan_endpoint){ address, PORT + 1 };
	b->service = (struct plan_backend){ .ref = { PLAN_SERVICE, "ns", "svc",
		NULL, 0 }, .port = 80, .endpoints = &b->endpoint,
		.n_endpoints = 1 };
	b->target = (struct plan_target){ .backend = &b->service, .weight = 1 };
	for (size_t i = 0; i < n + EVENTS; i++) {
		snprintf(b->names[i], sizeof(b->names[i]),
		    "%zu-route.example.com", i);
		b->rules[i] = (struct plan_rule){ .ref = { PLAN_HTTP_ROUTE,
			"ns", b->names[i], NULL, 0 }, .request_ms =
			PLAN_NOT_GIVEN, .backend_request_ms = PLAN_NOT_GIVEN,
			.targets = &b->target, .n_targets = 1,
			.filters.request = &edits };
		b->matches[i] = (struct plan_match){ .hostname = b->names[i],
			.path_type = PLAN_PATH_PREFIX, .path = "/api/v1",
			.rule = &b->rules[i] };
	}
	b->listener = (struct plan_listener){ .ref = { PLAN_GATEWAY, "ns", "gw",
		"l", 0 }, .protocol = PLAN_LISTENER_HTTP,
		.matches = b->matches, .n_matches = n };
	b->bind = (struct plan_bind){ .ref = b->listener.ref, .address =
		address, .port = PORT, .listeners = &b->listener,
		.n_listeners = 1 };
	b->plan = (struct plan){ .binds = &b->bind, .n_binds = 1 };
}

static double ms_since(int64_t ns)
{
	return (double)(clock_ns() - ns) / 1e6;
}

static struct output *rendered(struct bench *b)
{
	struct arena *arena = arena_new(4096, 1 << 20);
	struct plan_problems problems = { 0 };
	struct output *o = NULL;

	must(arena != NULL);
	must(render(&b->plan, &render_defaults, arena, &problems, &o) == 0);
	arena_free(arena);
	return o;
}

static enum apply_result apply_once(struct bench *b, struct apply_report *r)
{
	apply_output(b->apply, rendered(b), clock_ms(), r);
	return r->result;
}

static int status_of(const char *host)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons(PORT) };
	char text[512];
	ssize_t n;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, address, &to.sin_addr);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
		close(fd);
		return 0;
	}
	n = snprintf(text, sizeof(text), "GET /api/v1/x HTTP/1.1\r\nhost: %s"
	    "\r\nconnection: close\r\n\r\n", host);
	n = send(fd, text, (size_t)n, MSG_NOSIGNAL);
	n = n > 0 ? recv(fd, text, sizeof(text) - 1, 0) : 0;
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	return n > 12 ? (int)strtol(text + 9, NULL, 10) : 0;
}

static void start_haproxy(struct bench *b)
{
	char config[128], master[128], end[128];
	FILE *f;

	snprintf(config, sizeof(config), "%s/current/haproxy.cfg", b->dir);
	snprintf(master, sizeof(master), "%s/master.sock", b->dir);
	snprintf(end, sizeof(end), "%s/end.cfg", b->dir);
	f = fopen(end, "w");
	must(f != NULL);
	fprintf(f, "frontend bench-end\n mode http\n timeout client 9s\n"
	    " bind %s:%d\n http-request return status 200\n", address,
	    PORT + 1);
	fclose(f);
	b->haproxy = fork();
	if (b->haproxy == 0) {
		int null = open("/dev/null", O_WRONLY);

		dup2(null, STDERR_FILENO);
		execlp("haproxy", "haproxy", "-W", "-S", master, "-f", end,
		    "-f", config, (char *)NULL);
		_exit(127);
	}
}

static int by_size(const void *left, const void *right)
{
	const double *a = left, *b = right;

	return (*a > *b) - (*a < *b);
}

static size_t rss_kb(void)
{
	unsigned long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f == NULL || fscanf(f, "%*u %lu", &pages) != 1)
		pages = 0;
	if (f != NULL)
		fclose(f);
	return pages * 4;
}

static void events(struct bench *b)
{
	double took[EVENTS];
	struct apply_report r;
	size_t reloads = 0, wrong = 0;

	for (size_t i = 0; i < EVENTS; i++) {
		int64_t from = clock_ns();
		int status;

		b->listener.n_matches++;
		must(apply_once(b, &r) == APPLY_DONE);
		reloads += r.reloaded;
		while ((status = status_of(b->names[b->n + i])) != 200)
			wrong += status != 404;
		took[i] = ms_since(from);
	}
	qsort(took, EVENTS, sizeof(*took), by_size);
	printf("| %zu | event to traffic | p50 %.2f ms, p99 %.2f ms; %zu "
	    "reloads, %zu answers but 404 and 200 | |\n", b->n,
	    took[EVENTS / 2], took[EVENTS * 99 / 100], reloads, wrong);
}

static void measure(size_t n)
{
	struct bench b = { .dir = "/tmp/bench_apply.XXXXXX" };
	struct apply_report r;
	struct output *o;
	char command[128];
	int64_t from;
	double render_ms;

	must(mkdtemp(b.dir) != NULL);
	make(&b, n);
	b.apply = apply_new(&(struct apply_options){ .dir = b.dir,
	    .haproxy = "haproxy" });
	from = clock_ns();
	o = rendered(&b);
	render_ms = ms_since(from);
	output_free(o);
	from = clock_ns();
	b.listener.n_matches = 1;
	must(apply_once(&b, &r) == APPLY_WRITTEN);
	start_haproxy(&b);
	while (status_of(b.names[0]) != 200)
		usleep(1000);
	b.listener.n_matches = n;
	from = clock_ns();
	must(apply_once(&b, &r) == APPLY_DONE && !r.reloaded);
	printf("| %zu | render %.1f ms, all to a running HAProxy | %.0f ms | ",
	    n, render_ms, ms_since(from));
	b.rules[0].request_ms = 1000;
	from = clock_ns();
	must(apply_once(&b, &r) == APPLY_DONE && r.reloaded);
	printf("%.0f ms by a reload |\n", ms_since(from));
	events(&b);
	printf("| %zu | resident | %zu KB | |\n", n, rss_kb());
	kill(b.haproxy, SIGTERM);
	waitpid(b.haproxy, NULL, 0);
	apply_free(b.apply);
	free(b.rules);
	free(b.matches);
	free(b.names);
	snprintf(command, sizeof(command), "rm -rf %s", b.dir);
	must(system(command) == 0);
}

int main(int argc, char **argv)
{
	static const size_t sizes[] = { 100, 1000, 5000, 40000 };

	signal(SIGPIPE, SIG_IGN);
	printf("| routes | | | baseline |\n|--:|---|---|---|\n");
	if (argc > 1) {
		measure(strtoul(argv[1], NULL, 10));
		return 0;
	}
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		measure(sizes[i]);
	return 0;
}
