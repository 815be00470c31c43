/*
 * sim_page.h - a server's /metrics, in vLLM's names and shape
 *
 * Rendered anew only in the parts that changed: an idle server's scrape is three
 * copies. The padding is one for all servers. Owned by its server; one thread.
 */
#pragma once

#include "buf.h"
#include "sim_engine.h"

enum { SIM_PAGE_PARTS = 3 };

struct sim_page {
	struct buf gauges, histograms;
	uint64_t gauges_version, n_observed;
	bool is_rendered;
};

void sim_page_init(struct sim_page *p);
void sim_page_fini(struct sim_page *p);

/* Lends the page; good until the next call for any server. */
void sim_page_render(struct sim_page *p, struct sim_engine *e,
    const struct sim_options *o, double unix_time,
    struct span parts[SIM_PAGE_PARTS]);

/* Frees what the servers share. */
void sim_page_shutdown(void);
