/*
 * token_ids.c - one pass, to the list and through it
 */
#include "token_ids.h"

#include <stdbool.h>

#include "json.h"

/* True at the first value of a member that is the list. */
static bool find_list(struct json *j)
{
	enum json_event e = json_next(j);
	unsigned depth = 0;

	/* An object, or the first of a list of them. */
	if (e == JSON_ARRAY)
		e = json_next(j);
	if (e != JSON_OBJECT)
		return false;
	while ((e = json_next(j)) > JSON_DONE) {
		bool is_it = e == JSON_KEY && depth == 0 &&
		    (span_is_text(j->value, "tokens") ||
			span_is_text(j->value, "token_ids"));

		depth += e == JSON_OBJECT || e == JSON_ARRAY;
		if (e == JSON_OBJECT_END || e == JSON_ARRAY_END)
			if (depth-- == 0)
				return false;
		if (is_it)
			return json_next(j) == JSON_ARRAY;
	}
	return false;
}

uint32_t token_ids_read(struct span answer, uint32_t *out, uint32_t max)
{
	struct json j = json_over(answer);
	enum json_event e;
	uint32_t n = 0;
	uint64_t id;

	if (!find_list(&j))
		return 0;
	while ((e = json_next(&j)) == JSON_NUMBER) {
		if (n == max || !json_uint(j.value, &id) || id > UINT32_MAX)
			return 0;
		out[n++] = (uint32_t)id;
	}
	return e == JSON_ARRAY_END ? n : 0;
}
