/*
 * report.h - what SIGUSR1 logs: every counter, and every endpoint as it is now
 *
 * One line `house.counters`, and a line `house.endpoint` each. Any thread that is
 * online in the fleet's epoch.
 */
#pragma once

#include <stddef.h>

struct counters;
struct fleet;

/* Sums over `n` threads' counters. */
void report_counters(const struct counters *const *threads, size_t n);
void report_endpoints(const struct fleet *fleet);
