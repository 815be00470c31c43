/*
 * counters.h - what a worker counts, one row a name
 *
 * Each worker has its own struct, so that counting costs no shared cache line; any
 * thread may add them up. Names are Prometheus-ready. SIGUSR1 logs the sums.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define COUNTERS(X)                                                     \
	X(connections, "SPOP connections accepted")                     \
	X(hellos, "HELLO handshakes completed")                         \
	X(healthchecks, "health-check HELLOs answered")                 \
	X(notifies, "NOTIFY frames answered")                           \
	X(picks, "requests given an endpoint")                          \
	X(refused, "requests answered with a status of their own")      \
	X(unknown_pool, "requests for a pool that is not configured")   \
	X(no_pick, "requests answered without an endpoint")             \
	X(bad_messages, "NOTIFY payloads that could not be read")       \
	X(unknown_messages, "messages with a name that is not ours")    \
	X(bad_frames, "connections ended for a frame against the rules") \
	X(timeouts, "connections ended for a peer that went silent")    \
	X(write_errors, "connections ended because writing failed")     \
	X(overloaded, "requests answered unscheduled: too many at once") \
	X(shed, "sheddable requests refused: the pool was full")        \
	X(held, "requests that had to wait")                            \
	X(dispatched, "of these, picked for in the end")                \
	X(expired, "of these, refused after their time to live")        \
	X(gone, "of these, given up by their clients")                  \
	X(unbooked, "picks that found no room in the books")            \
	X(first_tokens, "first tokens told by HAProxy")                 \
	X(ends, "booked requests whose end HAProxy told")               \
	X(unknown_ends, "ends of requests that were not booked")        \
	X(moved, "requests that another endpoint served than was picked") \
	X(server_failures, "requests that their endpoint failed")       \
	X(ejections, "endpoints ejected for their failures")            \
	X(written_off, "bookings given up: the engine has none of them") \
	X(overdue, "bookings given up: they must be over by now")       \
	X(kv_batches, "batches of KV events that engines published")    \
	X(kv_replayed, "of these, asked for again after a gap")         \
	X(kv_events, "events in them")                                  \
	X(kv_chains, "prompts whose blocks are followed")               \
	X(kv_ambiguous, "chains of blocks that could be of several prompts") \
	X(kv_dropped, "text blocks dropped because an engine dropped theirs") \
	X(tokenized, "prompts whose token ids a tokenizer told")        \
	X(tokenize_failed, "prompts for which it did not")              \
	X(tokenize_dropped, "prompts it was not asked for: too many wait") \
	X(kv_found, "text blocks found in engines that were not known to be there") \
	X(kv_other_size, "blocks of another size than other engines'")  \
	X(kv_cleared, "endpoints purged: cleared, restarted or a gap")  \
	X(kv_lost, "gaps that could not be closed")                     \
	X(kv_garbage, "messages that could not be read")

struct counters {
#define COUNTER_FIELD(name, help) _Atomic uint64_t name;
	COUNTERS(COUNTER_FIELD)
#undef COUNTER_FIELD
};

/* By the owning worker only: a plain add, published without ordering. */
#define counter_add(counter, n)                                         \
	atomic_store_explicit(&(counter),                               \
	    atomic_load_explicit(&(counter), memory_order_relaxed) + (n), \
	    memory_order_relaxed)
