/*
 * A tokenizer's answer: no more ids than there is room for, and none that is not there
 * in digits. Room for fewer never gives another answer than none.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "must.h"
#include "token_ids.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *exact = malloc(size + 1);
	uint32_t max = (uint32_t)size / 2 + 1, n;
	uint32_t *ids = calloc(max, sizeof(*ids));
	struct span answer = { exact, size };

	must(exact != NULL && ids != NULL);
	memcpy(exact, data, size);
	n = token_ids_read(answer, ids, max);
	must(n <= max && 2 * (size_t)n <= size);
	if (n > 0)
		must(token_ids_read(answer, ids, n - 1) == 0);
	free(ids);
	free(exact);
	return 0;
}
