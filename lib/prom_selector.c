/*
 * prom_selector.c - name{key="value",...} as an operator writes it
 *
 * The grammar is PromQL's vector selector, less the matchers other than `=` and
 * the name as a matcher. Values are quoted as on a metrics page, or bare as in
 * llm-d's documents: nv_trt_llm_request_metrics{request_type=waiting}.
 */
#include "prom.h"

#include <errno.h>

#include "arena.h"
#include "prom_line.h"

static bool is_name_byte(char c, bool first)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
	    c == ':' || (!first && c >= '0' && c <= '9');
}

static size_t name_len(struct span text)
{
	size_t i = 0;

	while (i < text.len && is_name_byte(text.ptr[i], i == 0))
		i++;
	return i;
}

static int bad(struct fault *why, const char *text, const char *what)
{
	fault_setf(why, NULL, 0, "selector %s: %s", text, what);
	fault_want(why, "name or name{label=\"value\",...}, '=' only, at most "
	    "%d labels", (int)PROM_MATCHERS_MAX);
	return -EINVAL;
}

static int add_matcher(struct prom_selector *s, const struct prom_pair *pair,
    struct arena *arena)
{
	char *key = arena_copy(arena, pair->key.ptr, pair->key.len);
	char *value = arena_alloc(arena, pair->value.len + 1);

	if (key == NULL || value == NULL)
		return -ENOMEM;
	prom_value_copy(pair->value, value, pair->value.len + 1);
	s->matchers[s->n_matchers].key = key;
	s->matchers[s->n_matchers].value = value;
	s->n_matchers++;
	return 0;
}

/* A value without quotes, as llm-d's documents write it: up to , or }. */
static bool bare_pair_next(struct span *rest, struct prom_pair *pair)
{
	struct span s = prom_trim(*rest);
	const char *equals = memchr(s.ptr, '=', s.len);
	size_t key = equals != NULL ? (size_t)(equals - s.ptr) : 0, i = key + 1;

	if (equals == NULL)
		return false;
	pair->key = prom_trim((struct span){ s.ptr, key });
	if (pair->key.len == 0 || name_len(pair->key) != pair->key.len ||
	    memchr(pair->key.ptr, ':', pair->key.len) != NULL)
		return false;	/* a colon is for metric names only */
	while (i < s.len && memchr(",}\"'=~", s.ptr[i], 6) == NULL)
		i++;
	pair->value = prom_trim((struct span){ equals + 1, i - key - 1 });
	if (pair->value.len == 0 || i == s.len ||
	    (s.ptr[i] != ',' && s.ptr[i] != '}'))
		return false;
	i += s.ptr[i] == ',';
	*rest = (struct span){ s.ptr + i, s.len - i };
	return true;
}

static enum prom_next matcher_next(struct span *rest, struct prom_pair *pair)
{
	struct span before = *rest;
	enum prom_next next = prom_pair_next(rest, pair);

	if (next != PROM_NEXT_BAD)
		return next;
	*rest = before;
	return bare_pair_next(rest, pair) ? PROM_NEXT_PAIR : PROM_NEXT_BAD;
}

/* `rest` starts behind the brace. */
static int parse_matchers(struct prom_selector *s, struct span *rest,
    const char *text, struct arena *arena, struct fault *why)
{
	struct prom_pair pair;
	enum prom_next next;

	while ((next = matcher_next(rest, &pair)) == PROM_NEXT_PAIR) {
		if (s->n_matchers == PROM_MATCHERS_MAX)
			return bad(why, text, "too many labels");
		if (add_matcher(s, &pair, arena) != 0)
			return -ENOMEM;
	}
	if (next == PROM_NEXT_BAD)
		return bad(why, text, "what stands in the braces is not "
		    "label=\"value\"");
	if (rest->len == 0)
		return bad(why, text, "no closing brace");
	rest->ptr++;
	rest->len--;
	return 0;
}

int prom_selector_parse(struct prom_selector *s, const char *text,
    struct arena *arena, struct fault *why)
{
	struct span rest = prom_trim(span_of(text));
	size_t len = name_len(rest);
	int ret;

	*s = (struct prom_selector){ .n_matchers = 0 };
	if (len == 0)
		return bad(why, text, "no metric name at its start");
	s->name = arena_copy(arena, rest.ptr, len);
	if (s->name == NULL)
		return -ENOMEM;
	rest = prom_trim((struct span){ rest.ptr + len, rest.len - len });
	if (rest.len != 0 && *rest.ptr == '{') {
		rest = (struct span){ rest.ptr + 1, rest.len - 1 };
		ret = parse_matchers(s, &rest, text, arena, why);
		if (ret != 0)
			return ret;
	}
	return rest.len == 0 ? 0 : bad(why, text, "more behind its end");
}
