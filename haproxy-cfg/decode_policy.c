/*
 * decode_policy.c - ReferenceGrant, BackendTLSPolicy
 */
#include <string.h>

#include "conf.h"
#include "decode_rows.h"

/* ---- ReferenceGrant ------------------------------------------------------ */

static const struct conf_row from_rows[] = {
	{ .key = "group", .decode = kube_group, .required = true,
	  .offset = offsetof(struct grant_from, group), .help = "who refers" },
	{ .key = "kind", .decode = kube_kind, .required = true,
	  .offset = offsetof(struct grant_from, kind), .help = "who refers" },
	{ .key = "namespace", .decode = kube_namespace, .required = true,
	  .offset = offsetof(struct grant_from, namespace),
	  .help = "from where" },
};

static const struct conf_table from_table = {
	.what = "a from", ROWS(from_rows), .size = sizeof(struct grant_from),
};

static const struct conf_row to_rows[] = {
	{ .key = "group", .decode = kube_group, .required = true,
	  .offset = offsetof(struct grant_to, group), .help = "to what" },
	{ .key = "kind", .decode = kube_kind, .required = true,
	  .offset = offsetof(struct grant_to, kind), .help = "to what" },
	{ .key = "name", .decode = kube_name,
	  .offset = offsetof(struct grant_to, name),
	  .help = "to which; all when not given" },
};

static const struct conf_table to_table = {
	.what = "a to", ROWS(to_rows), .size = sizeof(struct grant_to),
};

static const struct conf_row grant_spec_rows[] = {
	{ .key = "from", .decode = conf_list, .table = &from_table, .min = 1,
	  .max = 16, .required = true,
	  .offset = offsetof(struct reference_grant, from),
	  .offset_n = offsetof(struct reference_grant, n_from),
	  .help = "[{group, kind, namespace}, ...]" },
	{ .key = "to", .decode = conf_list, .table = &to_table, .min = 1,
	  .max = 16, .required = true,
	  .offset = offsetof(struct reference_grant, to),
	  .offset_n = offsetof(struct reference_grant, n_to),
	  .help = "[{group, kind}, ...]" },
};

static const struct conf_table grant_spec = {
	.what = "spec", ROWS(grant_spec_rows),
};

static const struct conf_row grant_rows[] = {
	OBJECT_ROWS,
	{ .key = "spec", .decode = conf_section, .table = &grant_spec,
	  .required = true, .help = "{from, to}" },
};

const struct conf_table reference_grant_table = {
	.what = "a ReferenceGrant", ROWS(grant_rows),
	.size = sizeof(struct reference_grant),
};

/* ---- BackendTLSPolicy ---------------------------------------------------- */

static const struct conf_row target_rows[] = {
	{ .key = "group", .decode = kube_group, .required = true,
	  .offset = offsetof(struct policy_target, group),
	  .help = "\"\" of a Service" },
	{ .key = "kind", .decode = kube_kind, .required = true,
	  .offset = offsetof(struct policy_target, kind), .help = "Service" },
	{ .key = "name", .decode = kube_name, .required = true,
	  .offset = offsetof(struct policy_target, name), .help = "its name" },
	{ .key = "sectionName", .decode = kube_section,
	  .offset = offsetof(struct policy_target, section),
	  .help = "a port's name" },
};

static const struct conf_table target_table = {
	.what = "a targetRef", ROWS(target_rows),
	.size = sizeof(struct policy_target),
};

static const struct conf_row ca_rows[] = {
	{ .key = "group", .decode = kube_group, .required = true,
	  .offset = offsetof(struct object_ref, group),
	  .help = "\"\" of a ConfigMap" },
	{ .key = "kind", .decode = kube_kind, .required = true,
	  .offset = offsetof(struct object_ref, kind), .help = "ConfigMap" },
	{ .key = "name", .decode = kube_name, .required = true,
	  .offset = offsetof(struct object_ref, name), .help = "its name" },
};

static const struct conf_table ca_table = {
	.what = "a caCertificateRef", ROWS(ca_rows),
	.size = sizeof(struct object_ref),
};

static const char *const san_types[] = { "Hostname", "URI", NULL };

/* The CEL rules on SubjectAltName: what the type names, and nothing else. */
static int check_san(const struct conf_input *in, const struct conf *map,
    void *out)
{
	const struct subject_alt_name *san = out;
	bool is_name = san->type == SAN_HOSTNAME;

	if ((is_name ? san->hostname : san->uri) == NULL)
		return conf_refuse_at(in, map, "type", NULL, "%s beside it",
		    is_name ? "hostname" : "uri");
	if ((is_name ? san->uri : san->hostname) != NULL)
		return conf_refuse_at(in, map, is_name ? "uri" : "hostname",
		    NULL, "only what the type names");
	return 0;
}

static const struct conf_row san_rows[] = {
	{ .key = "type", .decode = conf_enum, .names = san_types,
	  .offset = offsetof(struct subject_alt_name, type), .required = true,
	  .help = "Hostname or URI" },
	{ .key = "hostname", .decode = kube_hostname,
	  .offset = offsetof(struct subject_alt_name, hostname),
	  .help = "as example.com" },
	{ .key = "uri", .decode = kube_uri,
	  .offset = offsetof(struct subject_alt_name, uri),
	  .help = "as spiffe://example.com/name" },
};

static const struct conf_table san_table = {
	.what = "a subjectAltName", ROWS(san_rows), .check = check_san,
	.size = sizeof(struct subject_alt_name),
};

static int check_validation(const struct conf_input *in,
    const struct conf *map, void *out)
{
	const struct backend_tls_policy *p = out;

	if (p->n_cas > 0 && p->well_known != NULL)
		return conf_refuse_at(in, map, "wellKnownCACertificates", NULL,
		    "caCertificateRefs or this, not both");
	if (p->n_cas == 0 && p->well_known == NULL)
		return conf_refuse_at(in, map, NULL, "no certificates to trust",
		    "caCertificateRefs or wellKnownCACertificates: System");
	return 0;
}

static const struct conf_row validation_rows[] = {
	{ .key = "caCertificateRefs", .decode = conf_list, .table = &ca_table,
	  .max = 8, .offset = offsetof(struct backend_tls_policy, cas),
	  .offset_n = offsetof(struct backend_tls_policy, n_cas),
	  .help = "ConfigMaps with ca.crt" },
	{ .key = "wellKnownCACertificates", .decode = kube_well_known,
	  .offset = offsetof(struct backend_tls_policy, well_known),
	  .help = "System" },
	{ .key = "hostname", .decode = kube_precise_hostname, .required = true,
	  .offset = offsetof(struct backend_tls_policy, hostname),
	  .help = "sent as SNI" },
	{ .key = "subjectAltNames", .decode = conf_list, .table = &san_table,
	  .max = 5, .offset = offsetof(struct backend_tls_policy, sans),
	  .offset_n = offsetof(struct backend_tls_policy, n_sans),
	  .help = "[{type, hostname or uri}, ...]" },
};

static const struct conf_table validation_table = {
	.what = "validation", ROWS(validation_rows), .check = check_validation,
};

static bool is_same_target(const struct policy_target *a,
    const struct policy_target *b)
{
	return strcmp(a->group, b->group) == 0 &&
	    strcmp(a->kind, b->kind) == 0 && strcmp(a->name, b->name) == 0;
}

/* The two CEL rules on targetRefs: of one target, sections differ. */
static int check_policy(const struct conf_input *in, const struct conf *map,
    void *out)
{
	const struct backend_tls_policy *p = out;

	for (size_t i = 1; i < p->n_targets; i++)
		for (size_t k = 0; k < i; k++) {
			const struct policy_target *a = &p->targets[k];
			const struct policy_target *b = &p->targets[i];

			if (is_same_target(a, b) && (a->section == NULL ||
				b->section == NULL ||
				strcmp(a->section, b->section) == 0))
				return conf_refuse_at(in, map, "targetRefs",
				    b->name, "another sectionName in each "
				    "targetRef to the same target");
		}
	return 0;
}

static const struct conf_row policy_spec_rows[] = {
	{ .key = "targetRefs", .decode = conf_list, .table = &target_table,
	  .min = 1, .max = 16, .required = true,
	  .offset = offsetof(struct backend_tls_policy, targets),
	  .offset_n = offsetof(struct backend_tls_policy, n_targets),
	  .help = "[{group: \"\", kind: Service, name}, ...]" },
	{ .key = "validation", .decode = conf_section, .required = true,
	  .table = &validation_table, .help = "{hostname, ...}" },
	{ .key = "options", .decode = kube_labels, .max = 16,
	  .offset = offsetof(struct backend_tls_policy, options),
	  .help = "an implementation's own" },
};

static const struct conf_table policy_spec = {
	.what = "spec", ROWS(policy_spec_rows), .check = check_policy,
};

static const struct conf_row policy_rows[] = {
	OBJECT_ROWS,
	{ .key = "spec", .decode = conf_section, .table = &policy_spec,
	  .required = true, .help = "{targetRefs, validation}" },
};

const struct conf_table backend_tls_policy_table = {
	.what = "a BackendTLSPolicy", ROWS(policy_rows),
	.size = sizeof(struct backend_tls_policy),
};
