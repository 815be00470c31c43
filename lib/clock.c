/*
 * clock.c - CLOCK_MONOTONIC in the three units we need, and the calendar
 */
#include "clock.h"

#include <time.h>

#include "must.h"

int64_t clock_ns(void)
{
	struct timespec ts;

	must(clock_gettime(CLOCK_MONOTONIC, &ts) == 0);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t clock_us(void)
{
	return clock_ns() / 1000;
}

int64_t clock_ms(void)
{
	return clock_ns() / 1000000;
}

int64_t clock_unix_ms(void)
{
	struct timespec ts;

	must(clock_gettime(CLOCK_REALTIME, &ts) == 0);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}
