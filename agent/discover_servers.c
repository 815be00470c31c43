/*
 * discover_servers.c - HAProxy's "show servers state", read by its column names
 *
 * Format version 1 of management.txt section 9.3: the version, a line of column
 * names behind '#', a line a server, and an empty line at the end of every
 * answer. Versions of HAProxy add columns at the end, so none is looked for by
 * its place. An answer without its end was cut short, and is no answer.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "discover_source.h"
#include "fault.h"

/* management.txt, "show servers state", srv_op_state and srv_admin_state */
enum {
	SRV_ST_STARTING = 1,
	SRV_ST_RUNNING = 2,
	/* FMAINT, IMAINT, FDRAIN, IDRAIN, RMAINT. Not CMAINT (0x04): it stays
	   on a server that was "disabled" once, even after "state ready"; nor
	   HMAINT (0x40), which only tells where the FQDN came from. */
	SRV_ADMF_AWAY = 0x01 | 0x02 | 0x08 | 0x10 | 0x20,
};

enum { COLUMNS_MAX = 64 };

enum column {
	BE_NAME, SRV_NAME, SRV_ADDR, SRV_OP_STATE, SRV_ADMIN_STATE, SRV_UWEIGHT,
	SRV_FQDN, SRV_PORT, N_COLUMNS,
};

static const char *const column_names[N_COLUMNS] = {
	[BE_NAME] = "be_name", [SRV_NAME] = "srv_name", [SRV_ADDR] = "srv_addr",
	[SRV_OP_STATE] = "srv_op_state", [SRV_ADMIN_STATE] = "srv_admin_state",
	[SRV_UWEIGHT] = "srv_uweight", [SRV_FQDN] = "srv_fqdn",
	[SRV_PORT] = "srv_port",
};

struct table {
	const struct pool_options *pool;
	struct arena *arena;
	struct fault *why;
	size_t places[N_COLUMNS];	/* of a column within a line */
	size_t n_fields;		/* of a line, as the header has it */
	struct endpoint_spec *specs;
	size_t n, cap;
};

static int bad(struct table *t, unsigned line, const char *what,
    struct span text)
{
	fault_setf(t->why, NULL, line, "%s: %.*s", what,
	    (int)(text.len < 64 ? text.len : 64), text.ptr);
	for (char *c = t->why->found; *c != '\0'; c++)
		if ((unsigned char)*c < ' ')
			*c = '?';
	fault_want(t->why, "show servers state, format 1");
	return -EINVAL;
}

static int no_memory(struct table *t)
{
	fault_set(t->why, NULL, 0, "no memory for its servers", NULL);
	return -ENOMEM;
}

/* Cuts what stands before `end` off `rest`; false when `end` does not come. */
static bool take_until(struct span *rest, char end, struct span *out)
{
	const char *at = NULL;

	if (rest->len > 0)
		at = memchr(rest->ptr, end, rest->len);
	if (at == NULL)
		return false;
	*out = (struct span){ rest->ptr, (size_t)(at - rest->ptr) };
	rest->ptr = at + 1;
	rest->len -= out->len + 1;
	return true;
}

/* The words of a line; how many, or SIZE_MAX when there are too many. */
static size_t split(struct span line, struct span fields[COLUMNS_MAX])
{
	struct span word;
	size_t n = 0;

	while (line.len > 0) {
		if (!take_until(&line, ' ', &word)) {
			word = line;
			line.len = 0;
		}
		if (word.len == 0)
			continue;
		if (n == COLUMNS_MAX)
			return SIZE_MAX;
		fields[n++] = word;
	}
	return n;
}

static int read_header(struct table *t, struct span line)
{
	struct span fields[COLUMNS_MAX];
	size_t n = split((struct span){ line.ptr + 1, line.len - 1 }, fields);

	if (n == SIZE_MAX)
		return bad(t, 2, "too many columns", line);
	for (size_t c = 0; c < N_COLUMNS; c++) {
		size_t i = 0;

		while (i < n && !span_is_text(fields[i], column_names[c]))
			i++;
		if (i == n)
			return bad(t, 2, "a header without",
			    span_of(column_names[c]));
		t->places[c] = i;
	}
	t->n_fields = n;
	return 0;
}

static bool parse_number(struct span s, uint32_t max, uint32_t *out)
{
	uint32_t value = 0;

	if (s.len == 0 || s.len > 9)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] < '0' || s.ptr[i] > '9')
			return false;
		value = value * 10 + (uint32_t)(s.ptr[i] - '0');
	}
	*out = value;
	return value <= max;
}

/* What HAProxy itself cannot reach by IP, or not yet, is no endpoint. */
static bool is_reachable(const char *address, uint32_t port)
{
	struct in6_addr six;
	struct in_addr four;

	if (port == 0)
		return false;
	if (inet_pton(AF_INET, address, &four) == 1)
		return four.s_addr != INADDR_ANY;
	return inet_pton(AF_INET6, address, &six) == 1 &&
	    memcmp(&six, &in6addr_any, sizeof(six)) != 0;
}

static struct endpoint_spec *add_spec(struct table *t)
{
	if (t->n == t->cap) {
		size_t cap = t->cap != 0 ? 2 * t->cap : 64;
		struct endpoint_spec *more = arena_alloc(t->arena,
		    cap * sizeof(*more));

		if (more == NULL)
			return NULL;
		if (t->n > 0)
			memcpy(more, t->specs, t->n * sizeof(*more));
		t->specs = more;
		t->cap = cap;
	}
	return &t->specs[t->n++];
}

static char *copy(struct table *t, struct span s)
{
	return arena_copy(t->arena, s.ptr, s.len);
}

/* Weight 0 is what "set server ... weight 0" leaves: HAProxy calls it DRAIN. */
static int read_server(struct table *t, unsigned n_line, struct span line)
{
	struct span fields[COLUMNS_MAX], fqdn;
	uint32_t port, op, admin, weight;
	struct endpoint_spec *spec;
	char *name, *address, *host;
	size_t n = split(line, fields);

	if (n != t->n_fields ||
	    !parse_number(fields[t->places[SRV_PORT]], 65535, &port) ||
	    !parse_number(fields[t->places[SRV_OP_STATE]], UINT32_MAX, &op) ||
	    !parse_number(fields[t->places[SRV_ADMIN_STATE]], UINT32_MAX,
		&admin) ||
	    !parse_number(fields[t->places[SRV_UWEIGHT]], UINT32_MAX, &weight))
		return bad(t, n_line, "not a server's line", line);
	if (!span_is_text(fields[t->places[BE_NAME]], t->pool->haproxy_backend))
		return 0;
	fqdn = fields[t->places[SRV_FQDN]];
	name = copy(t, fields[t->places[SRV_NAME]]);
	address = copy(t, fields[t->places[SRV_ADDR]]);
	host = span_is_text(fqdn, "-") ? address : copy(t, fqdn);
	if (name == NULL || address == NULL || host == NULL)
		return no_memory(t);
	if (!is_reachable(address, port))
		return 0;
	spec = add_spec(t);
	if (spec == NULL)
		return no_memory(t);
	*spec = (struct endpoint_spec){
		.name = name, .host = host, .address = address,
		.port = (uint16_t)port, .engine = t->pool->engine,
		.ready = (op == SRV_ST_STARTING || op == SRV_ST_RUNNING) &&
		    (admin & SRV_ADMF_AWAY) == 0 && weight > 0,
	};
	return 0;
}

static int by_name(const void *left, const void *right)
{
	return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* HAProxy may only warn of a name used twice; we could not tell them apart. */
static int refuse_twins(struct table *t)
{
	const char **names = arena_alloc(t->arena, t->n * sizeof(*names));

	if (names == NULL)
		return no_memory(t);
	for (size_t i = 0; i < t->n; i++)
		names[i] = t->specs[i].name;
	qsort(names, t->n, sizeof(*names), by_name);
	for (size_t i = 1; i < t->n; i++)
		if (strcmp(names[i - 1], names[i]) == 0)
			return bad(t, 0, "two servers named",
			    span_of(names[i]));
	return 0;
}

static int read_lines(struct table *t, struct span rest)
{
	struct span line;
	int err = 0;

	for (unsigned n_line = 2; err == 0; n_line++) {
		if (!take_until(&rest, '\n', &line))
			return bad(t, n_line, "no end", rest);
		if (line.len == 0)
			break;
		if (line.ptr[0] != '#')
			err = t->n_fields > 0 ? read_server(t, n_line, line) :
			    bad(t, n_line, "no column names before", line);
		else if (t->n_fields == 0)
			err = read_header(t, line);
	}
	if (err == 0 && t->n_fields == 0)
		return bad(t, 2, "no column names", rest);
	return err != 0 ? err : refuse_twins(t);
}

int discover_haproxy_parse(struct span text, const struct pool_options *pool,
    struct arena *arena, const struct endpoint_spec **out, size_t *n_out,
    struct fault *why)
{
	struct table t = { .pool = pool, .arena = arena, .why = why };
	struct span rest = text, version;
	int err;

	if (!take_until(&rest, '\n', &version))
		return bad(&t, 1, "no end", text);
	if (!span_is_text(version, "1"))
		return bad(&t, 1, "HAProxy says", version);
	err = read_lines(&t, rest);
	if (err != 0)
		return err;
	*out = t.specs;
	*n_out = t.n;
	return 0;
}
