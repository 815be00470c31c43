/*
 * load_stats.c - percentiles by sorting; figures are of successful requests
 *
 * The distributions are a table, so that the printed and the JSON report cannot
 * name different things.
 */
#include "load_stats.h"

enum { SAMPLES_MAX = 1 << 26 };

struct load_sample {
	double ttft_ms, latency_ms, itl_ms, gap_ms, queue_ms;	/* -1: none */
	uint32_t prompt_tokens, completion_tokens, cached_tokens;
	enum load_outcome outcome;
};

static const struct {
	const char *name;
	size_t offset;
} series[] = {
	{ "ttft_ms", offsetof(struct load_sample, ttft_ms) },
	{ "latency_ms", offsetof(struct load_sample, latency_ms) },
	{ "inter_token_ms", offsetof(struct load_sample, itl_ms) },
	{ "longest_gap_ms", offsetof(struct load_sample, gap_ms) },
	{ "server_queue_ms", offsetof(struct load_sample, queue_ms) },
};

static const char *const outcome_names[LOAD_N_OUTCOMES] = {
	[LOAD_OK] = "ok",
	[LOAD_CONNECT] = "connect",
	[LOAD_RESET] = "reset",
	[LOAD_CLOSED] = "closed_early",
	[LOAD_TIMEOUT] = "timeout",
	[LOAD_STATUS_429] = "status_429",
	[LOAD_STATUS_503] = "status_503",
	[LOAD_STATUS_5XX] = "status_5xx",
	[LOAD_STATUS_4XX] = "status_4xx",
	[LOAD_STATUS_OTHER] = "status_other",
	[LOAD_MALFORMED] = "malformed",
	[LOAD_INCOMPLETE] = "incomplete",
	[LOAD_STREAM_ERROR] = "stream_error",
};

enum { N_SERIES = sizeof(series) / sizeof(series[0]) };

/* What the reports are printed from. */
struct summary {
	double wall_s, output_tokens, prompt_tokens, cached_tokens;
	uint64_t outcomes[LOAD_N_OUTCOMES];
	uint64_t n_good;	/* first token within the SLO */
	struct {
		size_t n;
		double mean, p50, p90, p99, max;
	} of[N_SERIES];
};

void load_stats_init(struct load_stats *s)
{
	*s = (struct load_stats){ 0 };
}

void load_stats_fini(struct load_stats *s)
{
	free(s->samples);
	free(s->servers);
}

static void count_server(struct load_stats *s, const char *name)
{
	struct load_server *more;

	if (name[0] == '\0')
		return;
	for (size_t i = 0; i < s->n_servers; i++)
		if (strcmp(s->servers[i].name, name) == 0) {
			s->servers[i].n++;
			return;
		}
	if (s->n_servers == LOAD_SERVERS_MAX)
		return;
	more = realloc(s->servers, (s->n_servers + 1) * sizeof(*more));
	if (more == NULL)
		return;
	s->servers = more;
	more += s->n_servers++;
	snprintf(more->name, sizeof(more->name), "%s", name);
	more->n = 1;
}

static bool reserve(struct load_stats *s)
{
	size_t cap = s->cap != 0 ? s->cap * 2 : 1024;
	struct load_sample *more;

	if (s->n < s->cap)
		return true;
	if (cap > SAMPLES_MAX)
		return false;
	more = realloc(s->samples, cap * sizeof(*more));
	if (more == NULL)
		return false;
	s->samples = more;
	s->cap = cap;
	return true;
}

static uint32_t tokens(long long n)
{
	return n > 0 ? (uint32_t)n : 0;
}

void load_stats_add(struct load_stats *s, const struct load_call *call)
{
	struct load_sample *to;
	bool ok = call->outcome == LOAD_OK;
	bool streamed = ok && call->n_events > 1;
	long long n = call->completion_tokens >= 0 ? call->completion_tokens :
	    (long long)call->n_events;

	count_server(s, call->server);
	if (!reserve(s)) {
		s->n_lost++;
		return;
	}
	to = &s->samples[s->n++];
	*to = (struct load_sample){
		.outcome = call->outcome,
		.ttft_ms = ok && call->first_us != 0 ?
		    (double)(call->first_us - call->due_us) / 1e3 : -1,
		.latency_ms = ok ?
		    (double)(call->end_us - call->due_us) / 1e3 : -1,
		.itl_ms = streamed && n > 1 ?
		    (double)(call->last_us - call->first_us) / 1e3 /
		    (double)(n - 1) : -1,
		.gap_ms = streamed ? (double)call->gap_max_us / 1e3 : -1,
		.queue_ms = ok ? (double)call->queue_ms : -1,
	};
	if (!ok)
		return;
	to->completion_tokens = tokens(n);
	to->prompt_tokens = tokens(call->prompt_tokens);
	to->cached_tokens = tokens(call->cached_tokens);
}

uint64_t load_stats_errors(const struct load_stats *s)
{
	uint64_t n = s->n_lost;

	for (size_t i = 0; i < s->n; i++)
		n += s->samples[i].outcome != LOAD_OK;
	return n;
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double at_share(const double *sorted, size_t n, double share)
{
	return n > 0 ? sorted[(size_t)((double)(n - 1) * share + 0.5)] : 0;
}

static void summarize_series(const struct load_stats *s, struct summary *sum,
    size_t row, double *values)
{
	size_t n = 0;
	double total = 0;

	for (size_t i = 0; i < s->n; i++) {
		const char *sample = (const char *)&s->samples[i];
		double v = *(const double *)(sample + series[row].offset);

		if (v < 0)
			continue;
		values[n++] = v;
		total += v;
	}
	qsort(values, n, sizeof(*values), compare_doubles);
	sum->of[row].n = n;
	sum->of[row].mean = n > 0 ? total / (double)n : 0;
	sum->of[row].p50 = at_share(values, n, 0.5);
	sum->of[row].p90 = at_share(values, n, 0.9);
	sum->of[row].p99 = at_share(values, n, 0.99);
	sum->of[row].max = at_share(values, n, 1);
}

static int compare_servers(const void *a, const void *b)
{
	return strverscmp(((const struct load_server *)a)->name,
	    ((const struct load_server *)b)->name);
}

static void summarize(struct load_stats *s, const struct load_options *o,
    struct summary *sum)
{
	double *values = calloc(s->n + 1, sizeof(*values));

	*sum = (struct summary){ 0 };
	sum->wall_s = (double)(s->end_us - s->start_us) / 1e6;
	for (size_t i = 0; i < s->n; i++) {
		sum->outcomes[s->samples[i].outcome]++;
		sum->n_good += s->samples[i].ttft_ms >= 0 &&
		    s->samples[i].ttft_ms <= o->slo_ms;
		sum->output_tokens += s->samples[i].completion_tokens;
		sum->prompt_tokens += s->samples[i].prompt_tokens;
		sum->cached_tokens += s->samples[i].cached_tokens;
	}
	for (size_t row = 0; row < N_SERIES && values != NULL; row++)
		summarize_series(s, sum, row, values);
	free(values);
	if (s->n_servers > 0)
		qsort(s->servers, s->n_servers, sizeof(*s->servers),
		    compare_servers);
}

static double per(double value, double of)
{
	return of > 0 ? value / of : 0;
}

void load_stats_print(struct load_stats *s, const struct load_options *o,
    uint64_t n_connects, FILE *to)
{
	struct summary sum;

	summarize(s, o, &sum);
	fprintf(to, "workload          %s\nrequests          %zu\n"
	    "ok                %llu\n", o->workload, s->n,
	    (unsigned long long)sum.outcomes[LOAD_OK]);
	for (enum load_outcome i = LOAD_OK + 1; i < LOAD_N_OUTCOMES; i++)
		if (sum.outcomes[i] > 0)
			fprintf(to, "error %-11s %llu\n", outcome_names[i],
			    (unsigned long long)sum.outcomes[i]);
	fprintf(to, "connections       %llu\nseconds           %.2f\n"
	    "requests/s        %.1f\ngoodput/s         %.1f\noutput tokens/s   %.1f\n"
	    "cached tokens     %.1f %%\n\n", (unsigned long long)n_connects,
	    sum.wall_s, per((double)s->n, sum.wall_s),
	    per((double)sum.n_good, sum.wall_s),
	    per(sum.output_tokens, sum.wall_s),
	    100 * per(sum.cached_tokens, sum.prompt_tokens));
	fprintf(to, "%-16s %9s %9s %9s %9s %9s\n", "", "mean", "p50", "p90",
	    "p99", "max");
	for (size_t i = 0; i < N_SERIES; i++)
		if (sum.of[i].n > 0)
			fprintf(to, "%-16s %9.2f %9.2f %9.2f %9.2f %9.2f\n",
			    series[i].name, sum.of[i].mean, sum.of[i].p50,
			    sum.of[i].p90, sum.of[i].p99, sum.of[i].max);
	for (size_t i = 0; i < s->n_servers; i++)
		fprintf(to, "%s%-32s %llu\n", i == 0 ? "\n" : "",
		    s->servers[i].name, (unsigned long long)s->servers[i].n);
}

static void print_json_series(const struct summary *sum, FILE *to)
{
	for (size_t i = 0; i < N_SERIES; i++)
		fprintf(to, ",\n \"%s\": {\"n\": %zu, \"mean\": %.3f, "
		    "\"p50\": %.3f, \"p90\": %.3f, \"p99\": %.3f, "
		    "\"max\": %.3f}", series[i].name, sum->of[i].n,
		    sum->of[i].mean, sum->of[i].p50, sum->of[i].p90,
		    sum->of[i].p99, sum->of[i].max);
}

void load_stats_print_json(struct load_stats *s,
    const struct load_options *o, uint64_t n_connects, FILE *to)
{
	struct summary sum;
	const char *comma = "";

	summarize(s, o, &sum);
	fprintf(to, "{\"workload\": \"%s\", \"requests\": %zu, \"ok\": %llu,\n"
	    " \"errors\": {", o->workload, s->n,
	    (unsigned long long)sum.outcomes[LOAD_OK]);
	for (enum load_outcome i = LOAD_OK + 1; i < LOAD_N_OUTCOMES; i++) {
		if (sum.outcomes[i] == 0)
			continue;
		fprintf(to, "%s\"%s\": %llu", comma, outcome_names[i],
		    (unsigned long long)sum.outcomes[i]);
		comma = ", ";
	}
	fprintf(to, "},\n \"connections\": %llu, \"seconds\": %.3f, "
	    "\"requests_per_s\": %.3f, \"within_slo\": %llu, "
	    "\"goodput_per_s\": %.3f, \"output_tokens\": %.0f, "
	    "\"output_tokens_per_s\": %.3f,\n \"prompt_tokens\": %.0f, "
	    "\"cached_tokens\": %.0f, \"cached_share\": %.5f",
	    (unsigned long long)n_connects, sum.wall_s,
	    per((double)s->n, sum.wall_s), (unsigned long long)sum.n_good,
	    per((double)sum.n_good, sum.wall_s), sum.output_tokens,
	    per(sum.output_tokens, sum.wall_s), sum.prompt_tokens,
	    sum.cached_tokens, per(sum.cached_tokens, sum.prompt_tokens));
	print_json_series(&sum, to);
	fprintf(to, ",\n \"servers\": {");
	for (size_t i = 0; i < s->n_servers; i++)
		fprintf(to, "%s\"%s\": %llu", i > 0 ? ", " : "",
		    s->servers[i].name, (unsigned long long)s->servers[i].n);
	fprintf(to, "}}\n");
}
