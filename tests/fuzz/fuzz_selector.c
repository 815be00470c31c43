/* A selector that is taken must, written out quoted, be taken as the same. */
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "buf.h"
#include "fault.h"
#include "fuzz.h"
#include "must.h"
#include "prom.h"

static void put_quoted(struct buf *b, const char *value)
{
	buf_puts(b, "=\"");
	for (; *value != '\0'; value++) {
		if (*value == '\\' || *value == '"')
			buf_put(b, "\\", 1);
		if (*value == '\n')
			buf_puts(b, "\\n");
		else
			buf_put(b, value, 1);
	}
	buf_puts(b, "\",");
}

static void put_selector(struct buf *b, const struct prom_selector *s)
{
	buf_puts(b, s->name);
	buf_puts(b, "{");
	for (size_t i = 0; i < s->n_matchers; i++) {
		buf_puts(b, s->matchers[i].key);
		put_quoted(b, s->matchers[i].value);
	}
	buf_put(b, "}", 2);	/* and the NUL */
}

static void must_be_same(const struct prom_selector *a,
    const struct prom_selector *b)
{
	must(strcmp(a->name, b->name) == 0 && a->n_matchers == b->n_matchers);
	for (size_t i = 0; i < a->n_matchers; i++)
		must(strcmp(a->matchers[i].key, b->matchers[i].key) == 0 &&
		    strcmp(a->matchers[i].value, b->matchers[i].value) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new(4096, 1 << 22);
	struct fault why = { .is_set = false };
	struct prom_selector s, again;
	char *text = malloc(size + 1);
	struct buf b;

	memcpy(text, data, size);
	text[size] = '\0';
	buf_init(&b, 1 << 22);
	if (prom_selector_parse(&s, text, arena, &why) == 0) {
		put_selector(&b, &s);
		must(!buf_failed(&b));
		must(prom_selector_parse(&again, b.data, arena, &why) == 0);
		must_be_same(&s, &again);
	} else {
		must(why.is_set);
	}
	buf_fini(&b);
	free(text);
	arena_free(arena);
	return 0;
}
