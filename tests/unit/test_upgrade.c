#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "fault.h"
#include "handover.h"
#include "listener.h"
#include "log.h"
#include "options.h"
#include "slurp.h"
#include "upgrade.h"

enum { WAIT_MS = 10000 };

static struct ev_loop *loop;
static char directory[64], program[96], output[96], gate[96], path[96];
static char *argv[] = { program, output, (char *)"-f", (char *)"a b.yaml",
	NULL };

static const char *const environment[] = { "EPP_AGENT_HANDOVER",
	"EPP_AGENT_PARENT", "EPP_AGENT_SOCKETS", "LISTEN_PID", "LISTEN_FDS",
	"LISTEN_FDNAMES" };

enum { N_ENVIRONMENT = sizeof(environment) / sizeof(*environment) };

static void write_script(const char *text)
{
	FILE *f;

	unlink(program);
	f = fopen(program, "w");
	fprintf(f, "#!/bin/sh\n%s\n", text);
	fclose(f);
	chmod(program, 0700);
}

static void expect_output(const char *want)
{
	char *got = NULL;
	ssize_t n = slurp_file(output, 4096, &got);

	assert_true(n >= 0);
	assert_int_equal(n, strlen(want));
	assert_memory_equal(got, want, (size_t)n);
	free(got);
}

static void on_tick(EV_P_ ev_timer *timer, int revents)
{
	(void)loop;
	(void)timer;
	(void)revents;
}

/* Runs the loop until the child has ended. */
static void run_until_ended(struct upgrade *u)
{
	int64_t end = clock_ms() + WAIT_MS;
	ev_timer tick;

	ev_timer_init(&tick, on_tick, .005, .005);
	ev_timer_start(loop, &tick);
	while (upgrade_child(u) != 0 && clock_ms() < end)
		ev_run(loop, EVRUN_ONCE);
	ev_timer_stop(loop, &tick);
	assert_int_equal(upgrade_child(u), 0);
}

static int listen_at(const char *file)
{
	const struct listen_options l = { .text = file, .path = file,
		.mode = 0600 };
	struct fault why = { 0 };
	int fd = listener_open(&l, &why);

	assert_true(fd >= 0);
	return fd;
}

/* ---- which program ---- */

static void expect_program(const char *argv0, const char *in, const char *cwd,
    const char *want)
{
	char *got = upgrade_program(argv0, in, cwd);

	if (want == NULL)
		assert_null(got);
	else
		assert_string_equal(got, want);
	free(got);
}

static void test_the_program_is_found_as_a_shell_finds_it(void **state)
{
	char in[512], here[256];

	(void)state;
	write_script("exit 0");
	expect_program(program, NULL, "/", program);
	expect_program("p", directory, "/", program);
	expect_program("p", "/nonexistent:/dev", "/", NULL);
	snprintf(in, sizeof(in), "/nonexistent:%s:/bin", directory);
	expect_program("p", in, "/", program);
	expect_program("sh", in, "/", "/bin/sh");
	expect_program("p", NULL, directory, NULL);
	expect_program("p", "", directory, program);	/* empty: here */
	expect_program("p", "/nonexistent:", directory, program);
	snprintf(here, sizeof(here), "%s/./p", directory);
	expect_program("./p", "/bin", directory, here);
	snprintf(here, sizeof(here), "%s/./p", directory);
	expect_program("p", ".", directory, here);
	expect_program("./p", directory, "/", NULL);
	expect_program("../p", directory, "/tmp", NULL);
	expect_program("", directory, directory, NULL);
	expect_program("/", directory, directory, NULL);
	expect_program(directory, directory, directory, NULL);
}

static void test_a_file_that_cannot_run_is_no_program(void **state)
{
	(void)state;
	write_script("exit 0");
	chmod(program, 0600);
	expect_program(program, NULL, "/", NULL);
	expect_program("p", directory, "/", NULL);
}

/* A package may lead it elsewhere: that is what we want to start then. */
static void test_a_link_is_not_followed_early(void **state)
{
	char link[128];

	(void)state;
	write_script("exit 0");
	snprintf(link, sizeof(link), "%s/link", directory);
	assert_int_equal(symlink("p", link), 0);
	expect_program("link", directory, "/", link);
	unlink(link);
	expect_program("link", directory, "/", NULL);
}

/* ---- what the environment says ---- */

static void test_a_pid_is_digits_above_one(void **state)
{
	static const struct {
		const char *text;
		pid_t want;
	} rows[] = {
		{ NULL, 0 }, { "", 0 }, { "0", 0 }, { "1", 0 }, { "2", 2 },
		{ "4711", 4711 }, { "-1", 0 }, { "-4711", 0 }, { "+5", 0 },
		{ " 5", 0 }, { "5 ", 0 }, { "0x10", 0 }, { "1e3", 0 },
		{ "2147483647", 2147483647 }, { "2147483648", 0 },
		{ "4294967298", 0 }, { "18446744073709551618", 0 },
		{ "99999999999999999999999", 0 }, { "12\n", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_int_equal(upgrade_parent(rows[i].text), rows[i].want);
}

/* Whoever we start later shall not believe that they are meant. */
static void test_the_environment_is_read_once(void **state)
{
	struct handover *from;
	char text[16];
	int fd = listen_at(path), twin = dup(fd);

	(void)state;
	for (size_t i = 0; i < N_ENVIRONMENT; i++)
		setenv(environment[i], "4711", 1);
	snprintf(text, sizeof(text), "%d", twin);
	setenv("EPP_AGENT_SOCKETS", text, 1);
	assert_int_equal(upgrade_inherit(&from), 4711);
	assert_null(from);			/* 4711 is no socket of 4711 */
	for (size_t i = 0; i < N_ENVIRONMENT; i++)
		assert_null(getenv(environment[i]));
	assert_int_equal(upgrade_inherit(&from), 0);
	assert_null(from);
	listener_share();		/* or the file would go with the first */
	listener_close(fd);
	assert_int_equal(listen_at(path), twin);
	listener_unshare();
	listener_close(twin);
}

/* A pair of our own stands for the parent's; each text but its number is nobody's. */
static void test_the_handover_is_a_number_and_our_parents(void **state)
{
	static const char *const texts[] = { "", "x", "-1", "%d ", " %d", "+%d",
		"0x%x", "0", "1", "2", "99999999999999999999", "4294967299" };
	struct handover *giver, *from;
	char text[64], pid[16];
	int theirs;

	(void)state;
	giver = handover_open(&theirs);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		size_t lead = strcspn(texts[i], "%");

		snprintf(text, sizeof(text), "%.*s", (int)lead, texts[i]);
		if (texts[i][lead] == '%')
			snprintf(text + lead, sizeof(text) - lead, "%d%s",
			    theirs, texts[i] + lead + 2);
		setenv("EPP_AGENT_PARENT", pid, 1);
		setenv("EPP_AGENT_HANDOVER", text, 1);
		assert_int_equal(upgrade_inherit(&from), getpid());
		assert_null(from);
	}
	snprintf(text, sizeof(text), "%d", theirs);
	setenv("EPP_AGENT_HANDOVER", text, 1);	/* and nobody's child */
	assert_int_equal(upgrade_inherit(&from), 0);
	assert_null(from);
	setenv("EPP_AGENT_PARENT", pid, 1);
	setenv("EPP_AGENT_HANDOVER", text, 1);
	assert_int_equal(upgrade_inherit(&from), getpid());
	assert_non_null(from);
	handover_close(from);
	handover_close(giver);
}

/* ---- the child ---- */

static void test_the_child_gets_arguments_sockets_and_our_pid(void **state)
{
	struct upgrade *u;
	char script[1024], want[640];
	int fd = listen_at(path), other = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	for (size_t i = 0; i < N_ENVIRONMENT; i++)	/* not to be passed on */
		setenv(environment[i], "77", 1);
	snprintf(script, sizeof(script), "exec >$1\n"
	    "echo \"$0|$2|$3|$#\"\n"
	    "env | grep -e ^EPP_AGENT_ -e ^LISTEN_ | sort | sed s/R=.*/R/\n"
	    "test -S /proc/$$/fd/%d && echo a socket\n"
	    "test -S /proc/$$/fd/$EPP_AGENT_HANDOVER && echo another\n"
	    "test -e /proc/$$/fd/%d || echo no other\n"
	    "exit 3", fd, other);
	write_script(script);
	u = upgrade_new(loop, argv);
	assert_int_equal(upgrade_start(u), 0);
	assert_true(upgrade_child(u) > 1);
	run_until_ended(u);
	snprintf(want, sizeof(want), "%s|-f|a b.yaml|3\nEPP_AGENT_HANDOVER\n"
	    "EPP_AGENT_PARENT=%d\nEPP_AGENT_SOCKETS=%d\na socket\nanother\n"
	    "no other\n", program, (int)getpid(), fd);
	expect_output(want);
	upgrade_free(u);
	listener_close(fd);
	close(other);
	for (size_t i = 0; i < N_ENVIRONMENT; i++)
		unsetenv(environment[i]);
}

/* One that knows nothing of handovers never says that it takes. */
static void test_a_child_that_says_nothing_is_given_nothing(void **state)
{
	struct upgrade *u;
	char script[256];
	int out;

	(void)state;
	snprintf(script, sizeof(script), "read x <%s; exit 1", gate);
	write_script(script);
	assert_int_equal(mkfifo(gate, 0600), 0);
	assert_null(upgrade_handover(NULL));
	u = upgrade_new(loop, argv);
	assert_null(upgrade_handover(u));
	assert_int_equal(upgrade_start(u), 0);
	out = open(gate, O_WRONLY);		/* it runs */
	assert_null(upgrade_handover(u));
	close(out);
	run_until_ended(u);
	assert_null(upgrade_handover(u));
	upgrade_free(u);
	unlink(gate);
}

/* ---- a child that takes: this program, as its main() says ---- */

static void greet(void *data, struct handed *c)
{
	bool is_whole = c->max_frame == 4711 && c->len == 3 &&
	    memcmp(c->bytes, "abc", 3) == 0;

	(void)data;
	if (send(c->fd, is_whole ? "good" : "bad!", 4, MSG_NOSIGNAL) != 4)
		_exit(2);
	handed_free(c);
}

/* Until its parent has no more. */
static int take_connections(void)
{
	struct ev_loop *own = ev_default_loop(EVFLAG_AUTO);
	struct handover *from;

	if (upgrade_inherit(&from) != getppid() || from == NULL)
		return 3;
	log_set_level(LOG_LEVEL_ERROR);
	handover_take(from, own, greet, NULL);
	ev_run(own, 0);
	handover_close(from);
	return 0;
}

static struct handover *await_handover(struct upgrade *u)
{
	int64_t end = clock_ms() + WAIT_MS;
	struct handover *h;

	while ((h = upgrade_handover(u)) == NULL && clock_ms() < end)
		poll(NULL, 0, 1);
	assert_non_null(h);
	return h;
}

static void expect_greeting(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char word[5] = "";

	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	assert_int_equal(recv(fd, word, 4, 0), 4);
	assert_string_equal(word, "good");
}

static void test_a_child_that_takes_is_given_our_connections(void **state)
{
	char itself[256] = "";
	char *takes[] = { itself, (char *)"take", NULL };
	struct upgrade *u;
	struct handover *to;
	int pair[2], status;
	pid_t child;

	(void)state;
	assert_true(readlink("/proc/self/exe", itself, sizeof(itself) - 1) > 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	u = upgrade_new(loop, takes);
	assert_int_equal(upgrade_start(u), 0);
	child = upgrade_child(u);
	to = await_handover(u);
	assert_ptr_equal(upgrade_handover(u), to);
	assert_int_equal(handover_give(to, pair[1], 4711, span_of("abc")), 0);
	close(pair[1]);
	expect_greeting(pair[0]);
	upgrade_free(u);		/* we end; so does what it takes */
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	close(pair[0]);
}

static void test_one_that_took_and_died_is_no_longer_awaited(void **state)
{
	char itself[256] = "";
	char *takes[] = { itself, (char *)"take", NULL };
	struct upgrade *u;

	(void)state;
	assert_true(readlink("/proc/self/exe", itself, sizeof(itself) - 1) > 0);
	u = upgrade_new(loop, takes);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(upgrade_start(u), 0);
		assert_non_null(await_handover(u));
		kill(upgrade_child(u), SIGKILL);
		run_until_ended(u);
		assert_null(upgrade_handover(u));
	}
	upgrade_free(u);
}

/* Not for want of a pair of sockets shall an upgrade fail: all but one are taken. */
static void test_without_descriptors_it_starts_all_the_same(void **state)
{
	struct upgrade *u;
	struct rlimit files, few;
	int taken[64], n = 0;

	(void)state;
	write_script("env | grep -c EPP_AGENT_HANDOVER >$1; exit 1");
	u = upgrade_new(loop, argv);
	getrlimit(RLIMIT_NOFILE, &files);
	few = (struct rlimit){ 64, files.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	while ((taken[n] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
		n++;
	assert_true(n > 0);
	close(taken[--n]);
	assert_int_equal(upgrade_start(u), 0);
	while (n > 0)
		close(taken[--n]);
	setrlimit(RLIMIT_NOFILE, &files);
	assert_null(upgrade_handover(u));
	run_until_ended(u);
	expect_output("0\n");
	upgrade_free(u);
}

static void test_a_replaced_program_is_what_starts(void **state)
{
	struct upgrade *u;

	(void)state;
	write_script("echo old >$1; exit 1");
	u = upgrade_new(loop, argv);
	write_script("echo new >$1; exit 1");
	assert_int_equal(upgrade_start(u), 0);
	run_until_ended(u);
	expect_output("new\n");
	upgrade_free(u);
}

/* After a failure the next one may try: nothing has changed. */
static void test_one_at_a_time_and_again_after_a_failure(void **state)
{
	struct upgrade *u;
	int fd = listen_at(path), out;
	char script[256];

	(void)state;
	snprintf(script, sizeof(script), "read x <%s; exit 1", gate);
	write_script(script);
	assert_int_equal(mkfifo(gate, 0600), 0);
	u = upgrade_new(loop, argv);
	for (int i = 0; i < 2; i++) {
		pid_t child;

		assert_int_equal(upgrade_start(u), 0);
		child = upgrade_child(u);
		assert_int_equal(upgrade_start(u), -EALREADY);
		assert_int_equal(upgrade_child(u), child);
		out = open(gate, O_WRONLY);	/* once it reads */
		assert_int_equal(write(out, "x\n", 2), 2);
		close(out);
		run_until_ended(u);
	}
	upgrade_free(u);
	listener_close(fd);
	assert_int_equal(access(path, F_OK), -1);	/* ours again */
	unlink(gate);
}

static void test_a_child_that_is_killed_is_a_failure_too(void **state)
{
	struct upgrade *u;
	int fd = listen_at(path);

	(void)state;
	write_script("kill -KILL $$");
	u = upgrade_new(loop, argv);
	assert_int_equal(upgrade_start(u), 0);
	run_until_ended(u);
	upgrade_free(u);
	listener_close(fd);
	assert_int_equal(access(path, F_OK), -1);
}

/* While it is on its way the file is shared: our end is not its. */
static void test_stopping_meanwhile_leaves_the_child_its_file(void **state)
{
	struct upgrade *u;
	int fd = listen_at(path);
	pid_t child;
	int status;

	(void)state;
	write_script("exit 0");
	u = upgrade_new(loop, argv);
	assert_int_equal(upgrade_start(u), 0);
	child = upgrade_child(u);
	listener_close(fd);
	upgrade_free(u);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
}

static void test_a_program_that_is_gone_changes_nothing(void **state)
{
	struct upgrade *u;
	int fd = listen_at(path);

	(void)state;
	write_script("exit 0");
	u = upgrade_new(loop, argv);
	unlink(program);
	assert_int_equal(upgrade_start(u), -ENOENT);
	assert_int_equal(upgrade_child(u), 0);
	upgrade_free(u);
	u = upgrade_new(loop, argv);		/* not even at the start */
	assert_int_equal(upgrade_start(u), -ENOENT);
	upgrade_free(u);
	listener_close(fd);
	assert_int_equal(access(path, F_OK), -1);
}

/* ---- taking over ---- */

static bool told_to_stop(pid_t old)
{
	const struct timespec wait = { .tv_sec = old == getpid() ?
		WAIT_MS / 1000 : 0 };
	sigset_t term;
	bool is_told;
	pid_t child;
	int status;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	child = fork();
	if (child == 0) {
		upgrade_finish(old);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	is_told = sigtimedwait(&term, NULL, &wait) == SIGTERM;
	sigprocmask(SIG_UNBLOCK, &term, NULL);
	return is_told;
}

static void test_only_the_parent_is_told_to_stop(void **state)
{
	pid_t bystander = fork();
	int status;

	(void)state;
	if (bystander == 0) {
		pause();
		_exit(0);
	}
	assert_true(told_to_stop(getpid()));
	assert_false(told_to_stop(0));
	assert_false(told_to_stop(bystander));
	assert_int_equal(waitpid(bystander, &status, WNOHANG), 0);
	kill(bystander, SIGKILL);
	waitpid(bystander, &status, 0);
	assert_int_equal(WTERMSIG(status), SIGKILL);	/* and no SIGTERM */
}

static int setup(void **state)
{
	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	loop = ev_default_loop(EVFLAG_AUTO);
	snprintf(directory, sizeof(directory), "/tmp/test_upgrade.XXXXXX");
	if (mkdtemp(directory) == NULL)
		return -1;
	snprintf(program, sizeof(program), "%s/p", directory);
	snprintf(output, sizeof(output), "%s/out", directory);
	snprintf(gate, sizeof(gate), "%s/gate", directory);
	snprintf(path, sizeof(path), "%s/s", directory);
	return 0;
}

static int teardown(void **state)
{
	int fds[LISTENERS_MAX];

	(void)state;
	unlink(program);
	unlink(output);
	return listener_list(fds) == 0 ? rmdir(directory) : -1;
}

#define unit(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(int argc, char **args)
{
	if (argc == 2 && strcmp(args[1], "take") == 0)
		return take_connections();

	const struct CMUnitTest tests[] = {
		unit(test_the_program_is_found_as_a_shell_finds_it),
		unit(test_a_file_that_cannot_run_is_no_program),
		unit(test_a_link_is_not_followed_early),
		unit(test_a_pid_is_digits_above_one),
		unit(test_the_environment_is_read_once),
		unit(test_the_handover_is_a_number_and_our_parents),
		unit(test_the_child_gets_arguments_sockets_and_our_pid),
		unit(test_a_child_that_says_nothing_is_given_nothing),
		unit(test_a_child_that_takes_is_given_our_connections),
		unit(test_one_that_took_and_died_is_no_longer_awaited),
		unit(test_without_descriptors_it_starts_all_the_same),
		unit(test_a_replaced_program_is_what_starts),
		unit(test_one_at_a_time_and_again_after_a_failure),
		unit(test_a_child_that_is_killed_is_a_failure_too),
		unit(test_stopping_meanwhile_leaves_the_child_its_file),
		unit(test_a_program_that_is_gone_changes_nothing),
		unit(test_only_the_parent_is_told_to_stop),
	};

	return cmocka_run_group_tests_name("upgrade", tests, NULL, NULL);
}
