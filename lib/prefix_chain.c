/*
 * prefix_chain.c - block ids to a chain, from a root of model and salt
 */
#include "prefix.h"

#include "hash.h"

enum { ROOT_MAX = 512 };

/* Model and salt in one stretch, as the formula has them; however long they are. */
static uint64_t chain_root(struct span model, struct span cache_salt)
{
	char root[ROOT_MAX];

	if (cache_salt.len == 0)
		return hash_bytes(model.ptr, model.len, 0);
	if (model.len + cache_salt.len > sizeof(root))
		return hash_pair(hash_bytes(model.ptr, model.len, 0),
		    hash_bytes(cache_salt.ptr, cache_salt.len, 0));
	if (model.len > 0)
		memcpy(root, model.ptr, model.len);
	memcpy(root + model.len, cache_salt.ptr, cache_salt.len);
	return hash_bytes(root, model.len + cache_salt.len, 0);
}

void prefix_chain(struct span model, struct span cache_salt, uint64_t *ids,
    size_t n)
{
	uint64_t prev = chain_root(model, cache_salt);

	for (size_t i = 0; i < n; i++)
		prev = ids[i] = hash_pair(ids[i], prev);
}
