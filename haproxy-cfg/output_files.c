/*
 * output_files.c - generations: written, synced, then named
 */
#include "output_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "output.h"
#include "replace_file.h"

enum {
	FILE_MAX_BYTES = 256 << 20,
	PATH_BYTES = 8192,
	/* Keys are in them. */
	FILE_MODE = 0640, DIR_MODE = 0750,
	UNSYNCED_MAX = 64,
};

struct stage {
	const struct output *o, *current;
	const char *dir, *name;
	struct buf buf;
	char path[PATH_BYTES];
	int fds[UNSYNCED_MAX];	/* written, to be synced */
	size_t n_fds;
	int err;		/* -errno; the first one sticks */
};

/* ---- bytes --------------------------------------------------------------- */

void output_put_paths(struct buf *b, const char *text, size_t len,
    const char *dir, const char *generation)
{
	size_t from = 0;

	for (size_t i = 0; i < len; i++) {
		if (text[i] != OUTPUT_DIR[0] && text[i] != OUTPUT_GENERATION[0])
			continue;
		buf_put(b, text + from, i - from);
		buf_printf(b, "%s/", dir);
		if (text[i] == OUTPUT_GENERATION[0])
			buf_printf(b, "%s/", generation);
		from = i + 1;
	}
	buf_put(b, text + from, len - from);
}

void output_put_config(struct buf *b, const struct output *o, const char *dir,
    const char *generation)
{
	buf_printf(b, "# Written by epp-translator: what is changed here is lost.\n"
	    "global\n    description epp-translator-%016" PRIx64 "\n\n",
	    o->shape);
	output_put_paths(b, o->text.data, o->text.len, dir, generation);
}

void output_put_map(struct buf *b, const struct output *o, size_t map)
{
	const struct output_map *m = &o->maps[map];

	for (size_t i = 0; i < m->n; i++) {
		buf_puts(b, m->items[i].key);
		buf_puts(b, " ");
		buf_puts(b, m->items[i].value);
		buf_puts(b, "\n");
	}
}

void output_put_cert_list(struct buf *b, const struct output *o,
    const char *list, const char *dir)
{
	for (size_t i = 0; i < o->cert_lines.n; i++) {
		const struct output_cert_line *l = &o->cert_lines.items[i];

		if (strcmp(l->list, list) == 0)
			buf_printf(b, "%s/certs/%s%s%s\n", dir, l->cert,
			    *l->filters != '\0' ? " " : "", l->filters);
	}
}

/* ---- files --------------------------------------------------------------- */

static int write_all(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

static int sync_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (fsync(fd) != 0)
		err = -errno;
	close(fd);
	return err;
}

static void check(struct stage *s, int result)
{
	if (result != 0 && s->err == 0)
		s->err = -errno;
}

/*
 * All together: each sync of a file by itself is a commit of the file system's journal,
 * for which whoever writes there waits. Once all are on their way to the disk one commit
 * has them all.
 */
static void sync_files(struct stage *s)
{
	for (size_t i = 0; i < s->n_fds; i++)
		sync_file_range(s->fds[i], 0, 0, SYNC_FILE_RANGE_WRITE);
	for (size_t i = 0; i < s->n_fds; i++) {
		if (s->err == 0)
			check(s, fsync(s->fds[i]));
		check(s, close(s->fds[i]));
	}
	s->n_fds = 0;
}

static void put(struct stage *s, const char *file, const char *bytes,
    size_t len)
{
	int fd;

	if (s->err == 0 && buf_failed(&s->buf))
		s->err = -ENOMEM;
	if (s->err != 0)
		return;
	snprintf(s->path, sizeof(s->path), "%s/%s/%s", s->dir, s->name, file);
	fd = open(s->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, FILE_MODE);
	if (fd < 0) {
		s->err = -errno;
		return;
	}
	s->err = write_all(fd, bytes, len);
	s->fds[s->n_fds++] = fd;
	if (s->n_fds == UNSYNCED_MAX)
		sync_files(s);
}

/* The same file under a second name, if it is there. */
static bool put_link(struct stage *s, const char *file)
{
	char from[PATH_BYTES];

	snprintf(from, sizeof(from), "%s/current/%s", s->dir, file);
	snprintf(s->path, sizeof(s->path), "%s/%s/%s", s->dir, s->name, file);
	return s->err == 0 && link(from, s->path) == 0;
}

static bool is_same_map(const struct output_map *a, const struct output_map *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (a->items[i].hash != b->items[i].hash)
			return false;
	return true;
}

static bool is_same_buf(const struct buf *a, const struct buf *b)
{
	return a->len == b->len &&
	    (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

static void put_maps(struct stage *s)
{
	for (size_t i = 0; i < OUTPUT_N_MAPS; i++) {
		if (s->current != NULL && is_same_map(&s->o->maps[i],
			&s->current->maps[i]) &&
		    put_link(s, output_map_files[i]))
			continue;
		buf_clear(&s->buf);
		output_put_map(&s->buf, s->o, i);
		put(s, output_map_files[i], s->buf.data, s->buf.len);
	}
}

static void put_config(struct stage *s)
{
	if (s->current == NULL || s->o->shape != s->current->shape ||
	    !is_same_buf(&s->o->text, &s->current->text) ||
	    !put_link(s, "haproxy.cfg")) {
		buf_clear(&s->buf);
		output_put_config(&s->buf, s->o, s->dir, "current");
		put(s, "haproxy.cfg", s->buf.data, s->buf.len);
	}
}

static bool exists(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0;
}

int output_write_table(const struct output *o, const char *dir)
{
	char path[PATH_BYTES];
	struct replacement r;

	snprintf(path, sizeof(path), "%s/ids.json", dir);
	replace_begin(&r, path);
	replace_put(&r, buf_span(&o->table));
	return replace_end_unsynced(&r, FILE_MODE);
}

/* A name is a content: what is there need not be written again. */
static void put_certs(struct stage *s)
{
	char path[PATH_BYTES];

	for (size_t i = 0; i < s->o->certs.n && s->err == 0; i++) {
		const struct output_pem *c = &s->o->certs.items[i];

		snprintf(path, sizeof(path), "%s/certs/%s", s->dir, c->name);
		if (!exists(path))
			s->err = replace_file(path,
			    (struct span){ c->text, c->len }, FILE_MODE);
	}
	for (size_t i = 0; i < s->o->cas.n; i++)
		put(s, s->o->cas.items[i].name, s->o->cas.items[i].text,
		    s->o->cas.items[i].len);
	for (size_t i = 0; i < s->o->cert_lists.n; i++) {
		const char *list = s->o->cert_lists.items[i];

		buf_clear(&s->buf);
		output_put_cert_list(&s->buf, s->o, list, s->dir);
		put(s, list, s->buf.data, s->buf.len);
	}
}

/* The number behind `current`'s, so that names never come twice. */
static unsigned long next_number(const char *dir)
{
	unsigned long most = 0;
	DIR *d = opendir(dir);
	struct dirent *e;

	if (d == NULL)
		return 1;
	while ((e = readdir(d)) != NULL)
		if (strncmp(e->d_name, "gen.", 4) == 0) {
			unsigned long n = strtoul(e->d_name + 4, NULL, 10);

			most = n > most ? n : most;
		}
	closedir(d);
	return most + 1;
}

static int make_dir(const char *path)
{
	return mkdir(path, DIR_MODE) == 0 || errno == EEXIST ? 0 : -errno;
}

static int make_dirs(const char *dir, const char *name)
{
	char path[PATH_BYTES];
	int err = make_dir(dir);

	snprintf(path, sizeof(path), "%s/certs", dir);
	if (err == 0)
		err = make_dir(path);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return err == 0 ? make_dir(path) : err;
}

int output_stage(const struct output *o, const struct output *current,
    const char *dir, char name[OUTPUT_GENERATION_BYTES])
{
	struct stage s = { .o = o, .current = current, .dir = dir,
		.name = name };

	snprintf(name, OUTPUT_GENERATION_BYTES, "gen.%lu", next_number(dir));
	buf_init(&s.buf, FILE_MAX_BYTES);
	s.err = make_dirs(dir, name);
	put_certs(&s);
	put_maps(&s);
	put_config(&s);
	sync_files(&s);
	buf_fini(&s.buf);
	snprintf(s.path, sizeof(s.path), "%s/%s", dir, name);
	if (s.err == 0)
		s.err = sync_dir(s.path);
	if (s.err != 0)
		output_drop(dir, name);
	return s.err;
}

int output_commit(const char *dir, const char *name)
{
	char from[PATH_BYTES], to[PATH_BYTES];

	snprintf(from, sizeof(from), "%s/current.new", dir);
	snprintf(to, sizeof(to), "%s/current", dir);
	unlink(from);
	if (symlink(name, from) != 0 || rename(from, to) != 0)
		return -errno;
	return sync_dir(dir);
}

/* All that is in it, then itself; no folders within. */
static void remove_dir(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;

	if (d == NULL)
		return;
	while ((e = readdir(d)) != NULL)
		unlinkat(dirfd(d), e->d_name, 0);
	closedir(d);
	rmdir(path);
}

void output_drop(const char *dir, const char *name)
{
	char path[PATH_BYTES];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	remove_dir(path);
}
