/*
 * curl_table.c - libcurl.so.4, and its one call before all others
 */
#include "curl_table.h"

#include "late_library.h"

struct curl_table curl_table;

#define SYMBOL(function) { "curl_" #function, &curl_table.function },
static const struct late_symbol symbols[] = { CURL_FUNCTIONS(SYMBOL) };

static const char *begin(void)
{
	return curl_table.global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? NULL :
	    "curl_global_init's consent";
}

static struct late_library library = {
	.file = "libcurl.so.4", .package = "libcurl4",
	.feature = "https", .instead = "http",
	.symbols = symbols, .n_symbols = sizeof(symbols) / sizeof(*symbols),
	.begin = begin, .lock = PTHREAD_MUTEX_INITIALIZER,
};

bool curl_table_load(struct fault *why)
{
	return late_library_load(&library, why);
}
