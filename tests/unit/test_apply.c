/*
 * test_apply.c - a real HAProxy is brought from one plan to another: without a reload
 * where none is needed, whatever it was before, and never by an error
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "apply.h"
#include "apply_parts.h"
#include "arena.h"
#include "clock.h"
#include "hostname.h"
#include "output.h"
#include "plans.h"
#include "render.h"
#include "slurp.h"

enum { N_SERVERS = 3 };

struct stage {
	char dir[64];
	char address[32];	/* a loopback address of this test's own */
	pid_t servers, haproxy;
	struct apply *apply;
	struct plans plans;
	struct arena *arena;
	struct apply_report report;
	struct plan_endpoint endpoints[N_SERVERS];
};

static void pause_ms(int ms)
{
	struct timespec t = { ms / 1000, (long)(ms % 1000) * 1000000 };

	nanosleep(&t, NULL);
}

/* ---- processes ----------------------------------------------------------- */

static pid_t run(const char *const *argv)
{
	pid_t child = fork();

	if (child == 0) {
		int null = open("/dev/null", O_WRONLY);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getenv("LOUD") == NULL)
			dup2(null, STDERR_FILENO);
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	assert_true(child > 0);
	return child;
}

static void stop(pid_t child)
{
	if (child <= 0)
		return;
	kill(child, SIGTERM);
	waitpid(child, NULL, 0);
}

/* Servers that say who they are: a HAProxy of their own. */
static void start_servers(struct stage *s)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/servers.cfg", s->dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "defaults\n mode http\n timeout client 60s\n");
	for (int i = 0; i < N_SERVERS; i++)
		fprintf(f, "frontend s%d\n bind %s:%d\n http-request return "
		    "status 200 content-type text/plain hdr x-path %%[path] "
		    "string s%d\n", i + 1, s->address, 8001 + i, i + 1);
	fclose(f);
	s->servers = run((const char *[]){ "haproxy", "-f", path, NULL });
}

static void start_haproxy(struct stage *s)
{
	char config[128], master[128];

	snprintf(config, sizeof(config), "%s/current/haproxy.cfg", s->dir);
	snprintf(master, sizeof(master), "%s/master.sock", s->dir);
	s->haproxy = run((const char *[]){ "haproxy", "-W", "-S", master, "-f",
	    config, NULL });
}

/* ---- a client ------------------------------------------------------------ */

static int dial(const struct stage *s, uint16_t port)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons(port) };
	struct timeval limit = { 10, 0 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	inet_pton(AF_INET, s->address, &to.sin_addr);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* "200 s1": status and body's first word; "0" when nobody answers. */
static const char *ask(const struct stage *s, const char *host,
    const char *path, const char *header, char out[64])
{
	char text[4096];
	const char *body;
	size_t n = 0;
	int fd = dial(s, 8080);

	snprintf(out, 64, "0");
	if (fd < 0)
		return out;
	n = (size_t)snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nhost: "
	    "%s\r\n%sconnection: close\r\n\r\n", path, host, header);
	if (send(fd, text, n, MSG_NOSIGNAL) == (ssize_t)n) {
		ssize_t got;

		n = 0;
		while (n < sizeof(text) - 1 && (got = recv(fd, text + n,
		    sizeof(text) - 1 - n, 0)) > 0)
			n += (size_t)got;
		text[n] = '\0';
		body = strstr(text, "\r\n\r\n");
		if (n > 12 && strncmp(text + 9, "200", 3) == 0 && body != NULL)
			snprintf(out, 64, "200 %.10s", body + 4);
		else if (n > 12)
			snprintf(out, 64, "%.3s", text + 9);
	}
	close(fd);
	return out;
}

static void expect(const struct stage *s, const char *host, const char *path,
    const char *header, const char *want)
{
	char got[64];

	ask(s, host, path, header, got);
	if (strcmp(got, want) != 0)
		fail_msg("%s%s: %s, not %s", host, path, got, want);
}

static void await(const struct stage *s, const char *host, const char *path,
    const char *want)
{
	char got[64];

	for (int i = 0; i < 1000; i++) {
		if (strcmp(ask(s, host, path, "", got), want) == 0)
			return;
		pause_ms(10);
	}
	fail_msg("%s%s: %s, not %s after 10 s", host, path, got, want);
}

/* ---- applying ------------------------------------------------------------ */

static struct output *render_now(struct stage *s)
{
	struct render_options options = render_defaults;
	struct plan_problems problems = { 0 };
	struct output *o;

	options.spoe_file = "haproxy-cfg/share/spoe-epp.conf";
	assert_int_equal(render(&s->plans.plan, &options, s->arena, &problems,
	    &o), 0);
	return o;
}

static enum apply_result apply_now(struct stage *s)
{
	apply_output(s->apply, render_now(s), clock_ms(), &s->report);
	return s->report.result;
}

static void assert_applied(struct stage *s, bool reloaded)
{
	enum apply_result result = apply_now(s);

	if (result != APPLY_DONE || s->report.reloaded != reloaded)
		fail_msg("result %d, reloaded %d: %s", result,
		    s->report.reloaded, s->report.text);
	apply_tidy(s->apply);
}

static struct apply *new_apply(const struct stage *s)
{
	return apply_new(&(struct apply_options){ .dir = s->dir,
	    .haproxy = "haproxy" });
}

static int set_up(void **state)
{
	struct stage *s = calloc(1, sizeof(*s));

	snprintf(s->dir, sizeof(s->dir), "/tmp/test_apply.XXXXXX");
	if (system("haproxy -v >/dev/null 2>&1") != 0 ||
	    mkdtemp(s->dir) == NULL)
		return -1;
	snprintf(s->address, sizeof(s->address), "127.%d.%d.7",
	    getpid() / 250 % 250 + 2, getpid() % 250 + 1);
	s->arena = arena_new(4096, 64 << 20);
	s->apply = new_apply(s);
	plans_init(&s->plans, 8080);
	s->plans.bind.address = s->address;
	for (int i = 0; i < N_SERVERS; i++)
		s->endpoints[i] = (struct plan_endpoint){ s->address,
			(uint16_t)(8001 + i) };
	s->plans.service.endpoints = s->endpoints;
	plans_match(&s->plans, "a.example.com", PLAN_PATH_PREFIX, "/",
	    plans_rule(&s->plans, "a"));
	start_servers(s);
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct stage *s = *state;
	char command[128];

	stop(s->haproxy);
	stop(s->servers);
	apply_free(s->apply);
	arena_free(s->arena);
	plans_fini(&s->plans);
	snprintf(command, sizeof(command), "rm -rf %s", s->dir);
	if (system(command) != 0)
		return -1;
	free(s);
	return 0;
}

/* Written while nobody runs, then started with it. */
static void start(struct stage *s)
{
	assert_int_equal(apply_now(s), APPLY_WRITTEN);
	apply_tidy(s->apply);
	start_haproxy(s);
	await(s, "a.example.com", "/", "200 s1");
}

static void test_routes_come_and_go_without_a_reload(void **state)
{
	struct stage *s = *state;
	struct apply_report report;
	char got[64];

	start(s);
	expect(s, "b.example.com", "/", "", "404");
	plans_match(&s->plans, "b.example.com", PLAN_PATH_PREFIX, "/foo",
	    plans_rule(&s->plans, "b"));
	assert_applied(s, false);
	expect(s, "b.example.com", "/foo/x", "", "200 s1");
	expect(s, "b.example.com", "/bar", "", "404");

	s->plans.listeners[0].n_matches--;
	assert_applied(s, false);
	for (int i = 0; i < 500; i++) {
		if (strcmp(ask(s, "b.example.com", "/foo", "", got), "404") == 0)
			break;
		apply_tick(s->apply, clock_ms(), &report);
		assert_int_equal(report.result, APPLY_DONE);
		assert_false(report.reloaded);
		pause_ms(20);
	}
	expect(s, "b.example.com", "/foo", "", "404");
	expect(s, "a.example.com", "/", "", "200 s1");
}

static void test_servers_come_and_go_without_a_reload(void **state)
{
	struct stage *s = *state;
	struct apply_report report;
	char got[64];
	bool seen[N_SERVERS + 1] = { false };

	start(s);
	s->plans.service.n_endpoints = 3;
	assert_applied(s, false);
	assert_int_equal(s->report.server_changes, 2);
	for (int i = 0; i < 12; i++) {
		ask(s, "a.example.com", "/", "", got);
		assert_int_equal(strncmp(got, "200 s", 5), 0);
		seen[got[5] - '0'] = true;
	}
	assert_true(seen[1] && seen[2] && seen[3]);

	s->plans.service.endpoints = s->endpoints + 1;
	s->plans.service.n_endpoints = 1;
	assert_applied(s, false);
	for (int i = 0; i < 6; i++)
		expect(s, "a.example.com", "/", "", "200 s2");
	for (int i = 0; i < 500 && s->apply->running.servers.n > 1; i++) {
		apply_tick(s->apply, clock_ms(), &report);
		pause_ms(20);
	}
	assert_int_equal(s->apply->running.servers.n, 1);
	s->plans.service.endpoints = s->endpoints;
	assert_applied(s, false);
	expect(s, "a.example.com", "/", "", "200 s1");
}

static void test_a_new_policy_is_a_reload(void **state)
{
	static const struct plan_redirect redirect = { .scheme = "https",
		.status = 301 };
	struct stage *s = *state;

	start(s);
	s->plans.rules[0].filters.redirect = &redirect;
	assert_applied(s, true);
	expect(s, "a.example.com", "/", "", "301");
	s->plans.rules[0].filters.redirect = NULL;
	assert_applied(s, true);
	expect(s, "a.example.com", "/", "", "200 s1");
}

/* A backend that was there before is there still: nothing to reload. */
static void test_what_is_refused_changes_nothing(void **state)
{
	struct plan_pem bad = { { PLAN_SECRET, "ns", "s", NULL, 0 },
		span_of("-----BEGIN CERTIFICATE-----\nnone\n") };
	const struct plan_pem *certs[] = { &bad };
	struct stage *s = *state;
	struct plan_bind binds[2];

	start(s);
	binds[0] = s->plans.bind;
	binds[1] = s->plans.bind;
	binds[1].port = 8443;
	binds[1].listeners = &s->plans.listeners[1];
	s->plans.listeners[1] = (struct plan_listener){
		.ref = { PLAN_GATEWAY, "ns", "gw", "tls", 0 },
		.protocol = PLAN_LISTENER_HTTPS, .certs = certs, .n_certs = 1 };
	s->plans.plan.binds = binds;
	s->plans.plan.n_binds = 2;
	assert_int_equal(apply_now(s), APPLY_REFUSED);
	assert_non_null(strstr(s->report.text, "ALERT"));
	assert_string_equal(s->report.blamed.name, "gw");
	expect(s, "a.example.com", "/", "", "200 s1");

	s->plans.plan.n_binds = 1;
	assert_applied(s, false);
	stop(s->haproxy);
	start_haproxy(s);
	await(s, "a.example.com", "/", "200 s1");
}

/* ---- certificates -------------------------------------------------------- */

static void make_pem(const struct stage *s, struct plan_pem *pem, char **bytes)
{
	char command[512], path[128];
	ssize_t n;

	snprintf(path, sizeof(path), "%s/made.pem", s->dir);
	snprintf(command, sizeof(command), "cd %s && openssl req -x509 -newkey "
	    "ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "
	    "/CN=example.com -keyout key -out crt 2>/dev/null && "
	    "cat crt key >made.pem", s->dir);
	assert_int_equal(system(command), 0);
	n = slurp_file(path, 1 << 20, bytes);
	assert_true(n > 0);
	*pem = (struct plan_pem){ { PLAN_SECRET, "ns", "s", NULL, 0 },
		{ *bytes, (size_t)n } };
}

static void ignore_change(void *data, const char *sign, const char *where,
    const char *what)
{
	(void)data;
	(void)sign;
	(void)where;
	(void)what;
}

/* What diff says would be, of what is then applied. */
static bool would_reload(struct stage *s)
{
	struct apply *other = new_apply(s);
	struct apply_report would;
	struct output *o = render_now(s);

	apply_diff(other, o, ignore_change, NULL, &would);
	assert_int_equal(would.result, APPLY_DONE);
	output_free(o);
	apply_free(other);
	return would.reloaded;
}

/* `del ssl crt-list` cannot tell a certificate's lines in one list apart. */
static void test_diff_says_what_certificates_need(void **state)
{
	static const char *const names[] = { "a.example.com", "b.example.com" };
	struct stage *s = *state;
	struct plan_pem pems[2];
	const struct plan_pem *certs[] = { &pems[0], &pems[1] };
	struct plan_bind binds[2];
	char *bytes[2];

	make_pem(s, &pems[0], &bytes[0]);
	make_pem(s, &pems[1], &bytes[1]);
	for (size_t i = 0; i < 2; i++)
		s->plans.listeners[1 + i] = (struct plan_listener){
			.ref = { PLAN_GATEWAY, "ns", "gw", "tls", 0 },
			.hostname = names[i], .protocol = PLAN_LISTENER_HTTPS,
			.certs = certs, .n_certs = 1 };
	binds[0] = binds[1] = s->plans.bind;
	binds[1].port = 8443;
	binds[1].listeners = &s->plans.listeners[1];
	binds[1].n_listeners = 2;
	s->plans.plan.binds = binds;
	s->plans.plan.n_binds = 2;
	start(s);
	assert_false(would_reload(s));
	assert_applied(s, false);

	/* One of the two lines of the first goes. */
	s->plans.listeners[2].certs = &certs[1];
	assert_true(would_reload(s));
	assert_applied(s, true);

	/* The second's only line: that the command line can do. */
	s->plans.listeners[2].certs = &certs[0];
	assert_false(would_reload(s));
	assert_applied(s, false);
	free(bytes[0]);
	free(bytes[1]);
}

/* Another of us, that finds what the first one left, at whatever moment. */
static void test_a_successor_converges(void **state)
{
	struct stage *s = *state;
	char path[128];

	start(s);
	plans_match(&s->plans, "b.example.com", PLAN_PATH_PREFIX, "/",
	    plans_rule(&s->plans, "b"));
	apply_free(s->apply);
	s->apply = new_apply(s);
	assert_applied(s, false);
	expect(s, "b.example.com", "/", "", "200 s1");

	/* It had begun, and nobody knows how far it came. */
	apply_free(s->apply);
	snprintf(path, sizeof(path), "%s/apply.pending", s->dir);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	s->apply = new_apply(s);
	assert_applied(s, true);
	assert_int_equal(access(path, F_OK), -1);
	expect(s, "b.example.com", "/", "", "200 s1");
}

static bool is_pending(const struct stage *s)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/apply.pending", s->dir);
	return access(path, F_OK) == 0;
}

/* Takes connections and never answers. */
static int listen_mute(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address,
	    sizeof(address)), 0);
	assert_int_equal(listen(fd, 64), 0);
	return fd;
}

static void mark(const struct stage *s)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/apply.pending", s->dir);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	s->apply->is_done = false;
}

/* Slow is not gone: how far an earlier change came is unknown still. */
static void test_a_slow_worker_leaves_a_change_unfinished(void **state)
{
	struct stage *s = *state;
	struct apply_report report;
	char mute[80];
	int fd;

	start(s);
	assert_applied(s, false);
	snprintf(mute, sizeof(mute), "%s/mute.sock", s->dir);
	fd = listen_mute(mute);
	mark(s);
	s->apply->runtime.socket = mute;
	s->apply->runtime.timeout_ms = 50;
	assert_int_equal(apply_now(s), APPLY_WRITTEN);
	assert_true(is_pending(s));
	apply_tick(s->apply, clock_ms(), &report);
	assert_int_equal(report.result, APPLY_WRITTEN);
	assert_true(is_pending(s));

	s->apply->runtime.socket = s->apply->socket;
	s->apply->runtime.timeout_ms = 5000;
	assert_applied(s, true);
	assert_false(is_pending(s));

	mark(s);
	close(fd);
	s->apply->runtime.socket = mute;
	assert_int_equal(apply_now(s), APPLY_WRITTEN);
	apply_tidy(s->apply);
	assert_false(is_pending(s));
}

/* What is still to go is found by whoever comes next, and is no reason to reload. */
static void test_who_ends_amid_leaves_no_mark(void **state)
{
	struct stage *s = *state;
	struct apply_report report;

	start(s);
	plans_match(&s->plans, "b.example.com", PLAN_PATH_PREFIX, "/",
	    plans_rule(&s->plans, "b"));
	assert_applied(s, false);
	s->plans.listeners[0].n_matches--;
	assert_applied(s, false);
	assert_true(is_pending(s));
	apply_free(s->apply);
	assert_false(is_pending(s));
	s->apply = new_apply(s);
	assert_applied(s, false);
	apply_tick(s->apply, clock_ms() + 2 * APPLY_GRACE_MS, &report);
	assert_false(report.reloaded);
	expect(s, "b.example.com", "/", "", "404");
}

/* `current` was named already: what is wanted again is not what it has. */
static void test_what_failed_behind_the_files_is_written_anew(void **state)
{
	struct stage *s = *state;
	char path[128], command[256];

	start(s);
	plans_match(&s->plans, "b.example.com", PLAN_PATH_PREFIX, "/",
	    plans_rule(&s->plans, "b"));
	assert_applied(s, false);
	snprintf(path, sizeof(path), "%s/apply.pending", s->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	s->plans.listeners[0].n_matches--;
	assert_int_equal(apply_now(s), APPLY_FAILED);
	assert_int_equal(rmdir(path), 0);
	s->plans.listeners[0].n_matches++;
	assert_applied(s, false);
	snprintf(command, sizeof(command),
	    "grep -q b.example.com %s/current/host.map", s->dir);
	assert_int_equal(system(command), 0);
}

/* By us: HAProxy's master makes its socket anew some time after its worker has begun. */
static bool is_written_to(int notify)
{
	_Alignas(struct inotify_event) char bytes[4096];
	ssize_t n = read(notify, bytes, sizeof(bytes));
	bool is_ours = false;

	for (ssize_t at = 0; at < n;) {
		const struct inotify_event *e = (const void *)(bytes + at);

		is_ours |= e->len == 0 ||
		    strncmp(e->name, "master.sock", 11) != 0;
		at += (ssize_t)(sizeof(*e) + e->len);
	}
	return is_ours;
}

static void test_nothing_due_writes_nothing(void **state)
{
	struct stage *s = *state;
	struct apply_report report;
	int notify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	start(s);
	plans_match(&s->plans, "b.example.com", PLAN_PATH_PREFIX, "/",
	    plans_rule(&s->plans, "b"));
	assert_applied(s, false);
	apply_tick(s->apply, clock_ms(), &report);
	assert_true(inotify_add_watch(notify, s->dir, IN_CREATE | IN_DELETE |
	    IN_MODIFY | IN_MOVE | IN_ATTRIB) >= 0);
	apply_tick(s->apply, clock_ms() + 60000, &report);
	assert_int_equal(report.result, APPLY_DONE);
	assert_false(is_written_to(notify));

	s->plans.listeners[0].n_matches--;
	assert_applied(s, false);
	apply_tick(s->apply, clock_ms(), &report);
	assert_true(is_written_to(notify));
	/* Its mark is there still, and goes when all is done. */
	assert_true(is_pending(s));
	apply_tick(s->apply, clock_ms() + APPLY_GRACE_MS, &report);
	assert_false(is_written_to(notify));
	expect(s, "b.example.com", "/", "", "404");
	apply_tidy(s->apply);
	assert_false(is_pending(s));
	close(notify);
}

static void test_a_worker_that_somebody_changed_is_mended(void **state)
{
	struct stage *s = *state;
	char command[256];
	int n;

	start(s);
	plans_match(&s->plans, "b.example.com", PLAN_PATH_PREFIX, "/",
	    plans_rule(&s->plans, "b"));
	assert_applied(s, false);
	n = snprintf(command, sizeof(command), "clear map %s/current/host.map\n",
	    s->dir);
	assert_int_equal(runtime_do(&s->apply->runtime, command, (size_t)n), 0);
	expect(s, "a.example.com", "/", "", "404");
	plans_match(&s->plans, "c.example.com", PLAN_PATH_PREFIX, "/",
	    plans_rule(&s->plans, "c"));
	assert_applied(s, true);
	expect(s, "a.example.com", "/", "", "200 s1");
	expect(s, "c.example.com", "/", "", "200 s1");
}

/* ---- ahead of the whole -------------------------------------------------- */

static bool get_ahead(struct stage *s, const char *host)
{
	const char *const names[] = { host };
	const struct hostnames only = { names, 1 };
	struct render_options options = render_defaults;
	struct plan_problems problems = { 0 };
	struct plan part = s->plans.plan;
	struct output *o;
	bool done;

	part.only = &only;
	options.spoe_file = "haproxy-cfg/share/spoe-epp.conf";
	assert_int_equal(render(&part, &options, s->arena, &problems, &o), 0);
	done = apply_ahead(s->apply, o, clock_ms(), &s->report);
	output_free(o);
	return done;
}

static void test_what_is_ahead_has_traffic_then_the_whole_comes(void **state)
{
	struct stage *s = *state;

	start(s);
	assert_applied(s, false);
	plans_match(&s->plans, "b.example.com", PLAN_PATH_PREFIX, "/foo",
	    plans_rule(&s->plans, "b"));
	assert_true(get_ahead(s, "b.example.com"));
	assert_false(is_pending(s));
	expect(s, "b.example.com", "/foo/x", "", "200 s1");
	expect(s, "a.example.com", "/", "", "200 s1");
	/* Once more is nothing more. */
	assert_true(get_ahead(s, "b.example.com"));
	assert_int_equal(s->report.map_changes, 0);

	assert_applied(s, false);
	assert_int_equal(s->report.map_changes, 0);
	assert_false(is_pending(s));
	expect(s, "b.example.com", "/foo/x", "", "200 s1");
}

static void test_only_what_adds_is_put_ahead(void **state)
{
	static const struct plan_redirect redirect = { .scheme = "https",
		.status = 301 };
	struct stage *s = *state;

	start(s);
	/* Nothing is known of the worker yet. */
	assert_false(get_ahead(s, "a.example.com"));
	assert_applied(s, false);
	/* A policy that no backend has: a reload. */
	plans_match(&s->plans, "b.example.com", PLAN_PATH_PREFIX, "/",
	    plans_rule(&s->plans, "b"));
	s->plans.rules[1].filters.redirect = &redirect;
	assert_false(get_ahead(s, "b.example.com"));
	s->plans.rules[1].filters.redirect = NULL;
	assert_applied(s, false);
	/* A rule that leads elsewhere: an entry that is changed. */
	s->plans.rules[1].n_targets = 0;
	assert_false(get_ahead(s, "b.example.com"));
	assert_false(is_pending(s));
	expect(s, "b.example.com", "/", "", "200 s1");
	assert_applied(s, false);
	expect(s, "b.example.com", "/", "", "500");
}

static void test_killed_ahead_of_the_whole_converges(void **state)
{
	struct stage *s = *state;

	start(s);
	assert_applied(s, false);
	plans_match(&s->plans, "b.example.com", PLAN_PATH_PREFIX, "/",
	    plans_rule(&s->plans, "b"));
	assert_true(get_ahead(s, "b.example.com"));
	apply_free(s->apply);
	s->apply = new_apply(s);
	assert_applied(s, false);
	assert_int_equal(s->report.map_changes, 0);
	expect(s, "b.example.com", "/", "", "200 s1");
}

/* It has the files, which are behind: the whole finds another process. */
static void test_haproxy_restarted_ahead_of_the_whole_converges(void **state)
{
	struct stage *s = *state;

	start(s);
	assert_applied(s, false);
	plans_match(&s->plans, "b.example.com", PLAN_PATH_PREFIX, "/",
	    plans_rule(&s->plans, "b"));
	assert_true(get_ahead(s, "b.example.com"));
	stop(s->haproxy);
	start_haproxy(s);
	await(s, "a.example.com", "/", "200 s1");
	assert_applied(s, false);
	assert_int_equal(s->report.map_changes, 3);
	expect(s, "b.example.com", "/", "", "200 s1");
}

/* What was to go a second after it was unwanted stays when it is wanted again. */
static void test_what_is_ahead_again_is_not_deleted(void **state)
{
	struct stage *s = *state;
	struct apply_report report;
	int64_t later;

	start(s);
	plans_match(&s->plans, "b.example.com", PLAN_PATH_PREFIX, "/",
	    plans_rule(&s->plans, "b"));
	assert_applied(s, false);
	s->plans.listeners[0].n_matches--;
	assert_applied(s, false);
	s->plans.listeners[0].n_matches++;
	assert_true(get_ahead(s, "b.example.com"));
	later = clock_ms() + 2 * APPLY_GRACE_MS;
	apply_tick(s->apply, later, &report);
	expect(s, "b.example.com", "/", "", "200 s1");
	assert_applied(s, false);
	apply_tick(s->apply, later, &report);
	assert_false(report.reloaded);
	expect(s, "b.example.com", "/", "", "200 s1");
}

/* The whole of before is on its way to the disk while more is put ahead. */
static void test_what_is_ahead_of_a_whole_in_the_making_stays(void **state)
{
	struct stage *s = *state;
	struct apply_report report;

	start(s);
	assert_applied(s, false);
	apply_expect(s->apply);
	apply_begin(s->apply, render_now(s), clock_ms());
	plans_match(&s->plans, "b.example.com", PLAN_PATH_PREFIX, "/",
	    plans_rule(&s->plans, "b"));
	apply_stage(s->apply);
	assert_true(get_ahead(s, "b.example.com"));
	assert_true(apply_end(s->apply, clock_ms(), &report));
	assert_int_equal(report.result, APPLY_DONE);
	expect(s, "b.example.com", "/", "", "200 s1");
	assert_int_equal(apply_due_ms(s->apply), -1);
	apply_tick(s->apply, clock_ms() + 2 * APPLY_GRACE_MS, &report);
	expect(s, "b.example.com", "/", "", "200 s1");

	assert_applied(s, false);
	assert_false(is_pending(s));
	apply_tick(s->apply, clock_ms() + 2 * APPLY_GRACE_MS, &report);
	expect(s, "b.example.com", "/", "", "200 s1");
}

/* Something is put ahead of each pass, so that no tick ever has its turn. */
static void test_what_is_unwanted_goes_under_constant_change_too(void **state)
{
	struct stage *s = *state;
	struct apply_report report;
	int64_t now = clock_ms();

	start(s);
	plans_match(&s->plans, "b.example.com", PLAN_PATH_PREFIX, "/",
	    plans_rule(&s->plans, "b"));
	assert_applied(s, false);
	s->plans.listeners[0].n_matches--;
	for (int i = 0; i < 2; i++) {
		apply_expect(s->apply);
		apply_begin(s->apply, render_now(s), now);
		apply_stage(s->apply);
		assert_true(get_ahead(s, "a.example.com"));
		now += i == 0 ? 0 : 2 * APPLY_GRACE_MS;
		assert_true(apply_end(s->apply, now, &report));
		assert_int_equal(report.result, APPLY_DONE);
		assert_int_equal(apply_due_ms(s->apply), -1);
		expect(s, "b.example.com", "/", "", i == 0 ? "200 s1" : "404");
		expect(s, "a.example.com", "/", "", "200 s1");
	}
}

/* Its files would take away what they have not. */
static void test_no_reload_takes_away_what_was_put_ahead(void **state)
{
	static const struct plan_redirect redirect = { .scheme = "https",
		.status = 301 };
	struct stage *s = *state;
	struct apply_report report;

	start(s);
	assert_applied(s, false);
	plans_match(&s->plans, "r.example.com", PLAN_PATH_PREFIX, "/",
	    plans_rule(&s->plans, "r"));
	s->plans.rules[1].filters.redirect = &redirect;
	apply_expect(s->apply);
	apply_begin(s->apply, render_now(s), clock_ms());
	plans_match(&s->plans, "b.example.com", PLAN_PATH_PREFIX, "/",
	    plans_rule(&s->plans, "b"));
	assert_true(get_ahead(s, "b.example.com"));
	apply_stage(s->apply);
	assert_false(apply_end(s->apply, clock_ms(), &report));
	assert_int_equal(report.result, APPLY_LATER);
	assert_false(report.reloaded);
	expect(s, "b.example.com", "/", "", "200 s1");
	expect(s, "r.example.com", "/", "", "404");

	assert_applied(s, true);
	expect(s, "b.example.com", "/", "", "200 s1");
	expect(s, "r.example.com", "/", "", "301");
}

/* A master that begins a worker for somebody else, as HAProxy since 3.1 says it. */
static void *say_busy(void *data)
{
	static const char busy[] = "Success=0\n--\n"
	    "Another reload is still in progress.\n\n";
	int listener = *(int *)data, fd;
	char asked[64];

	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		if (recv(fd, asked, sizeof(asked), 0) > 0)
			send(fd, busy, sizeof(busy) - 1, MSG_NOSIGNAL);
		close(fd);
	}
	return NULL;
}

static void test_anothers_reload_is_no_refusal(void **state)
{
	static const struct plan_redirect redirect = { .scheme = "https",
		.status = 301 };
	struct stage *s = *state;
	struct apply_report report;
	char path[100];
	pthread_t thread;
	int fd;

	start(s);
	snprintf(path, sizeof(path), "%s/busy.sock", s->dir);
	fd = listen_mute(path);
	assert_int_equal(pthread_create(&thread, NULL, say_busy, &fd), 0);
	s->apply->runtime.master = path;
	s->plans.rules[0].filters.redirect = &redirect;
	assert_int_equal(apply_now(s), APPLY_LATER);
	assert_false(s->report.reloaded);
	expect(s, "a.example.com", "/", "", "200 s1");

	s->apply->runtime.master = s->apply->master;
	shutdown(fd, SHUT_RDWR);
	pthread_join(thread, NULL);
	close(fd);
	apply_tick(s->apply, apply_due_ms(s->apply), &report);
	assert_int_equal(report.result, APPLY_DONE);
	assert_true(report.reloaded);
	expect(s, "a.example.com", "/", "", "301");
}

/* ---- under load ---------------------------------------------------------- */

struct load {
	const struct stage *s;
	_Atomic bool is_over;
	size_t n, bad;
	char what[64];
};

static void *load(void *data)
{
	struct load *l = data;
	char got[64];

	while (!l->is_over) {
		ask(l->s, "a.example.com", "/x", "", got);
		l->n++;
		if (strncmp(got, "200 s", 5) != 0) {
			l->bad++;
			snprintf(l->what, sizeof(l->what), "%s", got);
		}
	}
	return NULL;
}

static const struct plan_header headers[] = {
	{ "x-a", "0" }, { "x-a", "1" }, { "x-a", "2" }, { "x-a", "3" },
};
static const struct plan_header_edits edits[] = {
	{ .set = &headers[0], .n_set = 1 }, { .set = &headers[1], .n_set = 1 },
	{ .set = &headers[2], .n_set = 1 }, { .set = &headers[3], .n_set = 1 },
};

/* Reloads, servers, splits, conditions: nobody who asks the route sees any of it. */
static void test_no_request_fails_while_all_changes(void **state)
{
	static const struct plan_test test = { PLAN_TEST_HEADER, false, "x-env",
		"canary" };
	struct stage *s = *state;
	struct apply_report report;
	struct load l = { .s = s };
	struct plan_rule *rule = &s->plans.rules[0];
	struct plan_match *m;
	pthread_t thread;

	m = plans_match(&s->plans, "a.example.com", PLAN_PATH_PREFIX, "/x",
	    plans_rule(&s->plans, "conditional"));
	start(s);
	assert_int_equal(pthread_create(&thread, NULL, load, &l), 0);
	for (int i = 0; i < 40; i++) {
		rule->filters.request = i / 10 % 2 ? &edits[i / 10] : NULL;
		s->plans.service.n_endpoints = 1 + (size_t)i % 3;
		rule->n_targets = 1 + (size_t)i % 2;
		s->plans.targets[1] = s->plans.targets[0];
		s->plans.targets[0].weight = 1 + (uint32_t)i;
		m->tests = &test;
		m->n_tests = i % 4 == 1;
		assert_int_equal(apply_now(s), APPLY_DONE);
		apply_tick(s->apply, clock_ms(), &report);
		assert_int_equal(report.result, APPLY_DONE);
		pause_ms(20);
	}
	l.is_over = true;
	pthread_join(thread, NULL);
	if (l.bad != 0)
		fail_msg("%zu of %zu: %s", l.bad, l.n, l.what);
	assert_true(l.n > 100);
}

int main(void)
{
	const struct CMUnitTest all[] = {
#define STAGED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		STAGED(test_routes_come_and_go_without_a_reload),
		STAGED(test_servers_come_and_go_without_a_reload),
		STAGED(test_a_new_policy_is_a_reload),
		STAGED(test_what_is_refused_changes_nothing),
		STAGED(test_diff_says_what_certificates_need),
		STAGED(test_a_successor_converges),
		STAGED(test_a_slow_worker_leaves_a_change_unfinished),
		STAGED(test_who_ends_amid_leaves_no_mark),
		STAGED(test_what_failed_behind_the_files_is_written_anew),
		STAGED(test_nothing_due_writes_nothing),
		STAGED(test_a_worker_that_somebody_changed_is_mended),
		STAGED(test_what_is_ahead_has_traffic_then_the_whole_comes),
		STAGED(test_only_what_adds_is_put_ahead),
		STAGED(test_killed_ahead_of_the_whole_converges),
		STAGED(test_haproxy_restarted_ahead_of_the_whole_converges),
		STAGED(test_what_is_ahead_again_is_not_deleted),
		STAGED(test_what_is_ahead_of_a_whole_in_the_making_stays),
		STAGED(test_what_is_unwanted_goes_under_constant_change_too),
		STAGED(test_no_reload_takes_away_what_was_put_ahead),
		STAGED(test_anothers_reload_is_no_refusal),
		STAGED(test_no_request_fails_while_all_changes),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(all, NULL, NULL);
}
