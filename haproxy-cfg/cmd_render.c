/*
 * cmd_render.c - manifests in, configuration out: to a folder, or all of it to stdout
 */
#include "command.h"

#include <stdio.h>
#include <string.h>

#include "buf.h"
#include "output.h"
#include "output_files.h"
#include "setup.h"

enum { TEXT_MAX_BYTES = 1 << 30 };

static void begin_file(struct buf *b, const char *name)
{
	buf_printf(b, "%s==> %s <==\n", b->len > 0 ? "\n" : "", name);
}

/* As `head` shows several files. Keys are secret: certificates are named only. */
static int print_all(const struct output *o)
{
	static const char dir[] = "DIR";
	struct buf b;
	bool ok;

	buf_init(&b, TEXT_MAX_BYTES);
	begin_file(&b, "haproxy.cfg");
	output_put_config(&b, o, dir, "current");
	for (size_t m = 0; m < OUTPUT_N_MAPS; m++) {
		begin_file(&b, output_map_files[m]);
		output_put_map(&b, o, m);
	}
	for (size_t i = 0; i < o->cert_lists.n; i++) {
		begin_file(&b, o->cert_lists.items[i]);
		output_put_cert_list(&b, o, o->cert_lists.items[i], dir);
	}
	for (size_t i = 0; i < o->agent.n; i++) {
		begin_file(&b, o->agent.items[i].name);
		output_put_paths(&b, o->agent.items[i].text,
		    o->agent.items[i].len, dir, "current");
	}
	begin_file(&b, "ids.json");
	buf_put(&b, o->table.data, o->table.len);
	ok = !buf_failed(&b) && fwrite(b.data, 1, b.len, stdout) == b.len;
	buf_fini(&b);
	return ok ? COMMAND_OK : COMMAND_FAILED;
}

static int write_all(struct setup *s, const struct translation *t)
{
	char name[OUTPUT_GENERATION_BYTES];
	int err = output_stage(t->output, NULL, s->dir, name);

	if (err == 0)
		err = output_commit(s->dir, name);
	if (err == 0)
		err = output_write_agent(t->output, s->dir);
	if (err == 0)
		err = output_write_table(t->output, s->dir);
	if (err == 0)
		err = setup_write_status(s, t, false);
	if (err == 0) {
		output_clean(t->output, s->dir);
		return COMMAND_OK;
	}
	fprintf(stderr, "epp-translator: -o %s: %s\n", s->dir, strerror(-err));
	return COMMAND_FAILED;
}

int cmd_render(const struct flags *flags)
{
	struct setup s;
	struct translation t;
	int code = COMMAND_FAILED;

	if (!setup_open(&s, flags, false))
		return COMMAND_FAILED;
	if (translate(s.store, flags->controller, &s.options, &t) == 0) {
		setup_tell(&t.problems);
		code = flags->output != NULL ? write_all(&s, &t) :
		    print_all(t.output);
		translation_free(&t);
	} else {
		fprintf(stderr, "epp-translator: no memory\n");
	}
	if (setup_tell_bad_files(&s) && code == COMMAND_OK)
		code = COMMAND_FINDINGS;
	setup_close(&s);
	return code;
}
