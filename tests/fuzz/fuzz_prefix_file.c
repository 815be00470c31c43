/*
 * A snapshot: whatever it says, nothing outside of it is read, and an index takes what
 * fits. The first byte chooses whether the checksum is put right, so that what is behind
 * it is reached too.
 */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "hash.h"
#include "must.h"
#include "prefix.h"
#include "prefix_file.h"

enum { CAPACITY = 50, TAIL_BYTES = 8 };

static void take(struct prefix_index *p, const struct prefix_file_section *s)
{
	struct prefix_block *blocks = calloc((size_t)s->n_blocks + 1,
	    sizeof(*blocks));
	uint64_t chain;
	uint16_t depth = 0;
	uint32_t n;

	must(blocks != NULL);
	for (uint32_t i = 0; i < s->n_blocks; i++)
		blocks[i] = prefix_file_block(s, i);
	n = prefix_import(p, 0, blocks, s->n_blocks);
	must(n <= CAPACITY && n == prefix_count(p, 0));
	if (n > 0) {
		chain = blocks[0].hash;
		prefix_match(p, &chain, 1, &depth, 1);
		must(depth == 1 || blocks[0].parent != 0);
	}
	prefix_insert(p, 0, &chain, n > 0, 0);
	prefix_purge(p, 0);
	must(prefix_total(p) == 0);
	free(blocks);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct prefix_file_head head;
	struct prefix_file_section s;
	struct prefix_index *p;
	struct reader r;
	uint8_t *file;
	uint64_t sum;

	if (size == 0)
		return 0;
	file = malloc(size);
	must(file != NULL);
	memcpy(file, data + 1, --size);
	if (data[0] != 0 && size >= TAIL_BYTES) {
		sum = htole64(hash_bytes(file, size - TAIL_BYTES, 0));
		memcpy(file + size - TAIL_BYTES, &sum, sizeof(sum));
	}
	p = prefix_new(64 << 10, 1);
	must(p != NULL);
	prefix_join(p, 0, CAPACITY);
	if (prefix_file_open((struct span){ (char *)file, size }, &head, &r) ==
	    NULL)
		while (prefix_file_next(&r, &s))
			take(p, &s);
	prefix_free(p);
	free(file);
	return 0;
}
