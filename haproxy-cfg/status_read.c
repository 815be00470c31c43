/*
 * status_read.c - since when conditions hold, out of what status_write.c wrote
 *
 * The file of thousands of routes is megabytes, so it is read in pieces, each of whole
 * documents. Nothing in it is trusted: what is no condition of an object that there is
 * now is passed over, and then its time is new.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "conf_tree.h"
#include "decode.h"
#include "fault.h"
#include "status.h"
#include "status_since.h"
#include "yaml.h"

enum {
	CHUNK_BYTES = 16 << 10,
	PIECE_BYTES = 64 << 10,
	DOCUMENT_MAX_BYTES = 1 << 20,
	/* Of a hundred thousand routes it has less. */
	FILE_MAX_BYTES = 256 << 20,
};

static const char mark[] = "\n---\n";	/* no string in the file has one */
enum { MARK_BYTES = sizeof(mark) - 1 };

struct reading {
	const struct statuses *all;
	int64_t now_s;
	struct status_since *since;
	const struct object *object;	/* of the document that is read */
};

/* ---- a document ---------------------------------------------------------- */

/* NULL: there is none. */
static const char *text_of(const struct conf *map, const char *key)
{
	const struct conf *value = conf_child(map, key);

	return value != NULL ? value->text : NULL;
}

static const struct conf *first_of(const struct conf *map, const char *key)
{
	const struct conf *list = conf_child(map, key);

	return list != NULL && list->type == CONF_LIST ? list->children : NULL;
}

static bool read_status(const char *name, enum condition_status *out)
{
	for (int i = 0; name != NULL && i < N_CONDITION_STATUSES; i++)
		if (strcmp(condition_status_names[i], name) == 0) {
			*out = (enum condition_status)i;
			return true;
		}
	return false;
}

static void condition(const struct reading *r, const char *where,
    size_t index, const struct conf *map)
{
	struct condition c = { .type = text_of(map, "type") };
	const char *time = text_of(map, "lastTransitionTime");
	int64_t since_s;

	if (c.type != NULL && read_status(text_of(map, "status"), &c.status) &&
	    time != NULL && decode_time(time, &since_s) && since_s >= 0 &&
	    since_s <= r->now_s)
		status_since_recall(r->since, r->object, where, index, &c,
		    since_s);
}

static void conditions(const struct reading *r, const char *where,
    size_t index, const struct conf *map)
{
	const struct conf *c = first_of(map, "conditions");

	for (size_t i = 0; c != NULL && i < CONDITIONS_MAX; i++, c = c->next)
		condition(r, where, index, c);
}

static void listeners(const struct reading *r, const struct conf *status)
{
	const struct conf *l = first_of(status, "listeners");

	for (; l != NULL; l = l->next)
		if (text_of(l, "name") != NULL)
			conditions(r, text_of(l, "name"), 0, l);
}

static void parents(const struct reading *r, const struct conf *status,
    const char *list, const char *key)
{
	const struct conf *p = first_of(status, list), *map;

	for (; p != NULL; p = p->next) {
		struct parent_ref ref = { .name = NULL };
		const char *port;

		map = conf_child(p, key);
		if (map == NULL || text_of(map, "name") == NULL)
			continue;
		ref.kind = text_of(map, "kind");
		ref.namespace = text_of(map, "namespace");
		ref.section = text_of(map, "sectionName");
		port = text_of(map, "port");
		ref.port = port != NULL ? (uint16_t)strtoul(port, NULL, 10) :
		    0;
		conditions(r, text_of(map, "name"), status_parent_key(&ref), p);
	}
}

/* By group and name; the version may be another. None of the core's has a status of ours. */
static bool read_kind(const struct conf *root, enum kind *out)
{
	const char *version = text_of(root, "apiVersion");
	const char *name = text_of(root, "kind");

	for (int i = 0; version != NULL && name != NULL && i < N_KINDS; i++) {
		const char *group = kind_group((enum kind)i);
		size_t len = strlen(group);

		if (strcmp(kind_name((enum kind)i), name) == 0 &&
		    strncmp(version, group, len) == 0 && version[len] == '/') {
			*out = (enum kind)i;
			return true;
		}
	}
	return false;
}

static const struct object *find_object(const struct statuses *all,
    const struct conf *root)
{
	const struct conf *meta = conf_child(root, "metadata");
	const struct status *s = NULL;
	const char *namespace, *name;
	enum kind kind;

	if (meta == NULL || !read_kind(root, &kind))
		return NULL;
	name = text_of(meta, "name");
	namespace = text_of(meta, "namespace");
	if (name != NULL)
		s = statuses_find(all, kind, namespace != NULL ? namespace :
		    "", name);
	return s != NULL ? s->object : NULL;
}

static bool on_document(void *data, const struct conf *root,
    struct conf_place place)
{
	struct reading *r = data;
	const struct conf *status = conf_child(root, "status");

	(void)place;
	r->object = find_object(r->all, root);
	if (r->object == NULL || status == NULL)
		return true;
	conditions(r, "", 0, status);
	listeners(r, status);
	parents(r, status, "parents", "parentRef");
	parents(r, status, "ancestors", "ancestorRef");
	return true;
}

bool status_read_text(const struct statuses *all, struct span text,
    int64_t now_s, struct status_since *since)
{
	static const struct yaml_limits limits = {
		.max_bytes = DOCUMENT_MAX_BYTES + CHUNK_BYTES,
		.max_nodes = 100000,
	};
	struct reading r = { .all = all, .now_s = now_s, .since = since };
	struct fault why = { 0 };

	return yaml_each("status.yaml", text, &limits, on_document, &r, &why)
	    == 0;
}

/* ---- a file -------------------------------------------------------------- */

/* How many bytes from the front are whole documents. */
static size_t whole_of(struct span text)
{
	for (size_t at = text.len; at >= MARK_BYTES; at--)
		if (memcmp(text.ptr + at - MARK_BYTES, mark, MARK_BYTES) == 0)
			return at - MARK_BYTES + 1;
	return 0;
}

/* Hands on what is whole, or all of it. False: some was no YAML. */
static bool hand_on(const struct reading *r, struct buf *text, bool is_end)
{
	struct span part = buf_span(text);
	bool done;

	if (!is_end)
		part.len = whole_of(part);
	if (part.len == 0)
		return true;
	done = status_read_text(r->all, part, r->now_s, r->since);
	buf_consume(text, part.len);
	return done;
}

static int read_all(const struct reading *r, int fd)
{
	char chunk[CHUNK_BYTES];
	struct buf text;
	ssize_t n = 1;
	int err = 0;

	buf_init(&text, DOCUMENT_MAX_BYTES + CHUNK_BYTES);
	for (size_t total = 0; n > 0 && total < FILE_MAX_BYTES;
	     total += (size_t)n) {
		n = read(fd, chunk, sizeof(chunk));
		if (n > 0)
			buf_put(&text, chunk, (size_t)n);
		if (n < 0 || buf_failed(&text))
			break;
		if ((n == 0 || text.len >= PIECE_BYTES) &&
		    !hand_on(r, &text, n == 0))
			err = -EINVAL;
	}
	if (n < 0)
		err = -errno;
	else if (n > 0)
		err = -EINVAL;
	buf_fini(&text);
	return err;
}

int status_read(const struct statuses *all, const char *file, int64_t now_s,
    struct status_since *since)
{
	const struct reading r = { .all = all, .now_s = now_s,
		.since = since };
	/* A FIFO would keep us waiting. */
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	int err;

	if (fd < 0)
		return -errno;
	err = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? read_all(&r, fd) :
	    -EINVAL;
	close(fd);
	return err;
}
