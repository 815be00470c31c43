/*
 * curl_table.c - dlopen() of libcurl.so.4, once a process
 */
#include "curl_table.h"

#include <dlfcn.h>
#include <pthread.h>

#include "fault.h"

struct curl_table curl_table;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const char *missing;

#define LOOK_UP(name)                                               \
	*(void **)&curl_table.name = dlsym(lib, "curl_" #name);     \
	if (curl_table.name == NULL)                                \
		missing = "curl_" #name;

/* Never unloaded: libcurl and OpenSSL leave things behind that point back. */
static void load(void)
{
	void *lib = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);

	if (lib == NULL) {
		missing = "libcurl.so.4";
		return;
	}
	CURL_FUNCTIONS(LOOK_UP)
	if (missing == NULL &&
	    curl_table.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		missing = "curl_global_init's consent";
}

bool curl_table_load(struct fault *why)
{
	pthread_once(&once, load);
	if (missing == NULL)
		return true;
	fault_setf(why, NULL, 0, "https without %s", missing);
	fault_want(why, "libcurl.so.4 (package libcurl4), or http");
	return false;
}
