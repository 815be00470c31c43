#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <ev.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "arena.h"
#include "discover_source.h"
#include "fault.h"
#include "log.h"

static const struct pool_options pool = {
	.name = "p", .engine = "vllm", .haproxy_backend = "llm",
	.source = SOURCE_HAPROXY, .haproxy_interval_ms = 20,
};

/* As HAProxy 2.6.12 writes it, less some columns nobody looks at. */
#define HEAD "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state " \
	"srv_admin_state srv_uweight srv_iweight srv_fqdn srv_port srvrecord\n"

static int setup(void **state)
{
	*state = arena_new(4096, 1 << 20);
	return *state != NULL ? 0 : -1;
}

static int teardown(void **state)
{
	arena_free(*state);
	return 0;
}

static int parse(struct arena *a, const char *text,
    const struct endpoint_spec **specs, size_t *n, struct fault *why)
{
	*why = (struct fault){ 0 };
	return discover_haproxy_parse(span_of(text), &pool, a, specs, n, why);
}

static void test_a_server_is_read_by_its_column_names(void **state)
{
	const struct endpoint_spec *e;
	struct fault why;
	size_t n;

	assert_int_equal(parse(*state, HEAD
	    "4 llm 1 s1 127.0.0.1 2 0 1 1 - 8001 -\n"
	    "4 llm 2 s2 ::1 2 0 1 1 gpu.example.com 8002 -\n\n",
	    &e, &n, &why), 0);
	assert_int_equal(n, 2);
	assert_string_equal(e[0].name, "s1");
	assert_string_equal(e[0].address, "127.0.0.1");
	assert_string_equal(e[0].host, "127.0.0.1");
	assert_string_equal(e[0].engine, "vllm");
	assert_int_equal(e[0].port, 8001);
	assert_true(e[0].ready);
	assert_string_equal(e[1].address, "::1");
	assert_string_equal(e[1].host, "gpu.example.com");
}

static void test_columns_may_stand_in_any_order(void **state)
{
	const struct endpoint_spec *e;
	struct fault why;
	size_t n;

	assert_int_equal(parse(*state, "1\n"
	    "# new srv_port srv_fqdn srv_uweight srv_admin_state srv_op_state "
	    "srv_addr srv_name be_name newer\n"
	    "x 80 - 1 0 2 10.0.0.1 s1 llm y\n\n", &e, &n, &why), 0);
	assert_int_equal(n, 1);
	assert_string_equal(e[0].name, "s1");
	assert_int_equal(e[0].port, 80);
}

/* management.txt, "show servers state": op state, admin mask, user weight. */
static const struct {
	unsigned op, admin, weight;
	bool ready;
} states[] = {
	{ 0, 0x00, 1, false },		/* stopped */
	{ 1, 0x00, 1, true },		/* starting */
	{ 2, 0x00, 1, true },		/* running */
	{ 3, 0x00, 1, false },		/* stopping */
	{ 2, 0x01, 1, false },		/* forced maint */
	{ 2, 0x02, 1, false },		/* inherited maint */
	{ 2, 0x04, 1, true },		/* was disabled in the file, once */
	{ 0, 0x05, 1, false },		/* is disabled in the file */
	{ 2, 0x08, 1, false },		/* forced drain */
	{ 2, 0x10, 1, false },		/* inherited drain */
	{ 2, 0x20, 1, false },		/* maint: name does not resolve */
	{ 2, 0x40, 1, true },		/* FQDN set from the socket */
	{ 2, 0x00, 0, false },		/* weight 0 */
	{ 2, 0x00, 256, true },
};

static void test_down_maint_and_drain_are_not_ready(void **state)
{
	for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++) {
		const struct endpoint_spec *e;
		struct fault why;
		char text[512];
		size_t n;

		snprintf(text, sizeof(text), HEAD "4 llm 1 s1 127.0.0.1 %u %u "
		    "%u 1 - 8001 -\n\n", states[i].op, states[i].admin,
		    states[i].weight);
		assert_int_equal(parse(*state, text, &e, &n, &why), 0);
		assert_int_equal(n, 1);
		assert_int_equal(e[0].ready, states[i].ready);
	}
}

static void test_what_has_no_place_is_left_out(void **state)
{
	const struct endpoint_spec *e;
	struct fault why;
	size_t n;

	assert_int_equal(parse(*state, HEAD
	    "4 llm 1 s1 - 2 0 1 1 - 8001 -\n"
	    "4 llm 2 s2 0.0.0.0 2 0 1 1 - 8001 -\n"
	    "4 llm 3 s3 :: 2 0 1 1 - 8001 -\n"
	    "4 llm 4 s4 127.0.0.1 2 0 1 1 - 0 -\n"
	    "4 llm 5 s5 /run/sock 2 0 1 1 - 80 -\n"
	    "5 other 1 s6 127.0.0.1 2 0 1 1 - 80 -\n"
	    "4 llm 6 s7 127.0.0.1 2 0 1 1 - 80 -\n\n", &e, &n, &why), 0);
	assert_int_equal(n, 1);
	assert_string_equal(e[0].name, "s7");
}

static void test_a_backend_without_servers_is_an_empty_set(void **state)
{
	const struct endpoint_spec *e;
	struct fault why;
	size_t n;

	assert_int_equal(parse(*state, HEAD "\n", &e, &n, &why), 0);
	assert_int_equal(n, 0);
}

static const struct {
	const char *text, *says;
} bad[] = {
	{ "", "no end" },
	{ "Can't find backend.\n\n", "HAProxy says: Can't find backend." },
	{ "2\n# be_name\n\n", "HAProxy says: 2" },
	{ "1\n\n", "no column names" },
	{ "1\n4 llm 1 s1\n\n", "no column names before" },
	{ "1\n# be_name srv_name\n\n", "a header without: srv_addr" },
	{ HEAD "4 llm 1 s1 127.0.0.1 2 0 1 1 - x -\n\n", "not a server's" },
	{ HEAD "4 llm 1 s1 127.0.0.1 2 0 1 1 - 65536 -\n\n", "not a server's" },
	{ HEAD "4 llm 1 s1 127.0.0.1 2 0 1 1 - 9999999999999 -\n\n",
	    "not a server's" },
	{ HEAD "4 llm 1 s1 127.0.0.1 2 0 1 1 - 80\n\n", "not a server's" },
	{ HEAD "4 llm 1 s1 127.0.0.1 2 0 1 1 - 80 - more\n\n",
	    "not a server's" },
	{ HEAD "4 llm 1 s1 127.0.0.1 2 0 1 1 - 80 -\n"
	       "4 llm 2 s1 127.0.0.2 2 0 1 1 - 80 -\n\n",
	    "two servers named: s1" },
	{ HEAD "4 llm 1 s1\t\x1b[2J x\n\n", "s1??[2J" },
};

static void test_another_answer_is_a_fault(void **state)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		const struct endpoint_spec *e;
		struct fault why;
		size_t n;

		assert_int_equal(parse(*state, bad[i].text, &e, &n, &why), -22);
		if (strstr(why.found, bad[i].says) == NULL)
			fail_msg("%s", why.found);
	}
}

static const char whole[] = HEAD
    "4 llm 1 s1 127.0.0.1 2 0 1 1 - 8001 -\n"
    "4 llm 2 s2 ::1 2 0 1 1 - 8002 -\n\n";

static void test_every_truncation_is_bad(void **state)
{
	for (size_t cut = 0; cut < sizeof(whole) - 1; cut++) {
		const struct endpoint_spec *e;
		struct fault why = { 0 };
		char *exact = malloc(cut + 1);	/* so that ASan sees the edge */
		size_t n;

		assert_non_null(exact);
		memcpy(exact, whole, cut);
		assert_int_equal(discover_haproxy_parse(
		    (struct span){ exact, cut }, &pool, *state, &e, &n, &why),
		    -22);
		free(exact);
	}
}

/* ---- over a socket ---- */

struct haproxy {		/* ours, to be asked */
	struct ev_loop *loop;
	ev_io io;
	int fd;
	const char *answer;	/* NULL: hang up without one */
	unsigned n_asked, n_sets;
	size_t n_last;
};

static void on_asked(EV_P_ ev_io *io, int revents)
{
	struct haproxy *h = io->data;
	int fd = accept(h->fd, NULL, NULL);
	static const char want[] = "show servers state llm\n";
	char got[64] = "";

	(void)revents;
	assert_true(fd >= 0);
	if (h->answer != NULL) {
		assert_int_equal(recv(fd, got, sizeof(want) - 1, MSG_WAITALL),
		    sizeof(want) - 1);
		assert_string_equal(got, want);
		assert_int_equal(send(fd, h->answer, strlen(h->answer), 0),
		    strlen(h->answer));
	}
	close(fd);
	if (++h->n_asked % 3 == 0)
		ev_break(EV_A_ EVBREAK_ALL);
}

static void on_set(void *data, const struct endpoint_spec *specs, size_t n)
{
	struct haproxy *h = data;

	(void)specs;
	h->n_sets++;
	h->n_last = n;
}

static void test_a_socket_is_asked_again_and_again(void **state)
{
	static const char *const answers[] = { whole, NULL, "1\n", "", whole };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct haproxy h = { .loop = ev_loop_new(EVFLAG_AUTO) };
	char dir[] = "/tmp/test_haproxy.XXXXXX";
	struct pool_options asked = pool;
	void *source;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", dir);
	h.fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(h.fd, (struct sockaddr *)&address,
	    sizeof(address)), 0);
	assert_int_equal(listen(h.fd, 8), 0);
	ev_io_init(&h.io, on_asked, h.fd, EV_READ);
	h.io.data = &h;
	ev_io_start(h.loop, &h.io);
	asked.haproxy_socket = address.sun_path;
	source = discover_haproxy.start(h.loop, &asked, on_set, &h);
	assert_non_null(source);
	for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
		unsigned before = h.n_sets;

		h.answer = answers[i];
		ev_run(h.loop, 0);	/* until asked three times */
		/* The answer before may have been on its way still. */
		if (answers[i] == whole)
			assert_true(h.n_sets - before >= 2);
		else
			assert_true(h.n_sets - before <= 1);
	}
	assert_int_equal(h.n_last, 2);
	discover_haproxy.stop(source);
	close(h.fd);
	unlink(address.sun_path);
	rmdir(dir);
	ev_loop_destroy(h.loop);
}

static void test_nobody_at_the_socket_is_no_set(void **state)
{
	static const char *const sockets[] = { "/nonesuch/socket",
		"127.0.0.1:1", "[::1]:1", "not an address" };
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);

	(void)state;
	for (size_t i = 0; i < sizeof(sockets) / sizeof(*sockets); i++) {
		struct haproxy h = { .loop = loop };
		struct pool_options asked = pool;
		void *source;

		asked.haproxy_socket = sockets[i];
		source = discover_haproxy.start(loop, &asked, on_set, &h);
		assert_non_null(source);
		for (int k = 0; k < 5; k++)
			ev_run(loop, EVRUN_NOWAIT);
		discover_haproxy.stop(source);
		assert_int_equal(h.n_sets, 0);
	}
	ev_loop_destroy(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_server_is_read_by_its_column_names),
		cmocka_unit_test(test_columns_may_stand_in_any_order),
		cmocka_unit_test(test_down_maint_and_drain_are_not_ready),
		cmocka_unit_test(test_what_has_no_place_is_left_out),
		cmocka_unit_test(
		    test_a_backend_without_servers_is_an_empty_set),
		cmocka_unit_test(test_another_answer_is_a_fault),
		cmocka_unit_test(test_every_truncation_is_bad),
		cmocka_unit_test(test_a_socket_is_asked_again_and_again),
		cmocka_unit_test(test_nobody_at_the_socket_is_no_set),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests_name("discover_haproxy", tests, setup,
	    teardown);
}
