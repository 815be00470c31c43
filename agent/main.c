/*
 * main.c - argv: one row a flag; everything else is in the house
 */
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fault.h"
#include "house.h"
#include "log.h"
#include "options.h"
#include "picker_config.h"

#define DEFAULT_FILE "/etc/haproxy-epp/agent.yaml"

enum {
	/*
	 * Threads beyond this share heaps: the request path does not allocate, and
	 * a heap per thread is memory that nobody uses.
	 */
	MALLOC_ARENAS = 2,
};

struct flags {
	const char *file;
	bool check, version, verbose, help, plugins;
};

static const struct {
	char letter;
	const char *argument, *help;
} rows[] = {
	{ 'f', "FILE", "configuration (default " DEFAULT_FILE ")" },
	{ 'c', NULL, "check the configuration and exit" },
	{ 'v', NULL, "print the version and exit" },
	{ 'V', NULL, "log more: level debug, whatever the file says" },
	{ 'h', NULL, "print this and every configuration key" },
	{ 'p', NULL, "print every plugin of an EndpointPickerConfig that has an "
		"effect, with its parameters" },
};

static void print_help(FILE *out)
{
	fprintf(out, "epp-agent %s - picks the model server for each request that "
	    "HAProxy asks about\n\nusage: epp-agent [-f FILE] [-c] [-v] [-V] "
	    "[-h] [-p]\n", EPP_VERSION);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		fprintf(out, "  -%c %-5s %s\n", rows[i].letter,
		    rows[i].argument != NULL ? rows[i].argument : "",
		    rows[i].help);
	fprintf(out, "\nsignals: TERM, INT stop gracefully; HUP reads the "
	    "configuration again; USR1 logs the counters; USR2 starts the "
	    "program anew, which takes over\n\nconfiguration:\n");
	options_print_help(out);
}

static bool parse_argv(struct flags *f, int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "f:cvVhp")) != -1)
		switch (c) {
		case 'f':
			f->file = optarg;
			break;
		case 'c':
			f->check = true;
			break;
		case 'v':
			f->version = true;
			break;
		case 'V':
			f->verbose = true;
			break;
		case 'h':
			f->help = true;
			break;
		case 'p':
			f->plugins = true;
			break;
		default:
			return false;
		}
	if (optind == argc)
		return true;
	fprintf(stderr, "epp-agent: unexpected argument '%s'\n", argv[optind]);
	return false;
}

/* False: it is asked to work. */
static bool print_asked(const struct flags *f)
{
	if (f->help)
		print_help(stdout);
	else if (f->plugins)
		picker_config_print_help(stdout);
	else if (f->version)
		printf("epp-agent %s\n", EPP_VERSION);
	return f->help || f->plugins || f->version;
}

static struct options *load(const struct flags *f)
{
	struct fault why = { 0 };
	char text[640];
	struct options *o = options_load(f->file, &why);

	if (o == NULL)
		fprintf(stderr, "epp-agent: %s\n",
		    fault_text(&why, text, sizeof(text)));
	return o;
}

int main(int argc, char **argv)
{
	struct flags f = { .file = DEFAULT_FILE };
	struct options *o;

	if (!parse_argv(&f, argc, argv)) {
		fprintf(stderr, "epp-agent: try -h\n");
		return EXIT_FAILURE;
	}
	if (print_asked(&f))
		return EXIT_SUCCESS;
	mallopt(M_ARENA_MAX, MALLOC_ARENAS);
	o = load(&f);
	if (o == NULL)
		return EXIT_FAILURE;
	if (f.check) {
		for (size_t i = 0; i < o->n_pools; i++)
			if (o->pools[i].scheduling != NULL)
				picker_config_report(o->pools[i].scheduling,
				    stdout);
		printf("Configuration file is valid\n");
		options_free(o);
		return EXIT_SUCCESS;
	}
	log_set_level(f.verbose ? LOG_LEVEL_DEBUG : o->log_level);
	return house_run(o, argv);
}
