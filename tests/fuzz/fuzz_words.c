#include <ctype.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "fuzz.h"
#include "must.h"
#include "words.h"

/* How HAProxy reads an argument in single quotes; false where it would end early. */
static bool reads_whole(const char *in)
{
	bool is_open = false;

	for (; *in != '\0'; in++) {
		if (*in == '\n' || *in == '\r')
			return false;
		if (*in == '\'')
			is_open = !is_open;
		else if (!is_open && *in == '\\' && in[1] == '\'')
			in++;
		else if (!is_open)
			return false;
	}
	return !is_open;
}

/* A log-format has no expression: each % is one of a pair. */
static bool has_no_expression(const char *in)
{
	for (; *in != '\0'; in++)
		if (*in == '%' && *++in != '%')
			return false;
	return true;
}

static const char *written(struct buf *b, void (*put)(struct buf *,
    const char *), const char *text)
{
	buf_clear(b);
	put(b, text);
	buf_put(b, "", 1);
	must(!buf_failed(b));
	return b->data;
}

static bool has_only(const char *text, const char *others)
{
	for (; *text != '\0'; text++)
		if (!isalnum((unsigned char)*text) &&
		    strchr(others, *text) == NULL)
			return false;
	return true;
}

/* No text, however chosen, reaches out of where it was put. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct buf b;

	must(text != NULL);
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	buf_init(&b, 64 << 20);
	must(reads_whole(written(&b, words_quote, text)));
	must(reads_whole(written(&b, words_format, text)));
	must(has_no_expression(b.data));
	must(reads_whole(written(&b, words_regex, text)));
	must(strpbrk(written(&b, words_comment, text), "\n\r") == NULL);
	must(strpbrk(written(&b, words_cli, text), "\n\r") == NULL);
	must(strpbrk(written(&b, words_json, text), "\n\r") == NULL);
	must(!words_is_name(text) || has_only(text, "_.~+*!^-"));
	must(!words_is_host(text) || has_only(text, "*-._"));
	must(!words_is_origin(text) || has_only(text, ":/*[]-._+"));
	must(!words_is_key(text) || strpbrk(text, " \t\n\r<") == NULL);
	must(!words_is_text(text) || strpbrk(text, "\t\n\r\001\002") == NULL);
	must(!words_is_regex(text) || words_is_text(text));
	buf_fini(&b);
	free(text);
	return 0;
}
