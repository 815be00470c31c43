/*
 * decode_text.c - the formats of strings, as the CRDs' patterns have them
 *
 * Each predicate quotes the pattern that it is. Hand-written, since a regular
 * expression for each of some million fields would be most of a cold start.
 */
#include "decode_rows.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "arena.h"

static bool is_low_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_alnum(char c)
{
	return is_low_alnum(c) || (c >= 'A' && c <= 'Z');
}

static bool is_made_of(const char *text, const char *others)
{
	for (; *text != '\0'; text++)
		if (!is_alnum(*text) && strchr(others, *text) == NULL)
			return false;
	return true;
}

/* [a-z0-9]([-a-z0-9]*[a-z0-9])? of that length */
static bool is_label_of(const char *text, size_t len)
{
	if (len == 0 || text[0] == '-' || text[len - 1] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_low_alnum(text[i]) && text[i] != '-')
			return false;
	return true;
}

static bool is_label(const char *text)
{
	return is_label_of(text, strlen(text));
}

/* labels with dots between */
static bool is_subdomain_of(const char *text, size_t len)
{
	for (;;) {
		const char *dot = memchr(text, '.', len);
		size_t part = dot != NULL ? (size_t)(dot - text) : len;

		if (!is_label_of(text, part))
			return false;
		if (dot == NULL)
			return true;
		text = dot + 1;
		len -= part + 1;
	}
}

static bool is_subdomain(const char *text)
{
	return is_subdomain_of(text, strlen(text));
}

static bool is_group(const char *text)
{
	return text[0] == '\0' || is_subdomain(text);
}

static bool is_hostname(const char *text)
{
	return is_subdomain(strncmp(text, "*.", 2) == 0 ? text + 2 : text);
}

/* [a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])? */
static bool is_kind(const char *text)
{
	return isalpha((unsigned char)text[0]) &&
	    is_alnum(text[strlen(text) - 1]) && is_made_of(text, "-");
}

/* [A-Za-z0-9!#$%&'*+\-.^_`|~]+ */
static bool is_header_name(const char *text)
{
	return is_made_of(text, "!#$%&'*+-.^_`|~");
}

/* [!-~]+([\t ]?[!-~]+)* */
static bool is_header_value(const char *text)
{
	bool was_blank = true;

	for (; *text != '\0'; text++) {
		bool is_blank = *text == ' ' || *text == '\t';

		if ((is_blank && was_blank) ||
		    (!is_blank && (*text < '!' || *text > '~')))
			return false;
		was_blank = is_blank;
	}
	return !was_blank;
}

/* subdomain \/ [A-Za-z0-9\/\-._~%!$&'()*+,;=:]+ */
static bool is_controller(const char *text)
{
	const char *slash = strchr(text, '/');

	return slash != NULL && slash[1] != '\0' &&
	    is_subdomain_of(text, (size_t)(slash - text)) &&
	    is_made_of(slash + 1, "/-._~%!$&'()*+,;=:");
}

/* [a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?, or subdomain \/ [A-Za-z0-9]+ */
static bool is_protocol(const char *text)
{
	const char *slash = strchr(text, '/');
	size_t len = strlen(text);

	if (slash != NULL)
		return slash[1] != '\0' && is_made_of(slash + 1, "") &&
		    is_subdomain_of(text, (size_t)(slash - text));
	return is_made_of(text, "-") && text[0] != '-' && text[len - 1] != '-';
}

/* (?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+ */
bool kube_is_url_path(const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '%') {
			if (!isxdigit((unsigned char)text[1]) ||
			    !isxdigit((unsigned char)text[2]))
				return false;
			text += 2;
		} else if (!is_alnum(*text) &&
		    strchr("-/._~!$&'()*+,;=:@", *text) == NULL) {
			return false;
		}
	}
	return true;
}

/* [0-9]{1,5} to the end */
static bool is_port_text(const char *text)
{
	size_t n = strspn(text, "0123456789");

	return n >= 1 && n <= 5 && text[n] == '\0';
}

/* \* | http(s)?:\/\/ ( (\*\.)?([a-zA-Z0-9-]+\.)*[a-zA-Z0-9-]+ | \* ) (:port)? */
static bool is_origin(const char *text)
{
	const char *host, *colon;
	size_t len;

	if (strcmp(text, "*") == 0)
		return true;
	if (strncmp(text, "http://", 7) == 0)
		host = text + 7;
	else if (strncmp(text, "https://", 8) == 0)
		host = text + 8;
	else
		return false;
	colon = strchr(host, ':');
	if (colon != NULL && !is_port_text(colon + 1))
		return false;
	len = colon != NULL ? (size_t)(colon - host) : strlen(host);
	if (len == 1 && host[0] == '*')
		return true;
	if (len > 2 && strncmp(host, "*.", 2) == 0) {
		host += 2;
		len -= 2;
	}
	if (len == 0 || host[0] == '.' || host[len - 1] == '.')
		return false;
	for (size_t i = 0; i < len; i++)
		if ((!is_alnum(host[i]) && host[i] != '-' && host[i] != '.') ||
		    (host[i] == '.' && host[i + 1] == '.'))
			return false;
	return true;
}

static bool is_well_known(const char *text)
{
	return strcmp(text, "System") == 0 || is_controller(text);
}

static bool is_uri(const char *text)
{
	size_t scheme = strcspn(text, ":/?#");

	return scheme > 0 && text[scheme] == ':';
}

static bool is_anything(const char *text)
{
	(void)text;
	return true;
}

/* What YAML 1.1, which Kubernetes reads, takes for a truth or a number. */
static bool is_no_string(const struct conf *value)
{
	static const char *const truths[] = { "true", "false", "yes", "no",
		"on", "off" };
	const char *text = value->text;

	if (value->quoted)
		return false;
	for (size_t i = 0; i < sizeof(truths) / sizeof(*truths); i++)
		if (strcasecmp(text, truths[i]) == 0)
			return true;
	text += *text == '-' || *text == '+';
	if (!isdigit((unsigned char)*text))
		return false;
	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
		return text[2] != '\0' &&
		    text[2 + strspn(text + 2, "0123456789abcdefABCDEF_")] == '\0';
	text += strspn(text, "0123456789_");
	if (*text == '.')
		text += 1 + strspn(text + 1, "0123456789_");
	if (*text == 'e' || *text == 'E') {
		text += 1 + (text[1] == '-' || text[1] == '+');
		text += strspn(text, "0123456789");
	}
	return *text == '\0';
}

struct format {
	bool (*fits)(const char *text);
	size_t min, max;	/* bytes */
	const char *want;
};

static int take(const struct conf_input *in, const struct conf_row *row,
    const struct conf *value, const struct format *f, void *out)
{
	size_t len;
	char *text;

	if (value->type != CONF_SCALAR)
		return conf_refuse(in, row, value, "%s", f->want);
	if (is_no_string(value))
		return conf_refuse(in, row, value, "%s, in quotes: \"%s\"",
		    f->want, value->text);
	len = strlen(value->text);
	if (len > f->max)
		return conf_refuse(in, row, value, "%s, of at most %zu bytes",
		    f->want, f->max);
	if (len < f->min || (len > 0 && !f->fits(value->text)))
		return conf_refuse(in, row, value, "%s", f->want);
	/* What is not written lives on in the row: a third of all strings. */
	text = value->text == row->preset ? (char *)row->preset :
	    arena_copy(in->arena, value->text, len);
	if (text == NULL)
		return conf_no_memory(in);
	*(char **)out = text;
	return 0;
}

#define FORMAT(name, test, least, most, words) \
	int name(const struct conf_input *in, const struct conf_row *row, \
	    const struct conf *value, void *out) \
	{ \
		static const struct format f = { test, least, most, words }; \
		return take(in, row, value, &f, out); \
	}

FORMAT(kube_group, is_group, 0, 253, "an API group, as example.com, or \"\"")
FORMAT(kube_kind, is_kind, 1, 63, "the name of a kind, as Service")
FORMAT(kube_namespace, is_label, 1, 63,
    "the name of a namespace: a-z, 0-9 and -")
FORMAT(kube_name, is_anything, 1, 253, "the name of an object")
FORMAT(kube_section, is_subdomain, 1, 253, "a name of a-z, 0-9, - and .")
FORMAT(kube_hostname, is_hostname, 1, 253,
    "a host name in lower case, as example.com or *.example.com")
FORMAT(kube_precise_hostname, is_subdomain, 1, 253,
    "a host name in lower case without *, as example.com")
FORMAT(kube_header_name, is_header_name, 1, 256,
    "a name of letters, digits and !#$%&'*+-.^_`|~")
FORMAT(kube_header_value, is_header_value, 1, 4096,
    "printable ASCII, with single blanks inside only")
FORMAT(kube_controller, is_controller, 1, 253,
    "a controller's name, as example.com/gateway-controller")
FORMAT(kube_protocol, is_protocol, 1, 255,
    "HTTP, HTTPS, TLS, TCP, UDP or example.com/name")
FORMAT(kube_origin, is_origin, 1, 253,
    "an origin, as https://example.com, https://*.example.com or *")
FORMAT(kube_well_known, is_well_known, 1, 253, "System")
FORMAT(kube_uri, is_uri, 1, 253, "a URI, as spiffe://example.com/name")

int kube_text(const struct conf_input *in, const struct conf_row *row,
    const struct conf *value, void *out)
{
	const struct format f = { is_anything, row->min,
		row->max != 0 ? row->max : SIZE_MAX, "a string" };

	return take(in, row, value, &f, out);
}

int kube_any(const struct conf_input *in, const struct conf_row *row,
    const struct conf *value, void *out)
{
	if (value->type != CONF_SCALAR)
		return conf_refuse(in, row, value, "one value");
	*(char **)out = arena_copy(in->arena, value->text, strlen(value->text));
	return *(char **)out != NULL ? 0 : conf_no_memory(in);
}
