/*
 * upgrade.h - the program anew, in our place, without a moment in which nobody answers
 *
 * The old process starts the file it was itself started from, which may have been
 * replaced since, with the same arguments and hands it the listening sockets. The new
 * one builds its house, starts accepting and sends SIGTERM to the old one, which hands
 * over the open connections (handover.h) and otherwise drains as on any SIGTERM. If it
 * ends before that, the old one goes on as if nothing had been. Whether a configuration
 * is good is for the new program to say. Main's thread.
 *
 *	old: upgrade_start()   ──sockets, pid──►   new: upgrade_inherit()
 *	                                                listener_open() ...
 *	                       ◄────────ready──         handover_take()
 *	SIGTERM, drain         ◄──────SIGTERM──         upgrade_finish()
 *	                       ──connections──►
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct ev_loop;
struct handover;
struct upgrade;

/*
 * Takes what the environment hands to us, and that out of the environment; before
 * anything is opened and any thread is there. The pid of whom we shall replace, or 0;
 * `*from` is where its connections will come from, or NULL.
 */
pid_t upgrade_inherit(struct handover **from);

/* We accept now: the old process may go, if it is still the one we come from. */
void upgrade_finish(pid_t old);

/*
 * For later: finds out now which file argv[0] is. `argv` must outlive it, `loop` be the
 * default one. NULL without memory.
 */
struct upgrade *upgrade_new(struct ev_loop *loop, char *const *argv);

/* 0; or -errno, with the reason logged and nothing changed: -EALREADY for a second. */
int upgrade_start(struct upgrade *u);

/* From the start until the new process has ended: 0 if there is none. */
pid_t upgrade_child(const struct upgrade *u);

/* Where our connections go, valid until upgrade_free(); NULL: nobody awaits them. */
struct handover *upgrade_handover(struct upgrade *u);

/* A child that is on its way stays. */
void upgrade_free(struct upgrade *u);

/* ---- for upgrade.c and its test ---- */

/*
 * The absolute name of what was started as `argv0`, as a shell finds it: links stay
 * what they are, for they may lead elsewhere later. NULL if there is no such file.
 */
char *upgrade_program(const char *argv0, const char *path, const char *cwd);

/* A pid as we write it: digits, above 1; else 0. */
pid_t upgrade_parent(const char *text);
