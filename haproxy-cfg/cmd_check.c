/*
 * cmd_check.c - lint: say what is wrong with manifests, change nothing
 *
 * Exit codes are for scripts: 0 clean, 1 something is wrong, 2 a file cannot be
 * read or the command line is wrong. Notes (kinds that are passed over) are told
 * and do not count.
 */
#include "command.h"

#include <stdio.h>
#include <string.h>

#include "arena.h"
#include "buf.h"
#include "finding.h"
#include "store.h"
#include "translate.h"
#include "words.h"

enum { JSON_MAX_BYTES = 1 << 30 };

static const char *const severities[] = {
	[SEVERITY_NOTE] = "note", [SEVERITY_WARNING] = "warning",
	[SEVERITY_ERROR] = "error",
};

static void print_text(const struct finding *f)
{
	const struct object *o = f->object;

	if (f->file != NULL && f->line != 0)
		printf("%s:%u: ", f->file, f->line);
	else if (f->file != NULL)
		printf("%s: ", f->file);
	printf("%s: ", severities[f->severity]);
	if (o != NULL)
		printf("%s %s%s%s: ", kind_name(o->kind), o->namespace,
		    o->namespace[0] != '\0' ? "/" : "", o->name);
	if (f->where != NULL)
		printf("%s: ", f->where);
	if (o != NULL && strcmp(f->type, "Reference") != 0)
		printf("%s, %s: ", f->type, f->reason);
	printf("%s\n", f->message);
}

static void put_json_text(struct buf *b, const char *key, const char *text)
{
	if (text == NULL)
		return;
	buf_printf(b, ", \"%s\": ", key);
	words_json(b, text);
}

static void put_json(struct buf *b, const struct finding *f, bool is_first)
{
	buf_printf(b, "%s\n    {\"severity\": \"%s\"", is_first ? "" : ",",
	    severities[f->severity]);
	put_json_text(b, "file", f->file);
	if (f->line != 0)
		buf_printf(b, ", \"line\": %u", f->line);
	if (f->object != NULL) {
		put_json_text(b, "kind", kind_name(f->object->kind));
		if (f->object->namespace[0] != '\0')
			put_json_text(b, "namespace", f->object->namespace);
		put_json_text(b, "name", f->object->name);
	}
	put_json_text(b, "where", f->where);
	put_json_text(b, "type", f->type);
	put_json_text(b, "reason", f->reason);
	put_json_text(b, "message", f->message);
	buf_puts(b, "}");
}

static size_t count(const struct findings *f, enum severity severity)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n; i++)
		n += f->items[i].severity == severity;
	return n;
}

static bool print_all_json(const struct findings *f)
{
	struct buf b;
	bool ok;

	buf_init(&b, JSON_MAX_BYTES);
	buf_puts(&b, "{\n  \"findings\": [");
	for (size_t i = 0; i < f->n; i++)
		put_json(&b, &f->items[i], i == 0);
	buf_printf(&b, "%s],\n  \"errors\": %zu,\n  \"warnings\": %zu\n}\n",
	    f->n > 0 ? "\n  " : "", count(f, SEVERITY_ERROR),
	    count(f, SEVERITY_WARNING));
	ok = !buf_failed(&b) && fwrite(b.data, 1, b.len, stdout) == b.len;
	buf_fini(&b);
	return ok;
}

static bool print_all(const struct findings *f, bool as_json)
{
	if (as_json)
		return print_all_json(f);
	for (size_t i = 0; i < f->n; i++)
		print_text(&f->items[i]);
	return true;
}

static bool is_unreadable(const struct store *s)
{
	for (size_t i = 0; i < store_n_files(s); i++)
		if (store_file(s, i)->is_bad && store_file(s, i)->why->line == 0)
			return true;
	return false;
}

static int check(const struct flags *flags, struct store *store,
    unsigned version, bool as_json)
{
	struct render_options options = render_defaults;
	struct translation t;
	struct findings f = { .n = 0 };
	bool is_printed;
	int code;

	options.haproxy_version = version;
	if (translate(store, flags->controller, &options, &t) != 0) {
		fprintf(stderr, "epp-translator: no memory\n");
		return COMMAND_FAILED;
	}
	f.arena = t.arena;
	findings_take(&f, store, &t.statuses);
	is_printed = print_all(&f, as_json);
	code = is_unreadable(store) || f.failed || !is_printed ?
	    COMMAND_FAILED :
	    count(&f, SEVERITY_ERROR) + count(&f, SEVERITY_WARNING) > 0 ?
	    COMMAND_FINDINGS : COMMAND_OK;
	translation_free(&t);
	return code;
}

int cmd_check(const struct flags *flags)
{
	bool as_json = flags->output != NULL &&
	    strcmp(flags->output, "json") == 0;
	struct store *store;
	unsigned version;
	int code;

	if (flags->output != NULL && !as_json &&
	    strcmp(flags->output, "text") != 0) {
		fprintf(stderr, "epp-translator: -o %s; want: json or text\n",
		    flags->output);
		return COMMAND_FAILED;
	}
	version = translate_version(flags);
	store = version != 0 ? translate_load(flags) : NULL;
	if (store == NULL)
		return COMMAND_FAILED;
	code = check(flags, store, version, as_json);
	store_free(store);
	return code;
}
