/*
 * house.h - the wiring diagram: built in order, taken down in reverse
 *
 *	options -> epoch of fleets -> scraper (writes it) -> workers (read it)
 *	        -> acceptor (feeds the workers) -> signals, and the wait
 *
 * Main's thread.
 */
#pragma once

struct options;

/*
 * Takes `options` over. Runs until SIGTERM or SIGINT: no new connections, what has
 * arrived is answered, DISCONNECT 0. SIGHUP, or a change of the file, reads the
 * configuration again; SIGUSR1 logs the counters; SIGUSR2 starts `argv` anew in our
 * place (upgrade.h). Returns the exit status.
 */
int house_run(struct options *options, char *const *argv);
