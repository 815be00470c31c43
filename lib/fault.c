/*
 * fault.c - the one form in which bad input is reported
 */
#include "fault.h"

#include <stdarg.h>
#include <stdio.h>

void fault_setf(struct fault *f, const char *file, unsigned line,
    const char *fmt, ...)
{
	va_list ap;

	if (f->is_set) {
		f->is_closed = true;	/* the fault_want() to come is not ours */
		return;
	}
	f->is_set = true;
	f->line = line;
	snprintf(f->file, sizeof(f->file), "%s", file != NULL ? file : "");
	va_start(ap, fmt);
	vsnprintf(f->found, sizeof(f->found), fmt, ap);
	va_end(ap);
	f->want[0] = '\0';
}

void fault_set(struct fault *f, const char *file, unsigned line,
    const char *found, const char *want)
{
	if (f->is_set)
		return;
	fault_setf(f, file, line, "%s", found);
	if (want != NULL)
		fault_want(f, "%s", want);
}

/* What of `text` fits behind the `at` bytes that are there. */
static size_t add(char *out, size_t len, size_t at, const char *text)
{
	int n = snprintf(out + at, len - at, "%s", text);

	return n > 0 && (size_t)n < len - at ? at + (size_t)n : len - 1;
}

static size_t path_text(const struct fault_path *path, char *out, size_t len)
{
	char index[24];
	size_t at;

	if (path == NULL)
		return 0;
	at = path_text(path->up, out, len);
	if (path->key == NULL) {
		snprintf(index, sizeof(index), "[%zu]", path->index);
		return add(out, len, at, index);
	}
	if (path->up != NULL)
		at = add(out, len, at, path->up->up != NULL ? "." : ": ");
	return add(out, len, at, path->key);
}

void fault_path_text(const struct fault_path *path, char *out, size_t len)
{
	out[0] = '\0';
	path_text(path, out, len);
}

void fault_want(struct fault *f, const char *fmt, ...)
{
	va_list ap;

	if (f->is_closed || f->want[0] != '\0')
		return;
	va_start(ap, fmt);
	vsnprintf(f->want, sizeof(f->want), fmt, ap);
	va_end(ap);
}

const char *fault_text(const struct fault *f, char *out, size_t len)
{
	char where[300] = "";

	if (f->file[0] != '\0' && f->line != 0)
		snprintf(where, sizeof(where), "%s:%u: ", f->file, f->line);
	else if (f->file[0] != '\0')
		snprintf(where, sizeof(where), "%s: ", f->file);
	snprintf(out, len, "%s%s%s%s", where, f->found,
	    f->want[0] != '\0' ? "; want: " : "", f->want);
	return out;
}
