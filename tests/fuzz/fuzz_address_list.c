/*
 * A list of addresses keeps whom its entries name one by one, and what is an address
 * is the same one when it is spelled as an endpoint's is.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "endpoints.h"
#include "fuzz.h"
#include "must.h"
#include "plugin.h"
#include "plugins/address_list.h"

enum { N = 5, SPELLED_MAX = INET6_ADDRSTRLEN + sizeof("[]:65535") };

static const char *spell(const struct address *a, char out[SPELLED_MAX])
{
	char ip[INET6_ADDRSTRLEN];

	inet_ntop(AF_INET6, &a->ip, ip, sizeof(ip));
	snprintf(out, SPELLED_MAX, "[%s]:%u", ip, a->port != 0 ? a->port : 1u);
	return out;
}

static void check_entry(struct span entry)
{
	char spelled[SPELLED_MAX];
	struct address a, again;

	if (!address_parse(&a, entry))
		return;
	must(memchr(entry.ptr, '\0', entry.len) == NULL);
	must(address_parse(&again, span_of(spell(&a, spelled))));
	must(memcmp(&a.ip, &again.ip, sizeof(a.ip)) == 0);
	must(again.port == (a.port != 0 ? a.port : 1));
	must(address_names(&a, span_of(spelled)));
}

/* The entries that are read, each by itself. */
static void look_at_each(struct span list, const struct endpoint *endpoints,
    bool *named)
{
	const char *at = list.ptr, *end = list.ptr + list.len;

	for (size_t n = 0; n < ADDRESS_LIST_MAX && at < end; n++) {
		const char *comma = memchr(at, ',', (size_t)(end - at));
		const char *stop = comma != NULL ? comma : end;
		struct span entry = { at, (size_t)(stop - at) };
		struct address a;

		check_entry(entry);
		for (size_t i = 0; i < N && address_parse(&a, entry); i++)
			named[i] |= address_names(&a, endpoints[i].addr);
		at = stop + 1;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint32_t rows[N] = { 4, 3, 2, 1, 0 };
	struct span list = { (const char *)data, size };
	struct endpoint endpoints[N] = {
		{ .addr = span_of("10.0.0.1:8000") },
		{ .addr = span_of("10.0.0.1:8001") },
		{ .addr = span_of("[fd00::7]:8000") },
		{ .addr = span_of("[::ffff:10.0.0.2]:80") },
		{ .addr = span_of("") },
	};
	struct endpoint_view view = { .n_endpoints = N,
		.endpoints = endpoints };
	struct choice c = { .view = &view, .rows = rows, .n = N };
	bool keep[N], named[N] = { false };

	address_list_keep(&c, list, keep);
	if (size > 0)
		look_at_each(list, endpoints, named);
	for (size_t i = 0; i < N; i++)
		must(keep[i] == named[rows[i]]);
	return 0;
}
