/*
 * bench_books.c - what following a request to its end costs, in process
 *
 * A life is books_open(), books_first() and books_end(), the last two by names in a
 * fleet of N endpoints, with 10,000 other requests under way. Beside it, in the same
 * run, the least that any such table does: the hash of the id, three times. Then the
 * same lives by two threads at once, which meet in shards and on endpoints.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "books.h"
#include "clock.h"
#include "counters.h"
#include "endpoints.h"
#include "hash.h"
#include "options.h"
#include "pick.h"
#include "record.h"

enum { N_LIVES = 1000000, UNDER_WAY = 10000, N_THREADS = 2, ID_BYTES = 36 };

static const size_t endpoint_counts[] = { 10, 100, 1000 };

static const struct pool_options pool_options = { .name = "llm",
	.outlier = { .consecutive_failures = 5, .base_ms = 30000,
		.max_ms = 300000, .max_percent = 10 } };
static const struct feedback_options feedback_options = {
	.max_requests = 65536, .server_timeout_ms = 600000,
};

struct fixture {
	struct endpoint_view view;
	const struct endpoint_view *views[1];
	struct fleet fleet;
	struct endpoint *endpoints;
	struct endpoint_stats *stats;
	char (*names)[24];
	struct books *books;
};

static void fixture_init(struct fixture *f, size_t n)
{
	f->endpoints = calloc(n, sizeof(*f->endpoints));
	f->stats = calloc(n, sizeof(*f->stats));
	f->names = calloc(n, sizeof(*f->names));
	f->view = (struct endpoint_view){ .pool = "llm", .is_known = true,
		.n_endpoints = n, .n_slots = n, .endpoints = f->endpoints,
		.stats = f->stats, .live = live_new(), .options = &pool_options };
	f->views[0] = &f->view;
	f->fleet = (struct fleet){ 1, f->views };
	f->books = books_new(&feedback_options, 1);
	for (size_t i = 0; i < n; i++) {
		snprintf(f->names[i], sizeof(f->names[i]), "s%06zu", i);
		f->endpoints[i].name = span_of(f->names[i]);
		f->endpoints[i].slot = f->stats[i].slot = (uint16_t)i;
	}
}

static void fixture_fini(struct fixture *f)
{
	books_free(f->books);
	live_release(f->view.live, f->view.n_slots);
	free(f->names);
	free(f->stats);
	free(f->endpoints);
}

static struct span id_of(size_t number, char out[ID_BYTES + 1])
{
	snprintf(out, ID_BYTES + 1, "00000000-0000-4000-8000-%012zx", number);
	return (struct span){ out, ID_BYTES };
}

static void open_one(struct fixture *f, size_t number, struct span id,
    struct counters *c)
{
	size_t row = number % f->view.n_endpoints;
	struct pick pick = { .live = endpoint_live(&f->view, row),
		.tokens = 100 };

	live_count_add(&pick.live->requests, 1);
	live_count_add(&pick.live->tokens, pick.tokens);
	books_open(f->books, id, &pick, true, (int64_t)number, c);
}

static void end_one(struct fixture *f, size_t number, struct span id,
    struct counters *c)
{
	const struct record r = { .id = id, .pool = span_of("llm"),
		.server = f->endpoints[number % f->view.n_endpoints].name,
		.status = 200, .ts = { '-', '-' }, .bytes = 5000,
		.ttft_us = -1 };

	books_end(f->books, &f->fleet, &r, (int64_t)number + 1000, c);
}

/* The same ids' texts are made on either side of the comparison. */
static double lives(struct fixture *f, size_t from, size_t n)
{
	struct counters *c = calloc(1, sizeof(*c));
	char text[ID_BYTES + 1];
	int64_t begun = clock_ns(), took;

	for (size_t i = from; i < from + n; i++) {
		struct span id = id_of(i, text);

		open_one(f, i, id, c);
		books_first(f->books, &f->fleet, id, span_of("llm"),
		    f->endpoints[i % f->view.n_endpoints].name,
		    (int64_t)i + 500, c);
		end_one(f, i, id, c);
	}
	took = clock_ns() - begun;
	if (c->ends != n)
		abort();
	free(c);
	return (double)took / (double)n;
}

static double hashes(size_t n)
{
	volatile uint64_t sum = 0;
	char text[ID_BYTES + 1];
	int64_t begun = clock_ns();

	for (size_t i = 0; i < n; i++) {
		struct span id = id_of(i, text);

		for (uint64_t seed = 0; seed < 3; seed++)
			sum += hash_bytes(id.ptr, id.len, seed);
	}
	return (double)(clock_ns() - begun) / (double)n;
}

struct job {
	struct fixture *f;
	size_t from;
	double ns;
};

static void *run_job(void *arg)
{
	struct job *j = arg;

	j->ns = lives(j->f, j->from, N_LIVES / N_THREADS);
	return NULL;
}

static double together(struct fixture *f)
{
	pthread_t threads[N_THREADS];
	struct job jobs[N_THREADS];
	double ns = 0;

	for (size_t i = 0; i < N_THREADS; i++) {
		jobs[i] = (struct job){ f, (i + 2) * N_LIVES, 0 };
		if (pthread_create(&threads[i], NULL, run_job, &jobs[i]) != 0)
			abort();
	}
	for (size_t i = 0; i < N_THREADS; i++) {
		pthread_join(threads[i], NULL);
		ns += jobs[i].ns / N_THREADS;
	}
	return ns;
}

static void bench(size_t n_endpoints)
{
	struct counters *c = calloc(1, sizeof(*c));
	char text[ID_BYTES + 1];
	struct fixture f;
	double alone, baseline, both;

	fixture_init(&f, n_endpoints);
	for (size_t i = 0; i < UNDER_WAY; i++)
		open_one(&f, i, id_of(10 * N_LIVES + i, text), c);
	baseline = hashes(N_LIVES);
	alone = lives(&f, 0, N_LIVES);
	both = together(&f);
	printf("%9zu %10.0f %10.0f %7.2f %16.0f\n", n_endpoints, baseline, alone,
	    alone / baseline, both);
	fixture_fini(&f);
	free(c);
}

int main(void)
{
	printf("bench_books: a request booked, moved to its first token, ended\n");
	printf("%9s %10s %10s %7s %16s\n", "endpoints", "hashes ns", "life ns",
	    "ratio", "by two, each ns");
	for (size_t i = 0; i < sizeof(endpoint_counts) / sizeof(size_t); i++)
		bench(endpoint_counts[i]);
	return 0;
}
