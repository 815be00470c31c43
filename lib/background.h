/*
 * background.h - one piece of work at a time that a loop does not wait for
 *
 * It runs on a thread of its own, which ends with it; the loop is told. Work shares
 * with the loop's thread only what neither of them writes meanwhile.
 */
#pragma once

#include <stdbool.h>

struct background;
struct ev_loop;

typedef void background_f(void *data);

/* On the loop's thread, or before it runs. NULL without memory. */
struct background *background_new(struct ev_loop *loop);

/* Nothing may be at work: background_wait() first. */
void background_free(struct background *b);

/*
 * Runs `work` now and then, on the loop's thread, `done`, which may start the next. One
 * at a time. Without a thread to be had (the world is out of them) both run here, before
 * it returns.
 */
void background_start(struct background *b, background_f *work,
    background_f *done, void *data);

/* Between the start and `done`. */
bool background_is_busy(const struct background *b);

/* For the work in hand, which is followed by its `done`; not for what that starts. */
void background_wait(struct background *b);
