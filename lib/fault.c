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
