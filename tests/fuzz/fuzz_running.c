#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "fuzz.h"
#include "must.h"
#include "running.h"

/* Whatever HAProxy says, the model is in order and each part of it whole. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = { (const char *)data, size };
	struct running r;
	bool is_there;

	running_init(&r);
	must(running_parse_map(&r, MAP_HOST, text) == 0);
	must(running_parse_servers(&r, text) == 0);
	must(running_parse_list(&r, "list", text) == 0);
	for (size_t i = 1; i < r.maps[MAP_HOST].n; i++)
		must(strcmp(r.maps[MAP_HOST].items[i - 1].key,
		    r.maps[MAP_HOST].items[i].key) <= 0);
	for (size_t i = 0; i < r.servers.n; i++) {
		must(strchr(r.servers.items[i].name, ':') != NULL);
		must(running_find_server(&r, r.servers.items[i].backend,
		    r.servers.items[i].name, &is_there) == i && is_there);
	}
	for (size_t i = 0; i < r.certs.n; i++)
		must(r.certs.items[i].cert != NULL &&
		    r.certs.items[i].filters != NULL);
	running_fini(&r);
	return 0;
}
