/*
 * presets.c - three ways to choose; tests/bench/README.md has what each is worth
 *
 * default and sticky are llm-d's: what its router does without a configuration, and
 * what its guides recommend (guides/optimized-baseline). fastest is ours.
 */
#include "presets.h"

#include <string.h>

#define HEAD "apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\n"

static const struct preset presets[] = {
	/* When nothing is configured: queue 2, KV cache 2, prefix 3. */
	{ "default", HEAD
	  "plugins:\n"
	  "  - type: queue-scorer\n"
	  "  - type: kv-cache-utilization-scorer\n"
	  "  - type: prefix-cache-scorer\n"
	  "schedulingProfiles:\n"
	  "  - name: default\n"
	  "    plugins:\n"
	  "      - {pluginRef: queue-scorer, weight: 2}\n"
	  "      - {pluginRef: kv-cache-utilization-scorer, weight: 2}\n"
	  "      - {pluginRef: prefix-cache-scorer, weight: 3}\n" },
	/* Where the prompt is cached, else where the fewest tokens wait. */
	{ "sticky", HEAD
	  "plugins:\n"
	  "  - type: prefix-cache-affinity-filter\n"
	  "  - type: token-load-scorer\n"
	  "schedulingProfiles:\n"
	  "  - name: default\n"
	  "    plugins:\n"
	  "      - {pluginRef: prefix-cache-affinity-filter}\n"
	  "      - {pluginRef: token-load-scorer, weight: 1}\n" },
	/* Where the first token is expected first, by what was observed. */
	{ "fastest", HEAD
	  "plugins:\n"
	  "  - type: expected-ttft-scorer\n" },
};

const struct preset *preset_at(size_t i)
{
	return i < sizeof(presets) / sizeof(*presets) ? &presets[i] : NULL;
}

const struct preset *preset_find(const char *name)
{
	const struct preset *p;

	for (size_t i = 0; (p = preset_at(i)) != NULL; i++)
		if (strcmp(p->name, name) == 0)
			return p;
	return NULL;
}
