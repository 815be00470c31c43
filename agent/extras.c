/*
 * extras.c - copies of flat things: each has its length in front and no pointers
 */
#include "extras.h"

#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "lora.h"

uint64_t attribute_key(const char *name)
{
	return hash_bytes(name, strlen(name), 0);
}

static size_t bytes_of_lora(const struct lora_set *lora)
{
	return lora != NULL ? lora_bytes(lora->n) : 0;
}

static size_t bytes_of_attributes(const struct attribute_set *attributes)
{
	return attributes != NULL ? attributes_bytes(attributes->n) : 0;
}

size_t extras_bytes(const struct endpoint_extras *e)
{
	return bytes_of_lora(e->lora) + bytes_of_attributes(e->attributes);
}

/* Most pages say as much as the one before, so that this rarely moves. */
static const void *keep(const void *kept, const void *told, size_t bytes)
{
	void *copy;

	if (told == NULL) {
		free((void *)kept);
		return NULL;
	}
	copy = realloc((void *)kept, bytes);
	if (copy == NULL)
		return kept;
	return memcpy(copy, told, bytes);
}

void extras_keep(struct endpoint_extras *kept,
    const struct endpoint_extras *told)
{
	kept->lora = keep(kept->lora, told->lora, bytes_of_lora(told->lora));
	kept->attributes = keep(kept->attributes, told->attributes,
	    bytes_of_attributes(told->attributes));
}

void extras_fini(struct endpoint_extras *kept)
{
	static const struct endpoint_extras nothing;

	extras_keep(kept, &nothing);
}

static const void *pack(const void *from, size_t bytes, char **at)
{
	char *to = *at;

	if (from == NULL)
		return NULL;
	*at += bytes;
	return memcpy(to, from, bytes);
}

struct endpoint_extras extras_pack(const struct endpoint_extras *e, char **at)
{
	struct endpoint_extras packed;

	packed.lora = pack(e->lora, bytes_of_lora(e->lora), at);
	packed.attributes = pack(e->attributes,
	    bytes_of_attributes(e->attributes), at);
	return packed;
}
