/*
 * curl_table.h - libcurl's functions, found when they are first needed
 *
 * Linking libcurl would cost every agent 10 MB of libraries, so it is loaded by
 * name, as systemd does with its optional libraries. The only file that
 * includes libcurl's header. Any thread may load; after that the table is only
 * read.
 */
#pragma once

#include <curl/curl.h>
#include <stdbool.h>

/* libcurl checks types by macros of these names; a table needs the names. */
#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt

/* A row here is a member of the table and is looked up under its name. */
#define CURL_FUNCTIONS(X)       \
	X(global_init)          \
	X(easy_init)            \
	X(easy_cleanup)         \
	X(easy_setopt)          \
	X(easy_getinfo)         \
	X(slist_append)         \
	X(slist_free_all)       \
	X(multi_init)           \
	X(multi_cleanup)        \
	X(multi_setopt)         \
	X(multi_add_handle)     \
	X(multi_remove_handle)  \
	X(multi_socket_action)  \
	X(multi_info_read)      \
	X(multi_assign)

#define CURL_MEMBER(name) __typeof__(&curl_##name) name;
struct curl_table {
	CURL_FUNCTIONS(CURL_MEMBER)
};

extern struct curl_table curl_table;

struct fault;

/* Once for all callers; false with `why` filled when there is no libcurl. */
bool curl_table_load(struct fault *why);
