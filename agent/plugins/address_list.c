/*
 * address_list.c - sorted once, then a search per candidate
 */
#include "plugins/address_list.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "endpoints.h"
#include "plugin.h"

enum { FIRST_GAP = 364, PORT_DIGITS_MAX = 5 };

static struct span trim(struct span s)
{
	while (s.len > 0 && isspace((unsigned char)s.ptr[s.len - 1]))
		s.len--;
	while (s.len > 0 && isspace((unsigned char)s.ptr[0])) {
		s.ptr++;
		s.len--;
	}
	return s;
}

/* True when it moved behind a byte `c` at the beginning. */
static bool skip(struct span *s, char c)
{
	if (s->len == 0 || s->ptr[0] != c)
		return false;
	s->ptr++;
	s->len--;
	return true;
}

/* Four numbers up to 255, no zero before a digit: as inet_pton() has it. */
static bool parse_v4(unsigned char bytes[4], struct span s)
{
	for (size_t i = 0; i < 4; i++) {
		unsigned n = 0;
		size_t len = 0;

		while (len < 3 && len < s.len &&
		    isdigit((unsigned char)s.ptr[len]))
			n = n * 10 + (unsigned)(s.ptr[len++] - '0');
		if (len == 0 || n > UINT8_MAX || (len > 1 && s.ptr[0] == '0'))
			return false;
		bytes[i] = (unsigned char)n;
		s.ptr += len;
		s.len -= len;
		if (i < 3 && !skip(&s, '.'))
			return false;
	}
	return s.len == 0;
}

/* inet_pton() wants a string; what has a NUL within is none. */
static bool parse_v6(struct in6_addr *ip, struct span s)
{
	char text[INET6_ADDRSTRLEN];

	if (s.len >= sizeof(text) || memchr(s.ptr, '\0', s.len) != NULL)
		return false;
	memcpy(text, s.ptr, s.len);
	text[s.len] = '\0';
	return inet_pton(AF_INET6, text, ip) == 1;
}

static bool parse_ip(struct in6_addr *ip, struct span s)
{
	static const unsigned char mapped[] = {
		[10] = 0xff, [11] = 0xff, [15] = 0,
	};

	if (s.len == 0)
		return false;
	if (memchr(s.ptr, ':', s.len) != NULL)
		return parse_v6(ip, s);
	memcpy(ip, mapped, sizeof(*ip));
	return parse_v4(&ip->s6_addr[12], s);
}

static bool parse_port(uint16_t *port, struct span s)
{
	uint32_t n = 0;

	if (s.len == 0 || s.len > PORT_DIGITS_MAX)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (!isdigit((unsigned char)s.ptr[i]))
			return false;
		n = n * 10 + (uint32_t)(s.ptr[i] - '0');
	}
	if (n == 0 || n > UINT16_MAX)
		return false;
	*port = (uint16_t)n;
	return true;
}

/* Takes what is before the first `end` off `s`, and `end` with it. */
static struct span take(struct span *s, char end)
{
	const char *at = s->len > 0 ? memchr(s->ptr, end, s->len) : NULL;
	struct span head = *s;

	if (at == NULL) {
		*s = (struct span){ 0 };
		return head;
	}
	head.len = (size_t)(at - s->ptr);
	s->ptr = at + 1;
	s->len -= head.len + 1;
	return head;
}

/* Behind the opening bracket. */
static bool parse_bracketed(struct address *a, struct span rest)
{
	struct span ip = take(&rest, ']');

	return rest.ptr != NULL && memchr(ip.ptr, ':', ip.len) != NULL &&
	    parse_ip(&a->ip, ip) &&
	    (rest.len == 0 ||
		(skip(&rest, ':') && parse_port(&a->port, rest)));
}

static bool parse_bare(struct address *a, struct span text)
{
	struct span rest = text, ip = take(&rest, ':');

	return parse_ip(&a->ip, parse_port(&a->port, rest) ? ip : text);
}

bool address_parse(struct address *a, struct span text)
{
	struct span rest = trim(text);

	*a = (struct address){ 0 };
	return skip(&rest, '[') ? parse_bracketed(a, rest) :
	    parse_bare(a, rest);
}

static bool is_same_ip(const struct address *a, const struct address *b)
{
	return memcmp(&a->ip, &b->ip, sizeof(a->ip)) == 0;
}

bool address_names(const struct address *a, struct span text)
{
	struct address b;

	return address_parse(&b, text) && is_same_ip(a, &b) &&
	    (a->port == 0 || a->port == b.port);
}

/* For bsearch() too. */
static int by_ip_then_port(const void *left, const void *right)
{
	const struct address *a = left, *b = right;
	int order = memcmp(&a->ip, &b->ip, sizeof(a->ip));

	return order != 0 ? order : (a->port > b->port) - (a->port < b->port);
}

/* Shell's sort, Knuth's gaps: qsort() may call malloc(). */
static void sort(struct address *at, size_t n)
{
	for (size_t gap = FIRST_GAP; gap > 0; gap /= 3)
		for (size_t i = gap; i < n; i++) {
			struct address moving = at[i];
			size_t k = i;

			while (k >= gap &&
			    by_ip_then_port(&moving, &at[k - gap]) < 0) {
				at[k] = at[k - gap];
				k -= gap;
			}
			at[k] = moving;
		}
}

/* Sorted. Returns how many. */
static size_t read_list(struct span list, struct address *all)
{
	size_t n = 0;

	for (size_t i = 0; i < ADDRESS_LIST_MAX && list.len > 0; i++)
		n += address_parse(&all[n], take(&list, ','));
	sort(all, n);
	return n;
}

static bool is_in(const struct address *a, const struct address *all, size_t n)
{
	const struct address any_port = { .ip = a->ip };

	return bsearch(&any_port, all, n, sizeof(*all), by_ip_then_port) ||
	    bsearch(a, all, n, sizeof(*all), by_ip_then_port);
}

void address_list_keep(const struct choice *c, struct span list, bool *keep)
{
	struct address all[ADDRESS_LIST_MAX], mine;
	size_t n = read_list(list, all);

	for (size_t i = 0; i < c->n; i++)
		keep[i] = n > 0 && address_parse(&mine,
		    c->view->endpoints[c->rows[i]].addr) &&
		    is_in(&mine, all, n);
}
