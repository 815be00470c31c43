/* A time, and one more nanosecond; what stands before or behind one spoils it. */
#include <stdlib.h>
#include <string.h>

#include "duration.h"
#include "fuzz.h"
#include "must.h"

static bool parse_with(const char *before, struct span text, const char *after,
    int64_t *ns)
{
	size_t n_before = strlen(before), n_after = strlen(after);
	size_t n = n_before + text.len + n_after;
	char *all = malloc(n + 1);
	bool is;

	must(all != NULL);
	memcpy(all, before, n_before);
	if (text.len > 0)
		memcpy(all + n_before, text.ptr, text.len);
	memcpy(all + n_before + text.len, after, n_after);
	is = duration_parse((struct span){ all, n }, ns);
	free(all);
	return is;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = { (const char *)data, size };
	int64_t ns = -1, more = -1;
	bool is = parse_with("", text, "", &ns);

	must(is == (ns >= 0));
	if (!is)
		return 0;
	must(!parse_with("-", text, "", &more) && !parse_with(" ", text, "", &more));
	must(!parse_with("", text, "x", &more) && !parse_with("", text, "1", &more));
	if (text.ptr[size - 1] == '0')		/* no unit */
		return 0;
	if (parse_with("", text, "1ns", &more))
		must(more == ns + 1);
	else
		must(ns == INT64_MAX);
	return 0;
}
