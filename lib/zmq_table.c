/*
 * zmq_table.c - dlopen() of libzmq.so.5, once a process
 */
#include "zmq_table.h"

#include <dlfcn.h>
#include <pthread.h>

#include "fault.h"

struct zmq_table zmq_table;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const char *missing;

#define LOOK_UP(name)                                               \
	*(void **)&zmq_table.name = dlsym(lib, "zmq_" #name);       \
	if (zmq_table.name == NULL)                                 \
		missing = "zmq_" #name;

/* Never unloaded: it may leave threads behind. */
static void load(void)
{
	void *lib = dlopen("libzmq.so.5", RTLD_NOW | RTLD_LOCAL);

	if (lib == NULL) {
		missing = "libzmq.so.5";
		return;
	}
	ZMQ_FUNCTIONS(LOOK_UP)
}

bool zmq_table_load(struct fault *why)
{
	pthread_once(&once, load);
	if (missing == NULL)
		return true;
	fault_setf(why, NULL, 0, "kvEvents without %s", missing);
	fault_want(why, "libzmq.so.5 (package libzmq5), or no kvEvents");
	return false;
}
