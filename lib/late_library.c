/*
 * late_library.c - dlopen() and dlsym(), once a process
 */
#include "late_library.h"

#include <dlfcn.h>
#include <string.h>

#include "fault.h"

static const char *load(const struct late_library *l)
{
	void *lib = dlopen(l->file, RTLD_NOW | RTLD_LOCAL);

	if (lib == NULL)
		return l->file;
	for (size_t i = 0; i < l->n_symbols; i++) {
		void *found = dlsym(lib, l->symbols[i].name);

		if (found == NULL)
			return l->symbols[i].name;
		/* POSIX: a function's pointer is as large as void's. */
		memcpy(l->symbols[i].at, &found, sizeof(found));
	}
	return l->begin != NULL ? l->begin() : NULL;
}

bool late_library_load(struct late_library *l, struct fault *why)
{
	pthread_mutex_lock(&l->lock);
	if (!l->is_tried)
		l->missing = load(l);
	l->is_tried = true;
	pthread_mutex_unlock(&l->lock);
	if (l->missing == NULL)
		return true;
	fault_setf(why, NULL, 0, "%s without %s", l->feature, l->missing);
	fault_want(why, "%s (package %s), or %s", l->file, l->package,
	    l->instead);
	return false;
}
