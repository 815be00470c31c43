/*
 * log.h - one line an event, on stderr: level, event name, then key=value facts
 *
 * A supervisor (systemd, the container runtime) stamps and keeps the lines.
 * Each call is one write(), so lines of several threads never mix; a control
 * character becomes '?', so that an event stays one line. Any thread.
 * Never called per request.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Lines above this level are dropped. Default LOG_LEVEL_INFO. */
void log_set_level(enum log_level level);

/* `event` is a dotted name: room.thing. Facts: "key=%s other=%d". */
void log_error(const char *event, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void log_warn(const char *event, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void log_info(const char *event, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void log_debug(const char *event, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * What a peer can provoke is logged through a gate: one line a second, and how
 * many were held back. Zero-initialised; shared by any threads.
 */
struct log_gate {
	_Atomic int64_t next_ms;
	_Atomic uint32_t held;
};

/* True when a line may pass; `*held` is how many did not since the last one. */
bool log_gate_open(struct log_gate *gate, int64_t now_ms, uint32_t *held);
