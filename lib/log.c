/*
 * log.c - format into one buffer, write it once
 */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 1024, GATE_PERIOD_MS = 1000 };

static _Atomic int level_now = LOG_LEVEL_INFO;

static const char *const level_names[] = { "error", "warn", "info", "debug" };

void log_set_level(enum log_level level)
{
	atomic_store(&level_now, (int)level);
}

__attribute__((format(printf, 3, 0)))
static void log_line(enum log_level level, const char *event, const char *fmt,
    va_list ap)
{
	char line[LINE_MAX_BYTES];
	int n;

	if ((int)level > atomic_load_explicit(&level_now, memory_order_relaxed))
		return;
	n = snprintf(line, sizeof(line), "%s %s ", level_names[level], event);
	if (n < 0 || (size_t)n >= sizeof(line) - 1)
		return;
	n += vsnprintf(line + n, sizeof(line) - (size_t)n - 1, fmt, ap);
	if (n > (int)sizeof(line) - 2)
		n = sizeof(line) - 2;
	/* Facts may quote what a peer sent, who shall not write lines of his own. */
	for (int i = 0; i < n; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = '?';
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return;	/* nowhere left to complain to */
}

#define LOG_FUNCTION(name, level)                               \
	void name(const char *event, const char *fmt, ...)      \
	{                                                       \
		va_list ap;                                     \
                                                                \
		va_start(ap, fmt);                              \
		log_line(level, event, fmt, ap);                \
		va_end(ap);                                     \
	}

LOG_FUNCTION(log_error, LOG_LEVEL_ERROR)
LOG_FUNCTION(log_warn, LOG_LEVEL_WARN)
LOG_FUNCTION(log_info, LOG_LEVEL_INFO)
LOG_FUNCTION(log_debug, LOG_LEVEL_DEBUG)

bool log_gate_open(struct log_gate *gate, int64_t now_ms, uint32_t *held)
{
	int64_t next = atomic_load_explicit(&gate->next_ms, memory_order_relaxed);

	if (now_ms < next ||
	    !atomic_compare_exchange_strong(&gate->next_ms, &next,
		now_ms + GATE_PERIOD_MS)) {
		atomic_fetch_add_explicit(&gate->held, 1, memory_order_relaxed);
		return false;
	}
	*held = atomic_exchange(&gate->held, 0);
	return true;
}
