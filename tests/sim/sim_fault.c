/*
 * sim_fault.c - a table of kinds and one of keys; the text names rows of both
 */
#include "sim_fault.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

static const struct {
	const char *name;
	enum sim_fault_kind kind;
	enum sim_fault_class class;
} kinds[] = {
	{ "none", SIM_FAULT_NONE, SIM_ON_ALL },
	{ "delay", SIM_FAULT_DELAY, SIM_ON_REQUESTS },
	{ "hang", SIM_FAULT_HANG, SIM_ON_REQUESTS },
	{ "reset", SIM_FAULT_RESET, SIM_ON_REQUESTS },
	{ "status503", SIM_FAULT_503, SIM_ON_REQUESTS },
	{ "status429", SIM_FAULT_429, SIM_ON_REQUESTS },
	{ "refuse", SIM_FAULT_REFUSE, SIM_ON_LISTENER },
	{ "crash", SIM_FAULT_CRASH, SIM_ON_LISTENER },
	{ "metrics_garbage", SIM_FAULT_METRICS_GARBAGE, SIM_ON_METRICS },
	{ "metrics_stale", SIM_FAULT_METRICS_STALE, SIM_ON_METRICS },
	{ "metrics_hang", SIM_FAULT_METRICS_HANG, SIM_ON_METRICS },
	{ "metrics_503", SIM_FAULT_METRICS_503, SIM_ON_METRICS },
	{ "metrics_huge", SIM_FAULT_METRICS_HUGE, SIM_ON_METRICS },
};

static const struct {
	const char *name;
	size_t offset;
} keys[] = {
	{ "ms", offsetof(struct sim_fault, ms) },
	{ "for", offsetof(struct sim_fault, for_ms) },
	{ "count", offsetof(struct sim_fault, count) },
	{ "after", offsetof(struct sim_fault, after) },
	{ "port", offsetof(struct sim_fault, port) },
};

enum {
	N_KINDS = sizeof(kinds) / sizeof(kinds[0]),
	N_KEYS = sizeof(keys) / sizeof(keys[0]),
	NUMBER_MAX = 1000000000,
};

static int bad_kind(struct span value, struct fault *f)
{
	char names[256];
	size_t len = 0;

	for (size_t i = 0; i < N_KINDS; i++)
		len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s",
		    i > 0 ? ", " : "", kinds[i].name);
	fault_setf(f, NULL, 0, "kind=%.*s", (int)value.len,
	    value.len > 0 ? value.ptr : "");
	fault_want(f, "kind= one of %s", names);
	return -1;
}

static int read_kind(struct sim_fault *out, struct span value, struct fault *f)
{
	for (size_t i = 0; i < N_KINDS; i++) {
		if (!span_is_text(value, kinds[i].name))
			continue;
		out->kind = kinds[i].kind;
		out->class = kinds[i].class;
		return 0;
	}
	return bad_kind(value, f);
}

static int read_key(struct sim_fault *out, struct span key, struct span value,
    struct fault *f)
{
	char text[16] = "", *end;
	unsigned long long number;

	for (size_t i = 0; i < N_KEYS; i++) {
		if (!span_is_text(key, keys[i].name))
			continue;
		if (value.len == 0 || value.len >= sizeof(text))
			break;
		memcpy(text, value.ptr, value.len);
		number = strtoull(text, &end, 10);
		if (*end != '\0' || text[0] == '-' || number > NUMBER_MAX)
			break;
		*(uint64_t *)((char *)out + keys[i].offset) = number;
		return 0;
	}
	fault_setf(f, NULL, 0, "%.*s=%.*s", (int)key.len, key.ptr,
	    (int)value.len,
	    value.len > 0 ? value.ptr : "");
	fault_want(f, "kind=, ms=, for=, count=, after= or port=, and whole "
	    "numbers up to %d", NUMBER_MAX);
	return -1;
}

static int read_pair(struct sim_fault *out, struct span pair, bool *has_kind,
    struct fault *f)
{
	const char *eq = memchr(pair.ptr, '=', pair.len);
	struct span key = pair, value = { 0 };

	if (eq != NULL) {
		key.len = (size_t)(eq - pair.ptr);
		value = (struct span){ eq + 1, pair.len - key.len - 1 };
	}
	if (!span_is_text(key, "kind"))
		return read_key(out, key, value, f);
	*has_kind = true;
	return read_kind(out, value, f);
}

int sim_fault_read(struct sim_fault *out, struct span text, struct fault *f)
{
	bool has_kind = false;
	size_t at = 0, end;

	*out = (struct sim_fault){ 0 };
	while (text.len > 0 && (text.ptr[text.len - 1] == '\n' ||
	    text.ptr[text.len - 1] == '\r'))
		text.len--;
	for (; at < text.len; at = end + 1) {
		for (end = at; end < text.len && text.ptr[end] != '&';)
			end++;
		if (end > at && read_pair(out, (struct span){ text.ptr + at,
		    end - at }, &has_kind, f) < 0)
			return -1;
	}
	if (!has_kind)
		return bad_kind(span_of(NULL), f);
	if (out->kind != SIM_FAULT_DELAY && out->for_ms == 0)
		out->for_ms = out->ms;
	return 0;
}

void sim_faults_set(struct sim_faults *all, const struct sim_fault *fault,
    int64_t now_ns)
{
	struct sim_fault *at = &all->of[fault->class];

	if (fault->class == SIM_ON_ALL) {
		*all = (struct sim_faults){ 0 };
		return;
	}
	*at = *fault;
	at->until_ns = fault->for_ms == 0 ? INT64_MAX :
	    now_ns + (int64_t)fault->for_ms * 1000000;
}

struct sim_fault sim_faults_use(struct sim_faults *all,
    enum sim_fault_class class, int64_t now_ns)
{
	struct sim_fault *at = &all->of[class];
	struct sim_fault used;

	if (at->kind != SIM_FAULT_NONE && now_ns >= at->until_ns)
		at->kind = SIM_FAULT_NONE;
	used = *at;
	if (at->kind != SIM_FAULT_NONE && at->count > 0 && --at->count == 0)
		at->kind = SIM_FAULT_NONE;
	return used;
}
