/*
 * lines.c - one small function for each state of the stream
 */
#include "lines.h"

#include <string.h>

enum { LENGTH_DIGITS_MAX = 7 };

enum cut_state {
	CUT_START,
	CUT_LENGTH,		/* its digits so far are in `partial` */
	CUT_COUNTED,		/* `left` more bytes are the line */
	CUT_COUNTED_SKIP,	/* ... are thrown away */
	CUT_LINE,
	CUT_LINE_SKIP,		/* up to the newline */
};

void lines_init(struct lines *c)
{
	*c = (struct lines){ .state = CUT_START };
	buf_init(&c->partial, LINES_MAX_BYTES);
}

void lines_fini(struct lines *c)
{
	buf_fini(&c->partial);
}

static struct span take(struct span *in, size_t len)
{
	struct span taken = { in->ptr, len };

	in->ptr += len;
	in->len -= len;
	return taken;
}

static enum lines_result give(struct lines *c, struct span *line)
{
	*line = buf_span(&c->partial);
	c->is_lent = true;
	return LINES_LINE;
}

/* For no memory as well: such a line is no less lost. */
static enum lines_result give_up(struct lines *c, enum cut_state next)
{
	buf_clear(&c->partial);
	c->state = (uint8_t)next;
	return LINES_TOO_LONG;
}

static void cut_start(struct lines *c, struct span *in)
{
	bool is_length = *in->ptr >= '1' && *in->ptr <= '9';

	c->state = is_length ? CUT_LENGTH : CUT_LINE;
}

/* The digits are kept as text: if no length after all, they begin a line. */
static enum lines_result cut_length(struct lines *c, struct span *in)
{
	char next = *in->ptr;

	if (next >= '0' && next <= '9' && c->partial.len < LENGTH_DIGITS_MAX) {
		buf_put(&c->partial, take(in, 1).ptr, 1);
		return buf_failed(&c->partial) ?
		    give_up(c, CUT_LINE_SKIP) : LINES_MORE;
	}
	if (next != ' ' || c->partial.len == 0 || *c->partial.data == '0') {
		c->state = CUT_LINE;
		return LINES_MORE;
	}
	take(in, 1);
	c->left = 0;
	for (size_t i = 0; i < c->partial.len; i++)
		c->left = c->left * 10 + (size_t)(c->partial.data[i] - '0');
	buf_clear(&c->partial);
	c->state = CUT_COUNTED;
	return c->left > LINES_MAX_BYTES ?
	    give_up(c, CUT_COUNTED_SKIP) : LINES_MORE;
}

static enum lines_result cut_counted(struct lines *c,
    struct span *in, struct span *line)
{
	struct span part = take(in, in->len < c->left ? in->len : c->left);

	c->left -= part.len;
	if (c->left == 0)
		c->state = CUT_LENGTH;
	if (c->left == 0 && c->partial.len == 0) {
		*line = part;
		return LINES_LINE;
	}
	buf_put(&c->partial, part.ptr, part.len);
	if (buf_failed(&c->partial))
		return give_up(c, c->left == 0 ? CUT_LENGTH : CUT_COUNTED_SKIP);
	return c->left == 0 ? give(c, line) : LINES_MORE;
}

static void cut_counted_skip(struct lines *c, struct span *in)
{
	c->left -= take(in, in->len < c->left ? in->len : c->left).len;
	if (c->left == 0)
		c->state = CUT_LENGTH;
}

static enum lines_result cut_line(struct lines *c, struct span *in,
    struct span *line)
{
	const char *newline = memchr(in->ptr, '\n', in->len);
	struct span part = take(in,
	    newline != NULL ? (size_t)(newline - in->ptr) : in->len);

	if (newline != NULL)
		take(in, 1);
	if (newline != NULL && c->partial.len == 0 &&
	    part.len <= LINES_MAX_BYTES) {
		*line = part;
		return LINES_LINE;
	}
	buf_put(&c->partial, part.ptr, part.len);
	if (buf_failed(&c->partial))	/* past the ceiling */
		return give_up(c, newline != NULL ? CUT_LINE : CUT_LINE_SKIP);
	return newline != NULL ? give(c, line) : LINES_MORE;
}

static void cut_line_skip(struct lines *c, struct span *in)
{
	const char *newline = memchr(in->ptr, '\n', in->len);

	take(in, newline != NULL ? (size_t)(newline - in->ptr) + 1 : in->len);
	if (newline != NULL)
		c->state = CUT_LINE;
}

enum lines_result lines_next(struct lines *c, struct span *in,
    struct span *line)
{
	enum lines_result cut = LINES_MORE;

	if (c->is_lent)
		buf_clear(&c->partial);
	c->is_lent = false;
	while (in->len > 0 && cut == LINES_MORE) {
		switch ((enum cut_state)c->state) {
		case CUT_START:
			cut_start(c, in);
			break;
		case CUT_LENGTH:
			cut = cut_length(c, in);
			break;
		case CUT_COUNTED:
			cut = cut_counted(c, in, line);
			break;
		case CUT_COUNTED_SKIP:
			cut_counted_skip(c, in);
			break;
		case CUT_LINE:
			cut = cut_line(c, in, line);
			break;
		case CUT_LINE_SKIP:
			cut_line_skip(c, in);
			break;
		}
	}
	return cut;
}
