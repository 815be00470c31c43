/*
 * membership.c - homes as endpoints, and what is found out about all at once
 */
#include "membership.h"

#include <stdlib.h>

#include "entries.h"
#include "home.h"
#include "label_columns.h"
#include "plugin.h"
#include "target.h"

void membership_unref(struct membership *m)
{
	if (m == NULL || --m->refs > 0)
		return;
	for (size_t i = 0; i < m->n; i++)
		home_unref(m->homes[i]);
	free(m->homes);
	free(m->labels);
	free(m->entries);
	free(m);
}

uint16_t membership_entry_port(const struct schedule *s)
{
	return s != NULL && s->handler->entry_port != NULL ?
	    s->handler->entry_port(s->params) : 0;
}

/* What is found out about all of them at once. */
static bool gather(struct membership *m, size_t n, uint16_t port)
{
	m->labels = label_columns_new(m->endpoints, n);
	if (port != 0)
		m->entries = entries_new(m->endpoints, n, port);
	return m->labels != NULL && (port == 0 || m->entries != NULL);
}

struct membership *membership_new(struct target *const *targets, size_t n,
    uint16_t port)
{
	struct membership *m = calloc(1,
	    sizeof(*m) + n * sizeof(m->endpoints[0]));

	if (m == NULL)
		return NULL;
	m->homes = calloc(n + 1, sizeof(struct home *));
	if (m->homes == NULL) {
		free(m);
		return NULL;
	}
	for (size_t i = 0; i < n; i++) {
		struct home *h = target_home(targets[i]);

		m->homes[i] = h;
		m->endpoints[i] = (struct endpoint){
			.name = span_of(h->name),
			.addr = span_of(h->addr_text),
			.slot = h->slot,
			.labels = h->labels,
			.n_labels = h->n_labels,
			.label_ids = h->label_ids,
		};
	}
	m->refs = 1;
	if (!gather(m, n, port)) {
		membership_unref(m);
		return NULL;
	}
	for (; m->n < n; m->n++)
		m->homes[m->n]->refs++;
	return m;
}
