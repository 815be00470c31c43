/*
 * command.h - what a subcommand of epp-translator is
 *
 * translator.c holds the one table of them; cmd_NAME.c holds one each.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Exit codes, made for scripts. */
enum {
	COMMAND_OK = 0,		/* done, nothing to say against it */
	COMMAND_FINDINGS = 1,	/* done, and something is wrong or differs */
	COMMAND_FAILED = 2,	/* usage, or something unreadable */
};

enum { PATHS_MAX = 64 };	/* of -f */

struct flags {
	const char *command;
	const char **paths;	/* -f: manifests, files or folders */
	size_t n_paths;
	const char *output;	/* -o: where to, or which form */
	const char *haproxy;	/* -H: the HAProxy program to ask and to check by */
	const char *haproxy_version;	/* --haproxy-version; NULL: ask it */
	const char *controller;	/* --controller: controllerName that is ours */
	const char *socket;	/* -s: HAProxy's stats socket; NULL: in -o */
	const char *master;	/* -S: its master's; NULL: in -o */
	const char *agent, *feedback;	/* --agent, --feedback: HOST:PORT */
	const char *spoe;	/* --spoe: spoe-epp.conf */
	const char *lua;	/* --lua: epp-model.lua */
	bool verbose;
};

/* A COMMAND_ code. Messages for people go to stderr, results to stdout. */
typedef int command_run_f(const struct flags *flags);

command_run_f cmd_check, cmd_diff, cmd_render, cmd_status, cmd_watch;
