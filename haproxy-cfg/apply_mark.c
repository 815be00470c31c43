/*
 * apply_mark.c - the mark of unfinished business, and what goes with it
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "apply_parts.h"
#include "output_files.h"

enum { PATH_BYTES = 4200 };

/*
 * There while the worker is being changed. Found by the next of us, it says that
 * nobody knows what the worker has: then it is reloaded.
 */
static void mark_path(const struct apply *a, char path[PATH_BYTES])
{
	snprintf(path, PATH_BYTES, "%s/apply.pending", a->options.dir);
}

int apply_mark(struct apply *a)
{
	char path[PATH_BYTES];
	int fd;

	a->is_done = false;
	mark_path(a, path);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

int64_t apply_entries_due_ms(const struct apply *a)
{
	int64_t due = -1;

	for (size_t m = 0; m < OUTPUT_N_MAPS; m++)
		for (size_t i = 0; i < a->running.maps[m].n; i++) {
			int64_t since = a->running.maps[m].items[i].unwanted_ms;

			if (since > 0 && (due < 0 ||
			    since + APPLY_GRACE_MS < due))
				due = since + APPLY_GRACE_MS;
		}
	return due;
}

/*
 * The mark says nothing any more, and goes with what else nobody waits for; but entries
 * that are to go soon need it again.
 */
void apply_unmark(struct apply *a)
{
	a->is_done = a->is_untidy = true;
	a->keeps_mark = apply_entries_due_ms(a) >= 0;
}

bool apply_is_marked(const struct apply *a)
{
	char path[PATH_BYTES];

	mark_path(a, path);
	return !a->is_done && access(path, F_OK) == 0;
}

/* While apply_ahead() changes the model, which is not looked at here. */
void apply_tidy(struct apply *a)
{
	char path[PATH_BYTES];

	if (a->wanted == NULL || !a->is_untidy)
		return;
	if (a->wanted->table.len > 0)
		output_write_table(a->wanted, a->options.dir);
	buf_fini(&a->wanted->table);
	output_clean(a->wanted, a->options.dir);
	a->is_untidy = false;
	if (!a->is_done || a->keeps_mark)
		return;
	mark_path(a, path);
	unlink(path);
}

bool apply_is_untidy(const struct apply *a)
{
	return a->wanted != NULL && a->is_untidy;
}
