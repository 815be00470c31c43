#include <stddef.h>
#include <stdint.h>

#include "fault.h"
#include "fuzz.h"
#include "json_tree.h"
#include "must.h"
#include "yaml.h"

static void count(const struct conf *c)
{
	size_t n = 0;

	must((c->text != NULL) == (c->type == CONF_SCALAR));
	for (const struct conf *k = c->children; k != NULL; k = k->next) {
		must((k->key != NULL) == (c->type == CONF_MAP));
		must(k->line >= c->line);
		count(k);
		n++;
	}
	must(n == c->n_children);
}

static bool on_document(void *data, const struct conf *root,
    struct conf_place place)
{
	unsigned *last = data;

	must(place.document >= *last);
	*last = place.document;
	count(root);
	return true;
}

/* Trees that agree with themselves, lines that only go up; or a fault. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fault why = { 0 };
	unsigned last = 0;
	int err = json_each("fuzz", (struct span){ (const char *)data, size },
	    &yaml_limits_default, on_document, &last, &why);

	must((err != 0) == why.is_set);
	return 0;
}
