/*
 * live.c - blocks that are used again and never freed
 */
#include "live.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "heat.h"
#include "lately.h"
#include "must.h"
#include "prefix.h"

/*
 * Mapped, hence aligned to cache lines, of which each endpoint has one. What is behind
 * them names endpoints by slot and generation, or is forgotten within seconds, so that
 * nothing must be cleared; but the pace, which is renewed with them.
 */
struct mapping {
	struct endpoint_live live[PREFIX_SLOTS_MAX];
	_Alignas(64) struct pool_live pool;
	_Alignas(64) _Atomic uint64_t cold[PREFIX_SLOTS_MAX];
	_Alignas(64) _Atomic uint64_t sessions[LIVE_SESSIONS];
	_Alignas(64) struct heat heat[LIVE_HEAT];
	_Alignas(64) struct endpoint_pace pace[PREFIX_SLOTS_MAX];
	_Alignas(64) struct engine_life lives[PREFIX_SLOTS_MAX];
};

_Static_assert(sizeof(struct endpoint_live) == 64, "a cache line");

struct block {
	struct endpoint_live *live;
	struct block *next;
};

static pthread_mutex_t free_lock = PTHREAD_MUTEX_INITIALIZER;
static struct block *free_blocks;	/* guarded by free_lock */

static struct endpoint_live *take_block(void)
{
	struct endpoint_live *live = NULL;
	struct block *b;

	pthread_mutex_lock(&free_lock);
	b = free_blocks;
	if (b != NULL)
		free_blocks = b->next;
	pthread_mutex_unlock(&free_lock);
	if (b != NULL)
		live = b->live;
	free(b);
	return live;
}

struct pool_live *pool_live_of(struct endpoint_live *live)
{
	return &((struct mapping *)(void *)live)->pool;
}

struct endpoint_live *live_new(void)
{
	struct endpoint_live *live = take_block();
	struct mapping *m;

	if (live != NULL)
		return live;
	m = mmap(NULL, sizeof(*m), PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m == MAP_FAILED)
		return NULL;
	m->pool.cold = m->cold;
	m->pool.sessions = m->sessions;
	m->pool.heat = m->heat;
	m->pool.pace = m->pace;
	m->pool.lives = m->lives;
	return m->live;
}

void live_release(struct endpoint_live *live, size_t n_slots)
{
	struct block *b = malloc(sizeof(*b));

	for (size_t i = 0; i < n_slots; i++) {
		live_renew(&live[i]);
		live[i].picked = 0;	/* no view is left that could settle it */
		pace_renew(&pool_live_of(live)->pace[i]);
	}
	if (b == NULL)
		return;		/* late bookings may still point there: leave it */
	b->live = live;
	pthread_mutex_lock(&free_lock);
	b->next = free_blocks;
	free_blocks = b;
	pthread_mutex_unlock(&free_lock);
}

static uint64_t generation_of(uint64_t word)
{
	return word >> 32;
}

static void count_renew(struct live_count *c)
{
	uint64_t old = atomic_load(&c->word);

	while (!atomic_compare_exchange_weak(&c->word, &old,
	    (generation_of(old) + 1) << 32))
		;
}

void live_renew(struct endpoint_live *l)
{
	count_renew(&l->requests);
	count_renew(&l->tokens);
	atomic_store(&l->n_failures, 0);
	atomic_store(&l->n_ejections, 0);
	ewma_reset(&l->ttft_us);
	ewma_reset(&l->token_us);
	ewma_reset(&l->error_rate);
	atomic_store(&l->breaker, BREAKER_CLOSED);
	atomic_store(&l->is_witnessed, false);
	atomic_store(&l->ejected_s, 0);
	atomic_store(&l->due_ms, 0);
}

void pace_renew(struct endpoint_pace *p)
{
	ewma_reset(&p->prefill_rate);
	ewma_reset(&p->base_us);
	ewma_reset(&p->serve_us);
	atomic_store(&p->batch, 0);
	atomic_store(&p->busy_until_ms, 0);
	atomic_store(&p->filled, 0);
	for (size_t i = 0; i < PACE_ADAPTERS; i++)
		atomic_store(&p->adapters[i], 0);
}

/* With nobody queued it may have room for more, and is believed to, one by one. */
void pace_page(struct endpoint_pace *p, uint32_t running, uint32_t queued)
{
	uint32_t batch = atomic_load_explicit(&p->batch, memory_order_relaxed);

	if (queued > 0 && running > 0)
		batch = running;
	else if (batch != 0 && running >= batch)
		batch = running + 1;
	atomic_store_explicit(&p->batch, batch, memory_order_relaxed);
}

/* ---- what fills a cache ---- */

void pace_fill(struct endpoint_pace *p, uint32_t blocks, int64_t now_ms)
{
	lately_add(&p->filled, blocks, now_ms / PACE_FILL_MS);
}

uint32_t pace_filled(const struct endpoint_pace *p, int64_t now_ms)
{
	return lately_get(&p->filled, now_ms / PACE_FILL_MS);
}

/* ---- adapters ---- */

/* Two threads at once may lose one of two, which is sent there again or forgotten. */
void pace_adapter(struct endpoint_pace *p, uint64_t adapter)
{
	uint64_t next = adapter, old;

	for (size_t i = 0; i < PACE_ADAPTERS; i++) {
		old = atomic_load_explicit(&p->adapters[i],
		    memory_order_relaxed);
		if (i == 0 && old == adapter)
			return;
		atomic_store_explicit(&p->adapters[i], next,
		    memory_order_relaxed);
		if (old == adapter)
			return;
		next = old;
	}
}

/* ---- counts ---- */

/* Both counts are renewed together, so that either tells. */
bool live_count_add(struct live_count *c, uint32_t n)
{
	uint64_t old = atomic_load_explicit(&c->word, memory_order_relaxed);

	do {
		if ((uint32_t)old > UINT32_MAX - n)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(&c->word, &old, old + n,
	    memory_order_relaxed, memory_order_relaxed));
	return true;
}

bool live_count_sub(struct live_count *c, uint32_t generation, uint32_t n)
{
	uint64_t old = atomic_load_explicit(&c->word, memory_order_relaxed);

	do {
		if (generation_of(old) != generation)
			return false;
		must((uint32_t)old >= n);
	} while (!atomic_compare_exchange_weak_explicit(&c->word, &old, old - n,
	    memory_order_relaxed, memory_order_relaxed));
	return true;
}
