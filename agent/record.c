/*
 * record.c - one row a key, found by where the last one was
 */
#include "record.h"

#include <stddef.h>

enum {
	NUMBER_DIGITS_MAX = 15,	/* a petabyte, thirty years of microseconds */
	PRIORITY_DIGITS_MAX = 3,
	HEADER_MAX = 256,	/* of syslog's: date, host, process */
};

static const char magic[] = "epp1";

/* ---- values ---- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Of a name or an id: nothing that an encoding or a terminal would care about. */
static bool is_printable(struct span s)
{
	bool is_other = false;

	for (size_t i = 0; i < s.len; i++)	/* all of it: it goes by vectors */
		is_other |= s.ptr[i] <= ' ' || s.ptr[i] > '~';
	return !is_other;
}

static bool take_byte(struct span *s, char c)
{
	if (s->len == 0 || *s->ptr != c)
		return false;
	s->ptr++;
	s->len--;
	return true;
}

/* Digits only, and all of `s`. */
static bool read_digits(struct span s, uint64_t *out)
{
	uint64_t n = 0;

	if (s.len == 0 || s.len > NUMBER_DIGITS_MAX)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (!is_digit(s.ptr[i]))
			return false;
		n = n * 10 + (uint64_t)(s.ptr[i] - '0');
	}
	*out = n;
	return true;
}

/* Any negative number is -1: 2.6 writes Tc=-51 after a retry of a request. */
static bool read_or_none(struct span s, int64_t *out)
{
	bool is_none = take_byte(&s, '-');
	uint64_t n;

	if (!read_digits(s, &n))
		return false;
	*out = is_none ? -1 : (int64_t)n;
	return true;
}

static bool read_text(struct span s, size_t max, struct span *out)
{
	if (s.len == 0 || s.len > max || !is_printable(s))
		return false;
	*out = span_is_text(s, "-") ? (struct span){ 0 } : s;
	return true;
}

static bool read_id(struct span s, struct record *r, void *at)
{
	(void)r;
	return read_text(s, RECORD_ID_MAX, at);
}

static bool read_name(struct span s, struct record *r, void *at)
{
	struct span *name = at;

	(void)r;
	if (!read_text(s, RECORD_NAME_MAX, name))
		return false;
	if (span_is_text(*name, "<NOSRV>"))
		*name = (struct span){ 0 };
	return true;
}

/* -1 where nothing was sent, as to a client that left early. */
static bool read_status(struct span s, struct record *r, void *at)
{
	int64_t status;

	(void)at;
	if (!read_or_none(s, &status) || status > 999 ||
	    (status > 0 && status < 100))
		return false;
	r->status = status > 0 ? (uint16_t)status : 0;
	return true;
}

/* Two letters, four with those about cookies. New letters may come. */
static bool read_state(struct span s, struct record *r, void *at)
{
	(void)at;
	if (s.len < 2 || s.len > 4 || !is_printable(s))
		return false;
	r->ts[0] = s.ptr[0];
	r->ts[1] = s.ptr[1];
	return true;
}

static bool read_retries(struct span s, struct record *r, void *at)
{
	uint64_t n;

	(void)at;
	r->is_redispatched = take_byte(&s, '+');
	if (!read_digits(s, &n) || n > UINT16_MAX)
		return false;
	r->n_retries = (uint16_t)n;
	return true;
}

static bool read_ms(struct span s, struct record *r, void *at)
{
	if (take_byte(&s, '+'))
		r->is_early = true;
	return read_or_none(s, at);
}

static bool read_bytes(struct span s, struct record *r, void *at)
{
	if (take_byte(&s, '+'))
		r->is_early = true;
	return read_digits(s, at);
}

/* A difference of two clock readings: negative when the clock was set back. */
static bool read_us(struct span s, struct record *r, void *at)
{
	(void)r;
	return span_is_text(s, "-") || read_or_none(s, at);
}

/* ---- keys ---- */

#define FIELD(key, is_required, read, member, want) \
	{ key "=", sizeof(key "=") - 1, is_required, read, \
	  offsetof(struct record, member), want }

/* In the order of the shipped log-format, so that the next row is mostly the one. */
static const struct field {
	const char *key;
	size_t key_len;
	bool is_required;
	bool (*read)(struct span value, struct record *r, void *at);
	size_t offset;		/* of `at` */
	const char *want;
} fields[] = {
	FIELD("pool", true, read_name, pool, "pool=%b, of 255 bytes at most"),
	FIELD("srv", true, read_name, server, "srv=%s, of 255 bytes at most"),
	FIELD("st", true, read_status, status, "st=%ST"),
	FIELD("ts", true, read_state, ts, "ts=%tsc or ts=%ts"),
	FIELD("rc", false, read_retries, n_retries, "rc=%rc"),
	FIELD("Tw", false, read_ms, tw_ms, "Tw=%Tw"),
	FIELD("Tc", false, read_ms, tc_ms, "Tc=%Tc"),
	FIELD("Tr", false, read_ms, tr_ms, "Tr=%Tr"),
	FIELD("Ta", false, read_ms, ta_ms, "Ta=%Ta"),
	FIELD("B", false, read_bytes, bytes, "B=%B"),
	FIELD("ttft", false, read_us, ttft_us, "ttft= in microseconds, or -"),
	FIELD("id", true, read_id, id, "id=%ID, of 128 printable bytes at most"),
};

enum { N_FIELDS = sizeof(fields) / sizeof(*fields) };

/* Which row the word belongs to, tried from row `hint` on; N_FIELDS: to none. */
static size_t find_field(struct span word, size_t hint)
{
	for (size_t n = 0; n < N_FIELDS; n++) {
		size_t i = hint + n < N_FIELDS ? hint + n : hint + n - N_FIELDS;

		if (word.len >= fields[i].key_len &&
		    memcmp(word.ptr, fields[i].key, fields[i].key_len) == 0)
			return i;
	}
	return N_FIELDS;
}

static bool fail(struct record_fault *why, struct span found, const char *want)
{
	*why = (struct record_fault){ found, want };
	return false;
}

static bool read_field(const struct field *f, struct span word, struct record *r,
    struct record_fault *why)
{
	struct span value = { word.ptr + f->key_len, word.len - f->key_len };

	return f->read(value, r, (char *)r + f->offset) ||
	    fail(why, word, f->want);
}

/* Up to the next blank, which goes too; false: the text is over. */
static bool take_word(struct span *rest, struct span *word)
{
	const char *blank;

	if (rest->ptr == NULL)
		return false;
	blank = memchr(rest->ptr, ' ', rest->len);
	*word = *rest;
	if (blank == NULL) {
		*rest = (struct span){ 0 };
		return true;
	}
	word->len = (size_t)(blank - rest->ptr);
	*rest = (struct span){ blank + 1, rest->len - word->len - 1 };
	return true;
}

static bool is_bar(struct span word)
{
	return word.len == 1 && *word.ptr == '|';
}

static bool read_words(struct span rest, struct record *r,
    struct record_fault *why)
{
	unsigned seen = 0;
	size_t next = 0;
	struct span word;

	while (take_word(&rest, &word) && !is_bar(word)) {
		size_t i = find_field(word, next);

		if (i == N_FIELDS) {
			if (memchr(word.ptr, '=', word.len) == NULL)
				return fail(why, word, "key=value words, one "
				    "blank between, a | before other text");
			continue;
		}
		if ((seen & 1u << i) != 0)
			return fail(why, word, "each key once; id=%ID as the "
			    "last one, for clients may have a say in it");
		if (!read_field(&fields[i], word, r, why))
			return false;
		seen |= 1u << i;
		next = i + 1 < N_FIELDS ? i + 1 : 0;
	}
	for (size_t i = 0; i < N_FIELDS; i++)
		if (fields[i].is_required && (seen & 1u << i) == 0)
			return fail(why, (struct span){ 0 }, fields[i].want);
	return true;
}

/* ---- lines ---- */

/* "<134>": what `format short` and `format priority` of a ring put before the text. */
static void skip_priority(struct span *line)
{
	struct span rest = *line;
	size_t i = 0;

	if (!take_byte(&rest, '<'))
		return;
	while (i < PRIORITY_DIGITS_MAX && rest.len > 0 && is_digit(*rest.ptr)) {
		take_byte(&rest, *rest.ptr);
		i++;
	}
	if (i > 0 && take_byte(&rest, '>'))
		*line = rest;
}

/* The first word, and its blank, or the line's end. */
static bool skip_magic(struct span *line)
{
	size_t len = sizeof(magic) - 1;

	if (line->len < len || memcmp(line->ptr, magic, len) != 0 ||
	    (line->len > len && line->ptr[len] != ' '))
		return false;
	*line = line->len == len ? (struct span){ 0 } :
	    (struct span){ line->ptr + len + 1, line->len - len - 1 };
	return true;
}

/*
 * What stands before ours, if there is something: a date, a host, a process, as of
 * `format rfc5424` in the manual's example of a ring. Not skipped, because farther on
 * in a line " epp1 " may be a client's word; but said, or else there is only silence.
 */
static struct span header_of(struct span line)
{
	static const char first[] = " epp1 ";
	size_t len = line.len < HEADER_MAX ? line.len : HEADER_MAX;
	const char *at = NULL;

	if (len > 0 && (*line.ptr == '<' || is_digit(*line.ptr)))
		at = memmem(line.ptr, len, first, sizeof(first) - 1);
	return (struct span){ line.ptr,
		at != NULL ? (size_t)(at - line.ptr) : 0 };
}

static enum record_result parse_none(struct span line, struct record_fault *why)
{
	struct span header = header_of(line);

	if (header.len == 0)
		return RECORD_NONE;
	fail(why, header, "epp1 as the first word: `format raw` in HAProxy's "
	    "ring section");
	return RECORD_BAD;
}

enum record_result record_parse(struct span line, struct record *out,
    struct record_fault *why)
{
	struct span rest = line;

	skip_priority(&rest);
	if (!skip_magic(&rest))
		return parse_none(line, why);
	*out = (struct record){ .tw_ms = -1, .tc_ms = -1, .tr_ms = -1,
		.ta_ms = -1, .ttft_us = -1 };
	if (!read_words(rest, out, why))
		return RECORD_BAD;
	return out->id.len > 0 ? RECORD_OK : RECORD_NO_ID;
}

/* ---- what it means ---- */

/* It ended as it should, or by the client: then the status alone can tell. */
static enum record_blame blame_status(const struct record *r)
{
	bool is_whole = r->ts[0] == '-';

	/* Without Tr there were no headers, and HAProxy chose the status. */
	if (r->status >= 500 && (is_whole || r->tr_ms >= 0))
		return RECORD_FAILED;
	/* Too much to do is no illness: sending it elsewhere is the picker's job. */
	if (!is_whole || r->status < 100 || r->status == 429)
		return RECORD_NEUTRAL;
	return RECORD_SERVED;
}

/*
 * The letters of section 8.5. First the one who ended it:
 * S, s	the server closed, refused, or let a timeout pass. In the queue (Q) it never
 *	saw the request: too many before it.
 * D	killed because its server was found to be down.
 * C, c	the client. 3.0.11 says so too (CD) of a server that falls silent in the
 *	middle of an answer, which 2.6.12 and 3.2.26 call sD.
 * P, L	a rule, before or after the server: `return` is LR or LH, `deny` PR or PH. A
 *	response that HAProxy cannot read is PH or PD as well; these cannot be told
 *	from rules, so the server gets the benefit of the doubt.
 * R, I, U, K	HAProxy's own troubles, or its administrator.
 */
enum record_blame record_blame(const struct record *r)
{
	if (r->server.len == 0)
		return RECORD_NEUTRAL;
	switch (r->ts[0]) {
	case 'S':
	case 's':
		return r->ts[1] == 'Q' ? RECORD_NEUTRAL : RECORD_FAILED;
	case 'D':
		return RECORD_FAILED;
	case '-':
	case 'C':
	case 'c':
		return blame_status(r);
	default:
		return RECORD_NEUTRAL;
	}
}

bool record_has_ttft(const struct record *r)
{
	return r->ttft_us >= 0 && r->status >= 200 && r->status < 300 &&
	    record_blame(r) == RECORD_SERVED;
}
