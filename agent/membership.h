/*
 * membership.h - who is in a pool: shared by all its views until the set changes
 *
 * References are counted plainly: the scraper's thread only.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "endpoints.h"

struct home;
struct schedule;
struct target;

struct membership {
	unsigned refs;
	size_t n;
	struct home **homes;		/* one reference each */
	struct label_columns *labels;
	struct entries *entries;	/* NULL: the schedule has no entry_port */
	struct endpoint endpoints[];
};

/* The port of schedule.entry_port; 0: HAProxy sends to whom is picked. */
uint16_t membership_entry_port(const struct schedule *s);

/* Of the targets' homes, in their order; one reference. NULL without memory. */
struct membership *membership_new(struct target *const *targets, size_t n,
    uint16_t port);
void membership_unref(struct membership *m);
