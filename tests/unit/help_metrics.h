/*
 * help_metrics.h - a model server as far as a scraper sees it: one page over HTTP
 *
 * A thread of its own answers every request on 127.0.0.1 with the page of the moment;
 * connections are kept alive. Any thread may set what it says.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct help_metrics;

/* Port 0: any. The page is empty until it is set. */
struct help_metrics *help_metrics_start(uint16_t port);
uint16_t help_metrics_port(const struct help_metrics *m);

/* Closes all; the port refuses from now on. */
void help_metrics_stop(struct help_metrics *m);

void help_metrics_say(struct help_metrics *m, int status, const char *page);

/* The three numbers, in vLLM's words. */
void help_metrics_set(struct help_metrics *m, unsigned queued, unsigned running,
    double kv_used);

/* From now on requests are read and not answered. */
void help_metrics_hang(struct help_metrics *m, bool hang);
