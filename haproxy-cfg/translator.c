/*
 * translator.c - argv: one row a command, one row a flag; the work is elsewhere
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"

#define CONTROLLER "haproxy-epp.io/gateway-controller"

enum { LONG_VERSION = 256, LONG_CONTROLLER,
	LONG_AGENT, LONG_FEEDBACK, LONG_SPOE, LONG_LUA };

static const struct {
	const char *name;
	command_run_f *run;
	const char *help;
} commands[] = {
	{ "check", cmd_check, "read manifests and say what is wrong; exit 0 when "
	    "clean, 1 with findings, 2 when unreadable" },
	{ "render", cmd_render, "write HAProxy's configuration to -o DIR, or print "
	    "it" },
	{ "diff", cmd_diff, "print what would change in the HAProxy that runs "
	    "with -o DIR; exit 0 nothing, 1 something" },
	{ "watch", cmd_watch, "follow the manifests, keep the HAProxy that runs "
	    "with -o DIR up to date" },
	{ "status", cmd_status, "print each object's status as a controller would "
	    "write it" },
};

static const struct {
	int letter;
	const char *name, *argument, *help;
} rows[] = {
	{ 'f', NULL, "FILE", "manifests: a file or a folder; may be repeated" },
	{ 'c', NULL, NULL, "the same as the command check" },
	{ 'o', NULL, "WHERE", "check: json or text; else: the folder of "
	    "HAProxy's files" },
	{ 'H', NULL, "PROGRAM", "the HAProxy to ask for its version and to check "
	    "by (default haproxy)" },
	{ LONG_VERSION, "haproxy-version", "X.Y", "render for this HAProxy, "
	    "without asking one" },
	{ LONG_CONTROLLER, "controller", "NAME", "our controllerName (default "
	    CONTROLLER ")" },
	{ 's', NULL, "SOCKET", "HAProxy's stats socket (default DIR/haproxy.sock)" },
	{ 'S', NULL, "SOCKET", "HAProxy's master socket, as in haproxy -W -S "
	    "(default DIR/master.sock)" },
	{ LONG_AGENT, "agent", "ADDRESS", "where epp-agent listens (default "
	    "127.0.0.1:9002)" },
	{ LONG_FEEDBACK, "feedback", "ADDRESS", "where it hears HAProxy's log "
	    "(default 127.0.0.1:9003)" },
	{ LONG_SPOE, "spoe", "FILE", "spoe-epp.conf (default "
	    "/usr/share/haproxy-epp/spoe-epp.conf)" },
	{ LONG_LUA, "lua", "FILE", "epp-model.lua, for InferenceModelRewrites "
	    "(default /usr/share/haproxy-epp/epp-model.lua)" },
	{ 'v', NULL, NULL, "print the version and exit" },
	{ 'V', NULL, NULL, "say more" },
	{ 'h', NULL, NULL, "print this" },
};

enum { N_ROWS = sizeof(rows) / sizeof(*rows),
	N_COMMANDS = sizeof(commands) / sizeof(*commands) };

static void print_help(FILE *out)
{
	fprintf(out, "epp-translator %s - Gateway API manifests become HAProxy "
	    "configuration\n\nusage: epp-translator COMMAND -f FILE... "
	    "[flags]\n\ncommands:\n", EPP_VERSION);
	for (size_t i = 0; i < N_COMMANDS; i++)
		fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].help);
	fprintf(out, "\nflags:\n");
	for (size_t i = 0; i < N_ROWS; i++) {
		char name[64];

		snprintf(name, sizeof(name), rows[i].name != NULL ? "--%s" :
		    "-%s", rows[i].name != NULL ? rows[i].name :
		    (const char[]){ (char)rows[i].letter, '\0' });
		fprintf(out, "  %-18s %-8s %s\n", name, rows[i].argument != NULL ?
		    rows[i].argument : "", rows[i].help);
	}
}

/* getopt's two spellings of the rows. */
static void options_of(char letters[2 * N_ROWS + 1], struct option *longs)
{
	for (size_t i = 0; i < N_ROWS; i++) {
		int has = rows[i].argument != NULL ? required_argument :
		    no_argument;

		if (rows[i].name != NULL) {
			*longs++ = (struct option){ rows[i].name, has, NULL,
				rows[i].letter };
			continue;
		}
		*letters++ = (char)rows[i].letter;
		if (has == required_argument)
			*letters++ = ':';
	}
	*letters = '\0';
	*longs = (struct option){ 0 };
}

static bool set_flag(struct flags *f, int c)
{
	switch (c) {
	case 'f':
		if (f->n_paths == PATHS_MAX) {
			fprintf(stderr, "epp-translator: more than %d -f\n",
			    PATHS_MAX);
			return false;
		}
		f->paths[f->n_paths++] = optarg;
		return true;
	case 'c':
		f->command = "check";
		return true;
	case 'o':
		f->output = optarg;
		return true;
	case 'H':
		f->haproxy = optarg;
		return true;
	case 's':
		f->socket = optarg;
		return true;
	case 'S':
		f->master = optarg;
		return true;
	case LONG_AGENT:
		f->agent = optarg;
		return true;
	case LONG_FEEDBACK:
		f->feedback = optarg;
		return true;
	case LONG_SPOE:
		f->spoe = optarg;
		return true;
	case LONG_LUA:
		f->lua = optarg;
		return true;
	case 'V':
		f->verbose = true;
		return true;
	case LONG_VERSION:
		f->haproxy_version = optarg;
		return true;
	case LONG_CONTROLLER:
		f->controller = optarg;
		return true;
	case 'v':
		printf("epp-translator %s\n", EPP_VERSION);
		exit(COMMAND_OK);
	case 'h':
		print_help(stdout);
		exit(COMMAND_OK);
	default:
		return false;
	}
}

static bool parse_argv(struct flags *f, int argc, char **argv)
{
	char letters[2 * N_ROWS + 1];
	struct option longs[N_ROWS + 1];
	int c;

	options_of(letters, longs);
	while ((c = getopt_long(argc, argv, letters, longs, NULL)) != -1)
		if (!set_flag(f, c))
			return false;
	if (optind < argc && f->command == NULL)
		f->command = argv[optind++];
	if (optind < argc) {
		fprintf(stderr, "epp-translator: unexpected argument '%s'\n",
		    argv[optind]);
		return false;
	}
	if (f->command == NULL) {
		fprintf(stderr, "epp-translator: no command\n");
		return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	const char *paths[PATHS_MAX];
	struct flags f = {
		.paths = paths, .haproxy = "haproxy", .controller = CONTROLLER,
	};

	if (!parse_argv(&f, argc, argv)) {
		fprintf(stderr, "epp-translator: try -h\n");
		return COMMAND_FAILED;
	}
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (strcmp(commands[i].name, f.command) == 0)
			return commands[i].run(&f);
	fprintf(stderr, "epp-translator: no command '%s'; try -h\n", f.command);
	return COMMAND_FAILED;
}
