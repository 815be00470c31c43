/*
 * words.c - quoting for each of HAProxy's readers
 *
 * In a configuration file everything is wrapped in single quotes, in which
 * HAProxy expands nothing; a single quote itself is written '\''. A line feed
 * would still end the line: what has one is refused before it comes here, and
 * becomes '?' if it came all the same.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "words.h"

#include <ctype.h>
#include <pcre2.h>
#include <string.h>

#include "must.h"

enum { REGEX_MAX_BYTES = 8192 };

/* What a byte may be part of. */
enum { NAME = 1, HOST = 2, ORIGIN = 4 };

static const unsigned char classes[256] = {
	['0' ... '9'] = NAME | HOST | ORIGIN,
	['a' ... 'z'] = NAME | HOST | ORIGIN,
	['A' ... 'Z'] = NAME | ORIGIN,
	['-'] = NAME | HOST | ORIGIN, ['.'] = NAME | HOST | ORIGIN,
	['_'] = NAME | HOST | ORIGIN, ['*'] = NAME | ORIGIN,
	['~'] = NAME, ['+'] = NAME, ['!'] = NAME, ['^'] = NAME,
	[':'] = ORIGIN, ['['] = ORIGIN, [']'] = ORIGIN,
};

static bool is_control(char c)
{
	return (unsigned char)c < ' ' || c == 0x7f;
}

static bool consists_of(const char *text, unsigned char class)
{
	if (*text == '\0')
		return false;
	while (classes[(unsigned char)*text] & class)
		text++;
	return *text == '\0';
}

bool words_is_text(const char *text)
{
	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++)
		if (is_control(*text))
			return false;
	return true;
}

bool words_is_name(const char *text)
{
	return consists_of(text, NAME);
}

bool words_is_host(const char *text)
{
	if (text[0] == '*' && text[1] == '.')
		text += 2;
	if (text[0] == '.' || !consists_of(text, HOST))
		return false;
	return strlen(text) <= 253 && strstr(text, "..") == NULL;
}

bool words_is_key(const char *text)
{
	if (*text == '\0' || *text == '#')
		return false;
	for (; *text != '\0'; text++)
		if ((unsigned char)*text <= ' ' ||
		    (unsigned char)*text >= 0x7f || *text == '<')
			return false;
	return true;
}

bool words_is_origin(const char *text)
{
	const char *rest = strstr(text, "://");

	if (strcmp(text, "*") == 0)
		return true;
	if (rest == NULL || rest == text || rest[3] == '\0')
		return false;
	for (const char *c = text; c < rest; c++)
		if (!isalnum((unsigned char)*c) && strchr("+.-", *c) == NULL)
			return false;
	return consists_of(rest + 3, ORIGIN);
}

static bool compiles(const char *regex)
{
	PCRE2_SIZE at;
	int error;
	pcre2_code *code = pcre2_compile((PCRE2_SPTR)regex,
	    PCRE2_ZERO_TERMINATED, 0, &error, &at, NULL);

	pcre2_code_free(code);
	return code != NULL;
}

/*
 * Alone and as words_regex() wraps it: "a)|(b" is none alone, "(?x)a#" and "\Qa"
 * would swallow what is put behind.
 */
bool words_is_regex(const char *text)
{
	struct buf wrapped;
	bool yes;

	if (!words_is_text(text) || !compiles(text))
		return false;
	buf_init(&wrapped, REGEX_MAX_BYTES);
	buf_printf(&wrapped, "^(?:%s)$", text);
	buf_put(&wrapped, "", 1);
	yes = !buf_failed(&wrapped) && compiles(wrapped.data);
	buf_fini(&wrapped);
	return yes;
}

/* ---- arguments of a line ------------------------------------------------ */

/*
 * Most text has nothing special in it, and is copied in one piece: up to any of
 * `special`, a single quote or a control character.
 */
static const char *put_plain(struct buf *out, const char *text,
    const char *special)
{
	const char *end = text;

	while (*end != '\0' && *end != '\'' && !is_control(*end) &&
	    strchr(special, *end) == NULL)
		end++;
	buf_put(out, text, (size_t)(end - text));
	return end;
}

static void put_char(struct buf *out, char c)
{
	if (c == '\'')
		buf_puts(out, "'\\''");
	else
		buf_put(out, is_control(c) ? "?" : &c, 1);
}

/* Each of `special` comes with `escape` before it. */
static void put_escaped(struct buf *out, const char *text, const char *special,
    const char *escape)
{
	while (*(text = put_plain(out, text, special)) != '\0') {
		if (*special != '\0' && strchr(special, *text) != NULL)
			buf_puts(out, escape);
		put_char(out, *text++);
	}
}

void words_open(struct buf *out)
{
	buf_puts(out, "'");
}

void words_close(struct buf *out)
{
	buf_puts(out, "'");
}

void words_piece(struct buf *out, const char *text)
{
	put_escaped(out, text, "%", "%");
}

void words_expression(struct buf *out, const char *ours)
{
	must(strchr(ours, '\'') == NULL);
	buf_puts(out, ours);
}

void words_quote(struct buf *out, const char *text)
{
	words_open(out);
	put_escaped(out, text, "", "");
	words_close(out);
}

void words_format(struct buf *out, const char *text)
{
	words_open(out);
	words_piece(out, text);
	words_close(out);
}

/* `(?:` keeps what stands within from reaching over ^ and $ by `|`. */
void words_regex(struct buf *out, const char *regex)
{
	words_open(out);
	buf_puts(out, "^(?:");
	put_escaped(out, regex, "", "");
	buf_puts(out, ")$");
	words_close(out);
}

void words_regex_piece(struct buf *out, const char *text)
{
	put_escaped(out, text, "\\^$.[]|()?*+{}", "\\");
}

void words_replacement_piece(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '%')
			buf_puts(out, "%");
		if (*text == '\\')
			buf_puts(out, "\\");
		put_char(out, *text);
	}
}

void words_comment(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++)
		buf_put(out, is_control(*text) ? "?" : text, 1);
}

/* ---- other readers ------------------------------------------------------ */

void words_cli(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (strchr("\\; ", *text) != NULL)
			buf_puts(out, "\\");
		buf_put(out, is_control(*text) ? "?" : text, 1);
	}
}

void words_json(struct buf *out, const char *text)
{
	buf_puts(out, "\"");
	for (;;) {
		const char *end = text;

		while (*end != '\0' && *end != '"' && *end != '\\' &&
		    !is_control(*end))
			end++;
		buf_put(out, text, (size_t)(end - text));
		if (*end == '\0')
			break;
		if (is_control(*end))
			buf_printf(out, "\\u%04x", (unsigned char)*end);
		else
			buf_put(out, (const char[]){ '\\', *end }, 2);
		text = end + 1;
	}
	buf_puts(out, "\"");
}

void words_hex(struct buf *out, const char *bytes, size_t len)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)bytes[i];
		char two[2] = { digits[c >> 4], digits[c & 15] };

		buf_put(out, two, 2);
	}
}

void words_id(char out[WORDS_ID_BYTES], char letter, uint64_t hash)
{
	static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";

	out[0] = letter;
	for (size_t i = 1; i < WORDS_ID_BYTES - 1; i++, hash >>= 5)
		out[i] = digits[hash & 31];
	out[WORDS_ID_BYTES - 1] = '\0';
}
