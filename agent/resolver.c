/*
 * resolver.c - one thread that waits for DNS so that no loop does
 *
 * Names go over as a batch that replaces the one before; answers come back
 * through a list and ev_async. Both are taken under one lock that is never held
 * during a lookup or a callback. Nobody waits for a lookup either: who stops amid one
 * leaves everything to the thread, which knows no loop from then on.
 */
#include "resolver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ev.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

struct answer {
	struct answer *next;
	char *host;
	bool ok;
	char address[INET6_ADDRSTRLEN];
};

struct batch {
	size_t n, next;
	char *hosts[];		/* those from `next` on are still ours */
};

struct resolver {
	struct ev_loop *loop;
	ev_async mail;
	resolver_lookup_f *lookup;
	resolver_answer_f *answer;
	void *data;
	pthread_t thread;
	pthread_cond_t wake;

	pthread_mutex_t lock;	/* guards the ones below */
	struct batch *batch;
	bool is_looking, is_stopping;
	bool is_orphan;		/* the thread is to free all this */
	struct answer *answers, **answers_tail;
};

bool resolver_is_numeric(const char *host)
{
	unsigned char bytes[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, host, bytes) == 1 ||
	    inet_pton(AF_INET6, host, bytes) == 1;
}

static bool is_less(const struct addrinfo *a, const struct addrinfo *b)
{
	const struct sockaddr_in *a4 = (const void *)a->ai_addr;
	const struct sockaddr_in *b4 = (const void *)b->ai_addr;
	const struct sockaddr_in6 *a6 = (const void *)a->ai_addr;
	const struct sockaddr_in6 *b6 = (const void *)b->ai_addr;

	if (a->ai_family != b->ai_family)
		return a->ai_family == AF_INET;
	if (a->ai_family == AF_INET)
		return memcmp(&a4->sin_addr, &b4->sin_addr,
			   sizeof(a4->sin_addr)) < 0;
	return memcmp(&a6->sin6_addr, &b6->sin6_addr,
		   sizeof(a6->sin6_addr)) < 0;
}

bool resolver_pick(const struct addrinfo *list, char address[INET6_ADDRSTRLEN])
{
	const struct addrinfo *best = NULL;
	const void *bytes;

	for (; list != NULL; list = list->ai_next) {
		if (list->ai_family != AF_INET && list->ai_family != AF_INET6)
			continue;
		if (best == NULL || is_less(list, best))
			best = list;
	}
	if (best == NULL)
		return false;
	if (best->ai_family == AF_INET)
		bytes = &((const struct sockaddr_in *)(const void *)
			best->ai_addr)->sin_addr;
	else
		bytes = &((const struct sockaddr_in6 *)(const void *)
			best->ai_addr)->sin6_addr;
	return inet_ntop(best->ai_family, bytes, address,
		   INET6_ADDRSTRLEN) != NULL;
}

int resolver_getaddrinfo(const char *host, char address[INET6_ADDRSTRLEN])
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *list;
	int err = getaddrinfo(host, NULL, &hints, &list);

	if (err != 0)
		return err;
	if (!resolver_pick(list, address))
		err = EAI_NONAME;
	freeaddrinfo(list);
	return err;
}

static void batch_free(struct batch *b)
{
	if (b == NULL)
		return;
	for (size_t i = b->next; i < b->n; i++)
		free(b->hosts[i]);
	free(b);
}

static struct batch *batch_new(const char *const *hosts, size_t n)
{
	struct batch *b = malloc(sizeof(*b) + n * sizeof(*b->hosts));

	if (b == NULL)
		return NULL;
	b->next = 0;
	for (b->n = 0; b->n < n; b->n++) {
		b->hosts[b->n] = strdup(hosts[b->n]);
		if (b->hosts[b->n] == NULL) {
			batch_free(b);
			return NULL;
		}
	}
	return b;
}

static void answers_free(struct answer *a)
{
	while (a != NULL) {
		struct answer *next = a->next;

		free(a->host);
		free(a);
		a = next;
	}
}

/* Waits for a name, which becomes the caller's; NULL: stop. */
static char *next_host(struct resolver *r)
{
	char *host = NULL;

	pthread_mutex_lock(&r->lock);
	r->is_looking = false;
	while (!r->is_stopping &&
	    (r->batch == NULL || r->batch->next == r->batch->n))
		pthread_cond_wait(&r->wake, &r->lock);
	if (!r->is_stopping) {
		host = r->batch->hosts[r->batch->next++];
		r->is_looking = true;
	}
	pthread_mutex_unlock(&r->lock);
	return host;
}

/* Within the lock, or the loop might be gone before it is woken up. */
static void post(struct resolver *r, struct answer *a)
{
	pthread_mutex_lock(&r->lock);
	*r->answers_tail = a;
	r->answers_tail = &a->next;
	if (!r->is_stopping)
		ev_async_send(r->loop, &r->mail);
	pthread_mutex_unlock(&r->lock);
}

static void resolver_free(struct resolver *r)
{
	answers_free(r->answers);
	batch_free(r->batch);
	pthread_cond_destroy(&r->wake);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

static void *resolver_main(void *arg)
{
	struct resolver *r = arg;
	char *host;

	while ((host = next_host(r)) != NULL) {
		struct answer *a = calloc(1, sizeof(*a));

		if (a == NULL) {
			free(host);	/* it will be asked again one day */
			continue;
		}
		a->host = host;
		a->ok = r->lookup(host, a->address) == 0;
		post(r, a);
	}
	if (r->is_orphan)
		resolver_free(r);
	return NULL;
}

static void on_mail(EV_P_ ev_async *mail, int revents)
{
	struct resolver *r = mail->data;
	struct answer *answers;

	(void)loop;
	(void)revents;
	pthread_mutex_lock(&r->lock);
	answers = r->answers;
	r->answers = NULL;
	r->answers_tail = &r->answers;
	pthread_mutex_unlock(&r->lock);
	for (const struct answer *a = answers; a != NULL; a = a->next)
		r->answer(r->data, a->host, a->ok ? a->address : NULL);
	answers_free(answers);
}

/* Signals are main's; a thread of ours must not be picked for them. */
static int start_thread(struct resolver *r)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&r->thread, NULL, resolver_main, r);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err;
}

struct resolver *resolver_start(struct ev_loop *loop, resolver_lookup_f *lookup,
    resolver_answer_f *answer, void *data)
{
	struct resolver *r = calloc(1, sizeof(*r));
	int err;

	if (r == NULL)
		return NULL;
	r->loop = loop;
	r->lookup = lookup;
	r->answer = answer;
	r->data = data;
	r->answers_tail = &r->answers;
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->wake, NULL);
	ev_async_init(&r->mail, on_mail);
	r->mail.data = r;
	ev_async_start(loop, &r->mail);

	err = start_thread(r);
	if (err != 0) {
		log_error("resolver.thread", "err=%s", strerror(err));
		goto fail_thread;
	}
	return r;

fail_thread:
	ev_async_stop(loop, &r->mail);
	pthread_cond_destroy(&r->wake);
	pthread_mutex_destroy(&r->lock);
	free(r);
	return NULL;
}

void resolver_stop(struct resolver *r)
{
	pthread_t thread;
	bool is_orphan;

	if (r == NULL)
		return;
	thread = r->thread;
	ev_async_stop(r->loop, &r->mail);
	pthread_mutex_lock(&r->lock);
	r->is_stopping = true;
	is_orphan = r->is_orphan = r->is_looking;
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
	if (is_orphan) {	/* and may be freed by now */
		pthread_detach(thread);
		return;
	}
	pthread_join(thread, NULL);
	resolver_free(r);
}

int resolver_ask(struct resolver *r, const char *const *hosts, size_t n)
{
	struct batch *fresh = batch_new(hosts, n), *old;

	if (fresh == NULL)
		return -ENOMEM;
	pthread_mutex_lock(&r->lock);
	old = r->batch;
	r->batch = fresh;
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
	batch_free(old);
	return 0;
}

bool resolver_is_busy(struct resolver *r)
{
	bool busy;

	pthread_mutex_lock(&r->lock);
	busy = r->is_looking ||
	    (r->batch != NULL && r->batch->next < r->batch->n);
	pthread_mutex_unlock(&r->lock);
	return busy;
}
