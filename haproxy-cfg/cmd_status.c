/*
 * cmd_status.c - the statuses on stdout, as Kubernetes objects
 */
#include "command.h"

#include <stdio.h>

#include "buf.h"
#include "setup.h"
#include "status.h"
#include "store.h"

static const size_t BYTES_MAX = (size_t)1 << 30;

static int print(const struct flags *flags, struct store *store,
    unsigned version)
{
	struct render_options options = render_defaults;
	struct translation t;
	struct buf out;
	int code = COMMAND_OK;

	options.haproxy_version = version;
	if (translate(store, flags->controller, &options, &t) != 0) {
		fprintf(stderr, "epp-translator: no memory\n");
		return COMMAND_FAILED;
	}
	buf_init(&out, BYTES_MAX);
	status_write(&t.statuses, NULL, &out);
	if (buf_failed(&out) || fwrite(out.data, 1, out.len, stdout) != out.len)
		code = COMMAND_FAILED;
	buf_fini(&out);
	translation_free(&t);
	return code;
}

int cmd_status(const struct flags *flags)
{
	unsigned version = translate_version(flags);
	struct store *store = version != 0 ? translate_load(flags) : NULL;
	int code;

	if (store == NULL)
		return COMMAND_FAILED;
	code = print(flags, store, version);
	if (setup_tell_bad_files(&(struct setup){ .store = store }) &&
	    code == COMMAND_OK)
		code = COMMAND_FINDINGS;
	store_free(store);
	return code;
}
