/*
 * decode_core.c - of Kubernetes' own kinds, what routing needs
 *
 * Their tables are open: an exported Service or Pod has dozens of fields that
 * are nobody's business here.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "arena.h"
#include "conf.h"
#include "decode_rows.h"
#include "pem.h"

/* ---- Service ------------------------------------------------------------- */

static const struct conf_row port_rows[] = {
	{ .key = "name", .decode = kube_text, .max = 63,
	  .offset = offsetof(struct service_port, name), .help = "its name" },
	{ .key = "port", .decode = conf_u16,
	  .offset = offsetof(struct service_port, port), .help = "1 to 65535" },
	{ .key = "protocol", .decode = kube_text, .preset = "TCP",
	  .offset = offsetof(struct service_port, protocol), .help = "TCP" },
	{ .key = "appProtocol", .decode = kube_text,
	  .offset = offsetof(struct service_port, app_protocol),
	  .help = "as kubernetes.io/h2c" },
};

static const struct conf_table port_table = {
	.what = "a port", ROWS(port_rows), .size = sizeof(struct service_port),
	.is_open = true,
};

static const struct conf_row service_spec_rows[] = {
	{ .key = "type", .decode = kube_text, .preset = "ClusterIP",
	  .offset = offsetof(struct service, type), .help = "ClusterIP, ..." },
	{ .key = "ports", .decode = conf_list, .table = &port_table,
	  .offset = offsetof(struct service, ports),
	  .offset_n = offsetof(struct service, n_ports),
	  .help = "[{name, port}, ...]" },
};

static const struct conf_table service_spec = {
	.what = "spec", ROWS(service_spec_rows), .is_open = true,
};

static const struct conf_row service_rows[] = {
	OBJECT_ROWS,
	{ .key = "spec", .decode = conf_section, .table = &service_spec,
	  .preset = "{}", .help = "{ports: ...}" },
};

const struct conf_table service_table = {
	.what = "a Service", ROWS(service_rows),
	.size = sizeof(struct service), .is_open = true,
};

/* ---- EndpointSlice ------------------------------------------------------- */

static const struct conf_row address_item = {
	.key = "an address", .decode = kube_text, .min = 1, .max = 253,
};

static const struct conf_table address_table = {
	.what = "addresses", .size = sizeof(char *), .item = &address_item,
};

/* Nil means ready: discovery/v1 EndpointConditions. */
static const struct conf_row condition_rows[] = {
	{ .key = "ready", .decode = conf_bool, .preset = "true",
	  .offset = offsetof(struct slice_endpoint, ready),
	  .help = "true or false" },
	{ .key = "terminating", .decode = conf_bool, .preset = "false",
	  .offset = offsetof(struct slice_endpoint, terminating),
	  .help = "true or false" },
};

static const struct conf_table condition_table = {
	.what = "conditions", ROWS(condition_rows), .is_open = true,
};

static const struct conf_row endpoint_rows[] = {
	{ .key = "addresses", .decode = conf_list, .table = &address_table,
	  .min = 1, .max = 100, .required = true,
	  .offset = offsetof(struct slice_endpoint, addresses),
	  .offset_n = offsetof(struct slice_endpoint, n_addresses),
	  .help = "[10.0.0.1]" },
	{ .key = "conditions", .decode = conf_section, .preset = "{}",
	  .table = &condition_table, .help = "{ready: true}" },
};

static const struct conf_table endpoint_table = {
	.what = "an endpoint", ROWS(endpoint_rows), .is_open = true,
	.size = sizeof(struct slice_endpoint),
};

static const char service_label[] = "kubernetes.io/service-name";

static int check_slice(const struct conf_input *in, const struct conf *map,
    void *out)
{
	struct endpoint_slice *s = out;

	(void)in;
	(void)map;
	s->service = labels_get(&s->o.labels, service_label);
	return 0;
}

static const struct conf_row slice_rows[] = {
	OBJECT_ROWS,
	{ .key = "addressType", .decode = kube_text, .required = true,
	  .offset = offsetof(struct endpoint_slice, address_type),
	  .help = "IPv4 or IPv6" },
	{ .key = "endpoints", .decode = conf_list, .table = &endpoint_table,
	  .max = 1000, .offset = offsetof(struct endpoint_slice, endpoints),
	  .offset_n = offsetof(struct endpoint_slice, n_endpoints),
	  .help = "[{addresses}, ...]" },
	{ .key = "ports", .decode = conf_list, .table = &port_table,
	  .max = 100, .offset = offsetof(struct endpoint_slice, ports),
	  .offset_n = offsetof(struct endpoint_slice, n_ports),
	  .help = "[{name, port}, ...]" },
};

const struct conf_table endpoint_slice_table = {
	.what = "an EndpointSlice", ROWS(slice_rows), .is_open = true,
	.size = sizeof(struct endpoint_slice), .check = check_slice,
};

/* ---- Pod ----------------------------------------------------------------- */

struct pod_condition {
	const char *type, *status;
};

static const struct conf_row pod_condition_rows[] = {
	{ .key = "type", .decode = kube_text, .required = true,
	  .offset = offsetof(struct pod_condition, type), .help = "Ready, ..." },
	{ .key = "status", .decode = kube_any, .required = true,
	  .offset = offsetof(struct pod_condition, status),
	  .help = "\"True\" or \"False\"" },
};

static const struct conf_table pod_condition_table = {
	.what = "a condition", ROWS(pod_condition_rows), .is_open = true,
	.size = sizeof(struct pod_condition),
};

/* Ready by its condition; who writes pods by hand writes none: then it is. */
static int pod_status(const struct conf_input *in, const struct conf_row *row,
    const struct conf *value, void *out)
{
	struct {
		const char *ip;
		const struct pod_condition *conditions;
		size_t n;
	} status = { NULL, NULL, 0 };
	const struct conf_row status_rows[] = {
		{ .key = "podIP", .decode = kube_text, .max = 64,
		  .help = "its address" },
		{ .key = "conditions", .decode = conf_list,
		  .table = &pod_condition_table,
		  .offset = (size_t)((char *)&status.conditions -
			(char *)&status),
		  .offset_n = (size_t)((char *)&status.n - (char *)&status),
		  .help = "[{type, status}, ...]" },
	};
	const struct conf_table table = {
		.what = "status", ROWS(status_rows), .is_open = true,
	};
	struct conf_row section = *row;
	struct pod *pod = out;
	int err;

	section.table = &table;
	err = conf_section(in, &section, value, &status);
	if (err != 0)
		return err;
	pod->ip = status.ip;
	pod->ready = status.ip != NULL;
	for (size_t i = 0; i < status.n; i++)
		if (strcmp(status.conditions[i].type, "Ready") == 0)
			pod->ready = strcmp(status.conditions[i].status,
			    "True") == 0;
	return 0;
}

static const struct conf_row pod_rows[] = {
	{ .key = "metadata", .decode = conf_section, .table = &meta_table,
	  .required = true, .help = "{name: ...}" },
	{ .key = "status", .decode = pod_status, .help = "{podIP: ...}" },
};

const struct conf_table pod_table = {
	.what = "a Pod", ROWS(pod_rows), .size = sizeof(struct pod),
	.is_open = true,
};

/* ---- Secret, ConfigMap --------------------------------------------------- */

static int digit_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* RFC 4648 section 4, blanks and line breaks passed over; SIZE_MAX: it is not. */
static size_t from_base64(const char *text, char *out)
{
	unsigned bits = 0, n_bits = 0;
	size_t len = 0, n_digits = 0, n_pads = 0;

	for (; *text != '\0'; text++) {
		int digit = digit_of(*text);

		if (*text == '\n' || *text == '\r' || *text == ' ')
			continue;
		if (*text == '=') {
			n_pads++;
			continue;
		}
		if (digit < 0 || n_pads > 0)
			return SIZE_MAX;
		n_digits++;
		bits = (bits << 6 | (unsigned)digit) & 0xffff;
		n_bits += 6;
		if (n_bits >= 8) {
			n_bits -= 8;
			out[len++] = (char)(bits >> n_bits & 0xff);
		}
	}
	return n_pads <= 2 && (n_digits + n_pads) % 4 == 0 ? len : SIZE_MAX;
}

static int base64(const struct conf_input *in, const struct conf_row *row,
    const struct conf *value, void *out)
{
	struct span *bytes = out;
	char *text;

	if (value->type != CONF_SCALAR)
		return conf_refuse(in, row, value, "text in base64");
	text = arena_alloc(in->arena, strlen(value->text) + 1);
	if (text == NULL)
		return conf_no_memory(in);
	bytes->len = from_base64(value->text, text);
	bytes->ptr = text;
	return bytes->len != SIZE_MAX ? 0 :
	    conf_refuse(in, row, value, "text in base64");
}

static int plain(const struct conf_input *in, const struct conf_row *row,
    const struct conf *value, void *out)
{
	const char *text = NULL;
	int err = kube_any(in, row, value, &text);

	if (err == 0)
		*(struct span *)out = span_of(text);
	return err;
}

#define PEM_ROWS(how) \
	{ .key = "tls.crt", .decode = (how), .help = "PEM", \
	  .offset = offsetof(struct secret, crt) }, \
	{ .key = "tls.key", .decode = (how), .help = "PEM", \
	  .offset = offsetof(struct secret, key) }, \
	{ .key = "ca.crt", .decode = (how), .help = "PEM", \
	  .offset = offsetof(struct secret, ca) }

static const struct conf_row data_rows[] = { PEM_ROWS(base64) };
static const struct conf_row string_data_rows[] = { PEM_ROWS(plain) };

static const struct conf_table data_table = {
	.what = "data", ROWS(data_rows), .is_open = true,
};

static const struct conf_table string_data_table = {
	.what = "stringData", ROWS(string_data_rows), .is_open = true,
};

/* Bad ones are objects too: who refers to them is told. */
static int check_secret(const struct conf_input *in, const struct conf *map,
    void *out)
{
	struct secret *s = out;

	(void)in;
	(void)map;
	s->why_no_pair = s->crt.len == 0 ? "it has no tls.crt" :
	    s->key.len == 0 ? "it has no tls.key" :
	    pem_check_pair(s->crt, s->key);
	return 0;
}

static int check_config_map(const struct conf_input *in,
    const struct conf *map, void *out)
{
	struct config_map *m = out;

	(void)in;
	(void)map;
	m->why_no_ca = m->ca.len == 0 ? "it has no ca.crt" :
	    pem_check_cas(m->ca);
	return 0;
}

static const struct conf_row secret_rows[] = {
	OBJECT_ROWS,
	{ .key = "type", .decode = kube_text, .preset = "Opaque",
	  .offset = offsetof(struct secret, type),
	  .help = "kubernetes.io/tls" },
	{ .key = "data", .decode = conf_section, .table = &data_table,
	  .help = "{tls.crt, tls.key}, in base64" },
	{ .key = "stringData", .decode = conf_section,
	  .table = &string_data_table, .help = "{tls.crt, tls.key}, as text" },
};

const struct conf_table secret_table = {
	.what = "a Secret", ROWS(secret_rows), .size = sizeof(struct secret),
	.is_open = true, .check = check_secret,
};

static const struct conf_row map_data_rows[] = {
	{ .key = "ca.crt", .decode = plain, .help = "PEM",
	  .offset = offsetof(struct config_map, ca) },
};

static const struct conf_table map_data_table = {
	.what = "data", ROWS(map_data_rows), .is_open = true,
};

static const struct conf_row config_map_rows[] = {
	OBJECT_ROWS,
	{ .key = "data", .decode = conf_section, .table = &map_data_table,
	  .help = "{ca.crt: PEM}" },
};

const struct conf_table config_map_table = {
	.what = "a ConfigMap", ROWS(config_map_rows),
	.size = sizeof(struct config_map), .is_open = true,
	.check = check_config_map,
};

/* ---- Namespace ----------------------------------------------------------- */

static const struct conf_row namespace_rows[] = { OBJECT_ROWS };

const struct conf_table namespace_table = {
	.what = "a Namespace", ROWS(namespace_rows),
	.size = sizeof(struct kube_namespace), .is_open = true,
};
