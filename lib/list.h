/*
 * list.h - a doubly linked list through its members; the head is a link too
 *
 * Initialise with list_init(); a removed link points at itself, so removing twice
 * does no harm. Owns nothing. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next, *prev;
};

#define list_entry(link, type, member) \
	((type *)(void *)((char *)(link) - offsetof(type, member)))

/* `next` is read before the body runs: the current link may be removed. */
#define list_each(link, after, head)                             \
	for (struct list *link = (head)->next, *after = link->next; \
	     link != (head); link = after, after = link->next)

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_is_empty(const struct list *head)
{
	return head->next == head;
}

static inline void list_append(struct list *head, struct list *l)
{
	l->prev = head->prev;
	l->next = head;
	head->prev->next = l;
	head->prev = l;
}

static inline void list_remove(struct list *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
	list_init(l);
}
