#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "buf.h"
#include "fuzz.h"
#include "must.h"
#include "status.h"
#include "status_since.h"

enum { NOW_S = 1769904000 };	/* 2026-02-01T00:00:00Z */

static struct condition conditions[] = {
	{ "Accepted", CONDITION_TRUE, "Accepted", "" },
	{ "Programmed", CONDITION_FALSE, "Invalid", "" },
	{ "ResolvedRefs", CONDITION_UNKNOWN, "Pending", "" },
};
static const struct conditions all_three = { conditions, 3, 3 };

static struct buf written(const struct statuses *all,
    struct status_since *since, int64_t now_s)
{
	struct buf out;

	buf_init(&out, 1 << 20);
	status_since_begin(since, now_s);
	status_write(all, since, &out);
	must(!buf_failed(&out));
	return out;
}

/* Whatever was in the file, what is written is read back to the second. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct object gateway = { KIND_GATEWAY, .namespace = "n",
		.name = "gw" }, route = { KIND_HTTP_ROUTE, .namespace = "n",
		.name = "r" };
	struct status_listener listener = { .name = "http",
		.conditions = all_three };
	struct status_parent parents[] = {
		{ { .kind = "Gateway", .group = "g", .name = "gw" },
		  all_three },
		{ { .kind = "Gateway", .group = "g", .name = "gw",
		    .namespace = "n", .section = "http", .port = 80 },
		  all_three },
	};
	struct status items[] = {
		{ .object = &gateway, .conditions = all_three,
		  .listeners = &listener, .n_listeners = 1 },
		{ .object = &route, .parents = parents, .n_parents = 2 },
	};
	const struct statuses all = { items, 2, "example.com/epp" };
	struct status_since *since = status_since_new();
	struct status_since *again = status_since_new();
	struct buf first, second;

	must(since != NULL && again != NULL);
	status_read_text(&all, (struct span){ (const char *)data, size },
	    NOW_S, since);
	first = written(&all, since, NOW_S);
	must(status_read_text(&all, buf_span(&first), NOW_S, again));
	second = written(&all, again, NOW_S + 1);
	must(first.len == second.len &&
	    memcmp(first.data, second.data, first.len) == 0);
	buf_fini(&first);
	buf_fini(&second);
	status_since_free(since);
	status_since_free(again);
	return 0;
}
