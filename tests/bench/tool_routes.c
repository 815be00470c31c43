/*
 * tool_routes.c - the hands of tests/bench/translator: makes routes, changes them and
 * waits for traffic
 *
 *	tool_routes make DIR N PORT TO	manifests of N routes on PORT, to 127.0.0.1:TO
 *	tool_routes time COMMAND...	"wall_ms cpu_ms rss_mb" of it, on fd 3
 *	tool_routes await PORT ROUTE	until that route answers 200
 *	tool_routes events DIR PORT COUNT CHURN_MS
 *	tool_routes endpoints DIR PORT TO OTHER COUNT
 *
 * Routes are those of gateway-api-bench's route probe, as in bench_manifest: a hostname
 * each, one rule with filters, one that leads nowhere; FILE_ROUTES to a file. `events`
 * adds a route at a time and asks for it until it is served, which must be 404 until it
 * is 200, then once for another, which shows the machine's own pauses. With CHURN_MS
 * another process changes one more route that often. It prints p50, p99, wrong answers
 * and p50, p99 of the other. `endpoints` moves
 * the EndpointSlice of all routes from one server, which answers 200, to another, which
 * answers 201, and back, and prints p50, p99 and wrong answers.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "must.h"

enum { FILE_ROUTES = 100, PROBE_US = 300, GIVE_UP_S = 60 };

static const char address[] = "127.0.0.1";

static void pause_us(long us)
{
	struct timespec t = { us / 1000000, us % 1000000 * 1000 };

	nanosleep(&t, NULL);
}

static unsigned long number(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	must(*text != '\0' && *end == '\0');
	return n;
}

/* ---- manifests ----------------------------------------------------------- */

static void put_head(FILE *f, unsigned long port)
{
	fprintf(f, "apiVersion: gateway.networking.k8s.io/v1\n"
	    "kind: GatewayClass\nmetadata: {name: epp}\n"
	    "spec: {controllerName: haproxy-epp.io/gateway-controller}\n---\n"
	    "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\n"
	    "metadata: {name: gw}\nspec:\n  gatewayClassName: epp\n"
	    "  addresses: [{type: IPAddress, value: %s}]\n"
	    "  listeners:\n  - {name: http, port: %lu, protocol: HTTP}\n---\n"
	    "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n"
	    "spec: {ports: [{port: 80}]}\n", address, port);
}

static void put_slice(FILE *f, unsigned long to)
{
	fprintf(f, "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
	    "metadata: {name: web, labels: "
	    "{kubernetes.io/service-name: web}}\n"
	    "addressType: IPv4\nendpoints: [{addresses: [%s]}]\n"
	    "ports: [{port: %lu}]\n", address, to);
}

static void put_route(FILE *f, const char *name, const char *path)
{
	fprintf(f, "---\napiVersion: gateway.networking.k8s.io/v1\n"
	    "kind: HTTPRoute\nmetadata:\n  name: %s\nspec:\n"
	    "  parentRefs:\n  - name: gw\n  hostnames:\n"
	    "  - \"%s.example.com\"\n  rules:\n  - matches:\n"
	    "    - path:\n        type: PathPrefix\n        value: /%s\n"
	    "    filters:\n    - type: RequestHeaderModifier\n"
	    "      requestHeaderModifier:\n        add:\n"
	    "        - name: x-a\n          value: b\n"
	    "    - type: ResponseHeaderModifier\n"
	    "      responseHeaderModifier:\n        add:\n"
	    "        - name: x-c\n          value: d\n"
	    "    backendRefs:\n    - name: web\n      port: 80\n"
	    "  - matches:\n    - path:\n        type: PathPrefix\n"
	    "        value: /\n    backendRefs:\n    - name: nowhere\n"
	    "      port: 80\n", name, name, path);
}

static FILE *begin(const char *dir, char path[4096])
{
	FILE *f;

	snprintf(path, 4096, "%s/.%d.new", dir, (int)getpid());
	f = fopen(path, "w");
	must(f != NULL);
	return f;
}

static void finish(FILE *f, const char *path, const char *dir,
    const char *name)
{
	char to[4096];

	must(fclose(f) == 0);
	snprintf(to, sizeof(to), "%s/%s.yaml", dir, name);
	must(rename(path, to) == 0);
}

static void make_slice(const char *dir, unsigned long to)
{
	char path[4096];
	FILE *f = begin(dir, path);

	put_slice(f, to);
	finish(f, path, dir, "slice");
}

static int make(char **argv)
{
	unsigned long n = number(argv[1]);
	char path[4096], name[32];
	FILE *f = begin(argv[0], path);

	put_head(f, number(argv[2]));
	finish(f, path, argv[0], "head");
	make_slice(argv[0], number(argv[3]));
	for (unsigned long i = 0; i < n;) {
		char file[32];

		snprintf(file, sizeof(file), "routes-%lu", i / FILE_ROUTES);
		f = begin(argv[0], path);
		do {
			snprintf(name, sizeof(name), "route-%lu", i);
			put_route(f, name, "p");
		} while (++i % FILE_ROUTES != 0 && i < n);
		finish(f, path, argv[0], file);
	}
	return 0;
}

/* ---- what a command takes ------------------------------------------------ */

static long long ms_of(const struct timeval *t)
{
	return (long long)t->tv_sec * 1000 + t->tv_usec / 1000;
}

static int time_it(char **argv)
{
	int64_t from = clock_ns();
	pid_t child = fork();
	struct rusage used;
	int status;

	if (child == 0) {
		execvp(argv[0], argv);
		_exit(127);
	}
	must(wait4(child, &status, 0, &used) == child);
	dprintf(3, "%lld %lld %.1f\n", (long long)(clock_ns() - from) / 1000000,
	    ms_of(&used.ru_utime) + ms_of(&used.ru_stime),
	    (double)used.ru_maxrss / 1024.);
	return status == 0 ? 0 : 1;
}

/* ---- from a file to traffic ---------------------------------------------- */

/* 0: nobody listens, or says something else. */
static int status_of(unsigned long port, const char *name, const char *path)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port) };
	struct timeval limit = { 5, 0 };
	char text[512];
	ssize_t n = 0;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, address, &to.sin_addr);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0) {
		n = snprintf(text, sizeof(text), "GET /%s HTTP/1.1\r\nhost: "
		    "%s.example.com\r\nconnection: close\r\n\r\n", path, name);
		n = send(fd, text, (size_t)n, MSG_NOSIGNAL);
		n = n > 0 ? recv(fd, text, sizeof(text) - 1, 0) : 0;
	}
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	return n > 12 ? (int)strtol(text + 9, NULL, 10) : 0;
}

/* How many of the answers until then were neither 404 nor 200. */
static unsigned await(unsigned long port, const char *name, const char *path)
{
	int64_t until = clock_ns() + (int64_t)GIVE_UP_S * 1000000000;
	unsigned wrong = 0;
	int status;

	while ((status = status_of(port, name, path)) != 200) {
		wrong += status != 404;
		must(clock_ns() < until);
		pause_us(PROBE_US);
	}
	return wrong;
}

static pid_t start_churn(const char *dir, unsigned long ms)
{
	pid_t child = fork();
	char path[4096], value[32];

	must(child >= 0);
	if (child > 0)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (unsigned long i = 0;; i++) {
		FILE *f = begin(dir, path);

		snprintf(value, sizeof(value), "v%lu", i % 7);
		put_route(f, "churn", value);
		finish(f, path, dir, "churn");
		pause_us((long)ms * 1000);
	}
}

static double ms_since(int64_t ns)
{
	return (double)(clock_ns() - ns) / 1e6;
}

static int by_size(const void *left, const void *right)
{
	const double *a = left, *b = right;

	return (*a > *b) - (*a < *b);
}

/* The median, and what 1 of 100 is not below. */
static void print_times(double *took, unsigned long n)
{
	qsort(took, n, sizeof(*took), by_size);
	printf("%.1f %.1f", took[n / 2], took[n * 99 / 100]);
}

static int events(char **argv)
{
	unsigned long port = number(argv[1]), n = number(argv[2]);
	unsigned long churn_ms = number(argv[3]);
	double *took = calloc(n, sizeof(*took));
	double *asked = calloc(n, sizeof(*asked));
	pid_t churn = churn_ms > 0 ? start_churn(argv[0], churn_ms) : 0;
	unsigned wrong = 0;

	must(took != NULL && asked != NULL && n > 0);
	for (unsigned long i = 0; i < n; i++) {
		char path[4096], name[64];
		FILE *f = begin(argv[0], path);
		int64_t from;

		snprintf(name, sizeof(name), "event-%lu-%lu", churn_ms, i);
		put_route(f, name, "p");
		finish(f, path, argv[0], name);
		/* There it is: how long the disk took for it is not ours. */
		from = clock_ns();
		wrong += await(port, name, "p");
		took[i] = ms_since(from);
		from = clock_ns();
		wrong += status_of(port, "route-0", "p") != 200;
		asked[i] = ms_since(from);
		pause_us((churn_ms > 0 ? 150000 : 600000) +
		    (long)(i * 7919 % 50000));
	}
	if (churn > 0)
		kill(churn, SIGKILL);
	print_times(took, n);
	printf(" %u ", wrong);
	print_times(asked, n);
	printf("\n");
	free(took);
	free(asked);
	return 0;
}

static int endpoints(char **argv)
{
	unsigned long port = number(argv[1]), n = number(argv[4]);
	double *took = calloc(n, sizeof(*took));
	unsigned wrong = 0;

	must(took != NULL && n > 0);
	for (unsigned long i = 0; i < n; i++) {
		bool is_other = i % 2 == 0;
		int status, want = is_other ? 201 : 200;
		int64_t from;

		make_slice(argv[0], number(argv[is_other ? 3 : 2]));
		from = clock_ns();
		while ((status = status_of(port, "route-0", "p")) != want) {
			wrong += status != 200 && status != 201;
			must(ms_since(from) < GIVE_UP_S * 1e3);
			pause_us(PROBE_US);
		}
		took[i] = ms_since(from);
		pause_us(600000 + (long)(i * 7919 % 50000));
	}
	print_times(took, n);
	printf(" %u\n", wrong);
	free(took);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int n;
		int (*run)(char **argv);
	} ways[] = {
		{ "make", 4, make }, { "events", 4, events },
		{ "endpoints", 5, endpoints },
	};

	signal(SIGPIPE, SIG_IGN);
	if (argc > 2 && strcmp(argv[1], "time") == 0)
		return time_it(argv + 2);
	if (argc == 4 && strcmp(argv[1], "await") == 0)
		return await(number(argv[2]), argv[3], "p") > 1000000;
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++)
		if (argc == ways[i].n + 2 && strcmp(argv[1], ways[i].name) == 0)
			return ways[i].run(argv + 2);
	fprintf(stderr, "tool_routes: see the top of tool_routes.c\n");
	return 2;
}
