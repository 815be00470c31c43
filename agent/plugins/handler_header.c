/*
 * handler_header.c - one profile, and the request says which
 *
 *	the header's value (headerName: EPP-Profile) is a profile's name: that one
 *	no such header, or blank: defaultProfile (decode)
 *	the pool has one profile only: that one, whatever is asked for
 *
 * For a coordinator that calls once per stage of disaggregated serving. Source:
 * llm-d-router, profile handler "header-profile-handler". There a value that names no
 * profile becomes 429, which its README calls misleading and 400 right: so it is here.
 */
#include "plugins/plugins.h"

#include "conf.h"
#include "request.h"

struct header_params {
	const char *header, *fallback;
};

static const struct conf_row rows[] = {
	{ .key = "headerName", .decode = conf_string, .preset = "EPP-Profile",
	  .offset = offsetof(struct header_params, header),
	  .help = "whose value is the profile's name" },
	{ .key = "defaultProfile", .decode = conf_string, .preset = "decode",
	  .offset = offsetof(struct header_params, fallback),
	  .help = "without that header" },
};

static const struct conf_table table = {
	.what = "header-profile-handler",
	.size = sizeof(struct header_params),
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(*rows),
};

static struct unbound header_bind(void *params,
    const struct handler_names *names)
{
	const struct header_params *p = params;

	if (names->n_profiles > 1 && profile_find(names->profiles,
		names->n_profiles, span_of(p->fallback)) == NULL)
		return (struct unbound){ p->fallback,
			"a scheduling profile's name" };
	return (struct unbound){ 0 };
}

static const struct profile *header_next(const struct stages *s,
    const void *params, enum stage *stage)
{
	const struct header_params *p = params;
	const struct schedule *all = s->schedule;
	struct span value = { 0 };

	if (s->of[STAGE_PRIMARY].is_over)
		return NULL;
	*stage = STAGE_PRIMARY;
	if (all->n_profiles == 1)
		return all->profiles;
	if (request_header(s->request, p->header, &value))
		value = span_trim(value);
	if (value.len == 0)
		value = span_of(p->fallback);
	return profile_find(all->profiles, all->n_profiles, value);
}

const struct handler handler_header = {
	.name = "header-profile-handler",
	.differs = "a header that names no profile is answered 400, not 429",
	.params = &table,
	.bind = header_bind,
	.next = header_next,
};
