/*
 * apply_stage.c - an output becomes what is on the disk, if HAProxy would take it
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apply_parts.h"
#include "output_files.h"

/* "[.../check.cfg:123]": the line, then the section it is in, then whose that is. */
static void blame(struct apply *a, const struct output *o, const char *said)
{
	enum { LINES_ABOVE = 4 };	/* of output_put_config() */
	const char *at = strstr(said, "check.cfg:");
	unsigned long line = at != NULL ? strtoul(at + 10, NULL, 10) : 0;
	size_t offset = 0;

	for (unsigned long n = LINES_ABOVE + 1; n < line; n++) {
		const char *end = memchr(o->text.data + offset, '\n',
		    o->text.len - offset);

		if (end == NULL)
			return;
		offset = (size_t)(end + 1 - o->text.data);
	}
	if (line <= LINES_ABOVE)
		return;
	for (size_t i = 0; i < o->sections.n; i++)
		if (o->sections.items[i].start <= offset &&
		    offset < o->sections.items[i].end)
			a->report->blamed = o->sections.items[i].ref;
}

static const char *first_alert(const char *said)
{
	const char *at = strstr(said, "[ALERT]");

	return at != NULL ? at : said;
}

/* Only what a reload would read for the first time can be refused. */
static int stage(struct apply *a)
{
	struct staging *s = &a->staging;
	const char *dir = a->options.dir;
	char name[OUTPUT_GENERATION_BYTES];
	int err = output_stage(s->output, s->previous, dir, name);

	if (err != 0)
		return err;
	if (s->must_check)
		err = output_check(s->output, a->options.haproxy, dir, name,
		    &s->said);
	if (err == 0)
		err = output_commit(dir, name);
	if (err != 0)
		output_drop(dir, name);
	return err;
}

/* The change comes next: its mark is made here, where the disk may be waited for. */
void apply_stage(struct apply *a)
{
	int err = stage(a);

	a->staging.result = err == 0 ? apply_mark(a) : err;
}

/* What was staged is wanted; true if it is on the disk. */
bool apply_take_staged(struct apply *a)
{
	struct staging *s = &a->staging;
	struct output *o = s->output;

	s->output = NULL;
	if (s->result == 0) {
		output_free(a->wanted);
		a->wanted = o;
		a->is_staged = a->is_untidy = true;
	} else if (s->result == 1) {
		buf_put(&s->said, "", 1);
		a->refused = o;
		if (s->said.data != NULL) {
			apply_say(a, APPLY_REFUSED, first_alert(s->said.data));
			blame(a, o, first_alert(s->said.data));
		}
	} else {
		apply_say(a, APPLY_FAILED, strerror(-s->result));
		output_free(o);
		a->is_staged = false;	/* `current` may name it all the same */
	}
	buf_fini(&s->said);
	return s->result == 0;
}
