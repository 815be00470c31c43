/*
 * sim_server.h - one simulated model server: listener, engine, faults, page
 *
 * All servers of the process share one loop and know each other through the
 * house, so that one can be commanded over another's port. Main thread.
 */
#pragma once

#include <ev.h>

#include "sim_conn.h"
#include "sim_events.h"
#include "sim_fault.h"
#include "sim_page.h"

struct sim_server {
	struct sim_house *house;
	const struct sim_address *address;
	char headers[96];		/* "x-sim-server: ..." of every answer */
	struct sim_engine *engine;
	struct sim_events *events;	/* NULL: nobody is told of the cache */
	struct sim_engine_watch watch;
	struct sim_faults faults;
	struct sim_page page;
	struct buf stale_page;		/* while metrics_stale: what it shows */
	struct sim_conn_list conns;
	struct ev_io accepting;		/* fd -1 while refusing */
	struct ev_timer engine_timer, reopen_timer;
	uint64_t n_requests;		/* for ids */
};

struct sim_house {
	struct ev_loop *loop;
	const struct sim_options *options;
	struct sim_server *servers;
	size_t n_servers;
	struct sim_server oracle;	/* a listener; its engine stays idle */
};

/* Binds all; 0 or -errno, said in the log. Undo with sim_house_fini(). */
int sim_house_init(struct sim_house *h, struct ev_loop *loop,
    const struct sim_options *o);
void sim_house_fini(struct sim_house *h);

/*
 * The server of this process on that port, of the same address if there is one,
 * or NULL.
 */
struct sim_server *sim_server_sibling(struct sim_server *s, uint64_t port);

/* Whose engine takes it: `s`, or the one an oracle names. */
struct sim_server *sim_server_place(struct sim_server *s,
    const struct sim_seq *seq);

/* Works off what is due and sleeps until the next. After every submit. */
void sim_server_wake(struct sim_server *s);

/* Applies a fault, or clears them all, listener included. */
void sim_server_set_fault(struct sim_server *s, const struct sim_fault *fault);

/* Its cache forgets all that is not in use, and says so. */
void sim_server_clear(struct sim_server *s);

/* As if restarted: no cache, no counts, no faults; events count from 0. */
void sim_server_reset(struct sim_server *s);
