/*
 * options_feedback.c - rows of how requests under way are followed to their end
 */
#include "options_rows.h"

enum { LISTENS_MAX = 64, HOUR_MS = 60 * 60 * 1000 };

static const struct conf_row feedback_rows[] = {
	{ .key = "listen", .decode = conf_list, .table = &listen_table,
	  .required = true, .min = 1, .max = LISTENS_MAX,
	  .offset = offsetof(struct feedback_options, listens),
	  .offset_n = offsetof(struct feedback_options, n_listens),
	  .help = "where HAProxy's `ring` connects to; 127.0.0.1:9003" },
	{ .key = "maxRequests", .decode = conf_size, .preset = "65536",
	  .min = 64, .max = 1 << 24,
	  .offset = offsetof(struct feedback_options, max_requests),
	  .help = "under way at once; those beyond are not followed" },
	{ .key = "serverTimeout", .decode = conf_duration, .preset = "10m",
	  .min = 1000, .max = 24 * HOUR_MS,
	  .offset = offsetof(struct feedback_options, server_timeout_ms),
	  .help = "HAProxy's `timeout server`: how long a line may take" },
	{ .key = "reconcileAfter", .decode = conf_duration, .preset = "10s",
	  .min = 100, .max = HOUR_MS,
	  .offset = offsetof(struct feedback_options, reconcile_after_ms),
	  .help = "an engine that has fewer for so long is believed" },
};

const struct conf_table feedback_table = {
	.what = "feedback",
	.rows = feedback_rows,
	.n_rows = sizeof(feedback_rows) / sizeof(*feedback_rows),
};
