/*
 * clock.h - the two clocks we use; no other file asks the system for the time
 *
 * Logic takes the time as an argument, so that tests can hand it in. Only loops
 * and main call these. Any thread.
 */
#pragma once

#include <stdint.h>

/* CLOCK_MONOTONIC: for deadlines and ages. */
int64_t clock_ms(void);
int64_t clock_us(void);
int64_t clock_ns(void);

/* CLOCK_REALTIME, since 1970: for what another process or machine said or will read. */
int64_t clock_unix_ms(void);
