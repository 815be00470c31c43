/*
 * address_list.h - "10.0.0.7, 10.0.0.8:8000, [fd00::7]:8000" as a header has it
 *
 * An address without a port stands for every port of it. IPv6 is in brackets, or bare
 * when it has no port; however it is spelled, the same address is the same. What is no
 * address names nobody. Pure, no memory but the stack; any thread.
 *
 * A client can make a header as long as HAProxy's buffer, so no more than
 * ADDRESS_LIST_MAX entries are read; what stands behind them is as good as not there.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "span.h"

struct choice;

enum { ADDRESS_LIST_MAX = 1024 };

struct address {
	struct in6_addr ip;	/* IPv4 mapped into IPv6: RFC 4291 2.5.5.2 */
	uint16_t port;		/* 0: any */
};

/* White space around it is passed over. False: it is none. */
bool address_parse(struct address *a, struct span text);

/* Is `text`, an endpoint's addr, what `a` names? */
bool address_names(const struct address *a, struct span text);

/* Keeps the candidates that the list names; clears keep[i] of all others. */
void address_list_keep(const struct choice *c, struct span list, bool *keep);
