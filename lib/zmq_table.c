/*
 * zmq_table.c - libzmq.so.5
 */
#include "zmq_table.h"

#include "late_library.h"

struct zmq_table zmq_table;

#define SYMBOL(function) { "zmq_" #function, &zmq_table.function },
static const struct late_symbol symbols[] = { ZMQ_FUNCTIONS(SYMBOL) };

static struct late_library library = {
	.file = "libzmq.so.5", .package = "libzmq5",
	.feature = "kvEvents", .instead = "no kvEvents",
	.symbols = symbols, .n_symbols = sizeof(symbols) / sizeof(*symbols),
	.lock = PTHREAD_MUTEX_INITIALIZER,
};

bool zmq_table_load(struct fault *why)
{
	return late_library_load(&library, why);
}
