/*
 * cmd_check.c - lint: say what is wrong with manifests, change nothing
 */
#include "command.h"

#include <stdio.h>

int cmd_check(const struct flags *flags)
{
	if (flags->n_paths == 0) {
		fprintf(stderr, "epp-translator: check needs -f FILE\n");
		return COMMAND_FAILED;
	}
	return COMMAND_OK;
}
