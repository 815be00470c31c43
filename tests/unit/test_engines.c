#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "engine.h"
#include "fault.h"
#include "options.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define HISTOGRAM(name)                                                       \
	"# HELP " name " Histogram.\n# TYPE " name " histogram\n"             \
	name "_bucket{engine=\"0\",le=\"0.001\",model_name=\"m\"} 0.0\n"      \
	name "_bucket{engine=\"0\",le=\"+Inf\",model_name=\"m\"} 12.0\n"      \
	name "_count{engine=\"0\",model_name=\"m\"} 12.0\n"                   \
	name "_sum{engine=\"0\",model_name=\"m\"} 3.7252902984619e-09\n"

static const char vllm_page[] =
	"# HELP python_gc_objects_collected_total Objects collected\n"
	"# TYPE python_gc_objects_collected_total counter\n"
	"python_gc_objects_collected_total{generation=\"0\"} 11017.0\n"
	"# HELP vllm:num_requests_running Number in model execution batches.\n"
	"# TYPE vllm:num_requests_running gauge\n"
	"vllm:num_requests_running{engine=\"0\",model_name=\"meta/Llama\"} 5.0\n"
	"# HELP vllm:num_requests_waiting Number waiting to be processed.\n"
	"# TYPE vllm:num_requests_waiting gauge\n"
	"vllm:num_requests_waiting{engine=\"0\",model_name=\"meta/Llama\"} 3.0\n"
	"# TYPE vllm:num_requests_waiting_by_reason gauge\n"
	"vllm:num_requests_waiting_by_reason{engine=\"0\",reason=\"x\"} 99.0\n"
	HISTOGRAM("vllm:time_to_first_token_seconds")
	"# TYPE vllm:kv_cache_usage_perc gauge\n"
	"vllm:kv_cache_usage_perc{engine=\"0\",model_name=\"meta/Llama\"} 0.25\n"
	"# TYPE vllm:gpu_prefix_cache_queries_total counter\n"
	"vllm:gpu_prefix_cache_queries_total{engine=\"0\"} 7.0\n"
	"# TYPE vllm:cache_config_info gauge\n"
	"vllm:cache_config_info{block_size=\"16\",cache_dtype=\"auto\",engine=\"0\","
	"enable_prefix_caching=\"True\",num_gpu_blocks=\"27000\","
	"num_gpu_blocks_override=\"None\"} 1.0\n";

static const char vllm_dp_page[] =
	"vllm:num_requests_running{engine=\"0\",model_name=\"m\"} 5.0\n"
	"vllm:num_requests_running{engine=\"1\",model_name=\"m\"} 7.0\n"
	"vllm:num_requests_waiting{engine=\"0\",model_name=\"m\"} 0.0\n"
	"vllm:num_requests_waiting{engine=\"1\",model_name=\"m\"} 11.0\n"
	"vllm:num_requests_waiting{engine=\"1\",model_name=\"other\"} 2.0\n"
	"vllm:kv_cache_usage_perc{engine=\"0\",model_name=\"m\"} 0.25\n"
	"vllm:kv_cache_usage_perc{engine=\"1\",model_name=\"m\"} 0.75\n"
	"vllm:cache_config_info{block_size=\"16\",engine=\"0\","
	"num_gpu_blocks=\"1000\"} 1.0\n"
	"vllm:cache_config_info{block_size=\"16\",engine=\"1\","
	"num_gpu_blocks=\"1200\"} 1.0\n";

static const char vllm_old_page[] =
	"vllm:num_requests_running{model_name=\"m\"} 1.0\n"
	"vllm:num_requests_waiting{model_name=\"m\"} 2.0\n"
	"vllm:gpu_cache_usage_perc{model_name=\"m\"} 0.5\n"
	"vllm:cpu_cache_usage_perc{model_name=\"m\"} 0.9\n"
	"vllm:cache_config_info{block_size=\"32\",num_gpu_blocks=\"None\"} 1.0\n";

static const char vllm_both_page[] =
	"vllm:num_requests_waiting 2\n"
	"vllm:gpu_cache_usage_perc 0.9\n"
	"vllm:kv_cache_usage_perc 0.5\n";

static const char sglang_page[] =
	"# HELP sglang:num_running_reqs The number of running requests.\n"
	"# TYPE sglang:num_running_reqs gauge\n"
	"sglang:num_running_reqs{engine_type=\"unified\",model_name=\"q\","
	"pp_rank=\"0\",tp_rank=\"0\"} 9.0\n"
	"sglang:num_running_reqs_offline_batch{model_name=\"q\"} 100.0\n"
	"sglang:num_queue_reqs{engine_type=\"unified\",model_name=\"q\"} 4.0\n"
	"sglang:num_queue_reqs_total{model_name=\"q\"} 999.0\n"
	"sglang:token_usage{engine_type=\"unified\",model_name=\"q\"} 0.28\n"
	"sglang:cache_config_info{page_size=\"64\",num_pages=\"2000\"} 1.0\n"
	HISTOGRAM("sglang:time_to_first_token_seconds");

/* Priority scheduling: the total is said twice, once in parts. */
static const char sglang_priority_page[] =
	"sglang:num_running_reqs{priority=\"\",tp_rank=\"0\"} 14.0\n"
	"sglang:num_running_reqs{priority=\"-1\",tp_rank=\"0\"} 6.0\n"
	"sglang:num_running_reqs{priority=\"5\",tp_rank=\"0\"} 8.0\n"
	"sglang:num_queue_reqs{priority=\"\",tp_rank=\"0\"} 3.0\n"
	"sglang:num_queue_reqs{priority=\"5\",tp_rank=\"0\"} 3.0\n"
	"sglang:token_usage{priority=\"\",tp_rank=\"0\"} 0.5\n"
	"sglang:page_size{priority=\"\",tp_rank=\"0\"} 16\n"
	"sglang:num_pages{priority=\"\",tp_rank=\"0\"} 62500\n";

static const char trtllm_page[] =
	"# TYPE trtllm_num_requests_running gauge\n"
	"trtllm_num_requests_running{engine_type=\"trtllm\",model_name=\"m\"} 6.0\n"
	"trtllm_num_requests_waiting{engine_type=\"trtllm\",model_name=\"m\"} 1.0\n"
	"trtllm_kv_cache_utilization{model_name=\"m\"} 0.125\n"
	"trtllm_kv_cache_hit_rate{model_name=\"m\"} 0.9\n"
	"trtllm_kv_cache_tokens_per_block{model_name=\"m\"} 32.0\n"
	"trtllm_kv_cache_max_blocks{model_name=\"m\"} 101256.0\n";

static const char triton_page[] =
	"# HELP nv_trt_llm_request_metrics TRT LLM request metrics\n"
	"# TYPE nv_trt_llm_request_metrics gauge\n"
	"nv_trt_llm_request_metrics{model=\"tensorrt_llm\","
	"request_type=\"waiting\",version=\"1\"} 2\n"
	"nv_trt_llm_request_metrics{model=\"tensorrt_llm\","
	"request_type=\"context\",version=\"1\"} 50\n"
	"nv_trt_llm_request_metrics{model=\"tensorrt_llm\","
	"request_type=\"scheduled\",version=\"1\"} 1\n"
	"nv_trt_llm_request_metrics{model=\"tensorrt_llm\","
	"request_type=\"max\",version=\"1\"} 512\n"
	"nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type=\"fraction\","
	"model=\"tensorrt_llm\",version=\"1\"} 0.5\n"
	"nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type=\"tokens_per\","
	"model=\"tensorrt_llm\",version=\"1\"} 64\n"
	"nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type=\"used\","
	"model=\"tensorrt_llm\",version=\"1\"} 1\n"
	"nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type=\"max\","
	"model=\"tensorrt_llm\",version=\"1\"} 6239\n";

static const char tgi_page[] =
	"# TYPE tgi_batch_current_size gauge\ntgi_batch_current_size 4\n"
	"# TYPE tgi_batch_current_max_tokens gauge\n"
	"tgi_batch_current_max_tokens 2048\n"
	"# TYPE tgi_queue_size gauge\ntgi_queue_size 7\n"
	"tgi_request_generated_tokens_bucket{le=\"1\"} 0\n";

#define ALL true, true, true
#define REST 0, -1, false, { NULL, NULL }	/* neither time nor counter, awake, no extras */

static const struct {
	const char *engine, *page;
	struct engine_reading reading;
} pages[] = {
	{ "vllm", vllm_page, { ALL, 3, 5, 0.25f, 16, 27000, REST } },
	{ "vllm", vllm_dp_page, { ALL, 13, 12, 0.5f, 16, 2200, REST } },
	{ "vllm", vllm_old_page, { ALL, 2, 1, 0.5f, 32, 0, REST } },
	{ "vllm", vllm_both_page, { true, false, true, 2, 0, 0.5f, 0, 0, REST } },
	{ "sglang", sglang_page, { ALL, 4, 9, 0.28f, 64, 2000, REST } },
	{ "sglang", sglang_priority_page, { ALL, 3, 14, 0.5f, 16, 62500, REST } },
	{ "trtllm-serve", trtllm_page, { ALL, 1, 6, 0.125f, 32, 101256, REST } },
	{ "triton-tensorrt-llm", triton_page, { ALL, 2, 1, 0.5f, 64, 6239, REST } },
	{ "tgi", tgi_page, { true, true, false, 7, 4, 0, 0, 0, REST } },
	/* sums saturate, shares are clamped one by one */
	{ "vllm", "vllm:num_requests_waiting 4e9\nvllm:num_requests_waiting 4e9\n"
	  "vllm:num_requests_running +Inf\n"
	  "vllm:kv_cache_usage_perc 63\nvllm:kv_cache_usage_perc 0\n",
	  { ALL, UINT32_MAX, UINT32_MAX, 0.5f, 0, 0, REST } },
	/* what is no count is not there */
	{ "vllm", "vllm:num_requests_waiting NaN\nvllm:num_requests_running -1\n"
	  "vllm:kv_cache_usage_perc 0.5\nvllm:kv_cache_usage_perc NaN\n"
	  "vllm:cache_config_info{block_size=\"-16\",num_gpu_blocks=\"1e9\"} 1\n",
	  { false, false, true, 0, 0, 0.5f, 0, 0, REST } },
};

static enum prom_result scan(const struct engine *e, const char *page,
    size_t step, struct engine_reading *out)
{
	struct engine_scan *s = engine_scan_new(e);
	enum prom_result result;
	size_t len = strlen(page);

	for (int round = 0; round < 2; round++) {	/* a scan is reused */
		engine_scan_begin(s);
		for (size_t at = 0; at < len; at += step)
			engine_scan_feed(s, page + at,
			    len - at < step ? len - at : step);
		result = engine_scan_end(s, out);
	}
	engine_scan_free(s);
	return result;
}

static void assert_reading(const struct engine_reading *got,
    const struct engine_reading *want)
{
	assert_int_equal(got->has_queued, want->has_queued);
	assert_int_equal(got->has_running, want->has_running);
	assert_int_equal(got->has_kv_used, want->has_kv_used);
	assert_int_equal(got->queued, want->queued);
	assert_int_equal(got->running, want->running);
	assert_true(got->kv_used == want->kv_used);
	assert_int_equal(got->block_tokens, want->block_tokens);
	assert_int_equal(got->n_blocks, want->n_blocks);
}

static void test_each_engine_s_page_is_understood(void **state)
{
	static const size_t steps[] = { 1, 13, 1 << 20 };

	(void)state;
	for (size_t i = 0; i < COUNT(pages); i++)
		for (size_t k = 0; k < COUNT(steps); k++) {
			struct engine_reading got;

			assert_int_equal(scan(engine_find(pages[i].engine),
				pages[i].page, steps[k], &got), PROM_OK);
			assert_reading(&got, &pages[i].reading);
		}
}

/* Numbers must not depend on the order of the page's lines. */
static void test_lines_may_come_in_reverse(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(pages); i++) {
		size_t len = strlen(pages[i].page), end = len;
		char *reversed = calloc(1, len + 1), *at = reversed;
		struct engine_reading got;

		while (end > 0) {
			size_t start = end - 1;

			while (start > 0 && pages[i].page[start - 1] != '\n')
				start--;
			memcpy(at, pages[i].page + start, end - start);
			at += end - start;
			end = start;
		}
		assert_int_equal(scan(engine_find(pages[i].engine), reversed,
			4096, &got), PROM_OK);
		assert_reading(&got, &pages[i].reading);
		free(reversed);
	}
}

static void test_a_page_without_the_engine_s_names_is_bad(void **state)
{
	static const char *const others[] = {
		"", "<html>503</html>", "process_cpu_seconds_total 1\n",
		"vllm:cache_config_info{block_size=\"16\"} 1\n",
	};
	struct engine_reading got;

	(void)state;
	for (size_t i = 0; i < COUNT(others); i++)
		assert_int_equal(scan(engine_find("vllm"), others[i], 4096,
			&got), PROM_BAD);
	assert_int_equal(scan(engine_find("tgi"), vllm_page, 4096, &got),
	    PROM_BAD);
	assert_int_equal(scan(engine_find("vllm"),
		"vllm:num_requests_waiting 1\nvllm:num_requests_running{\n", 4096,
		&got), PROM_BAD);
	assert_false(got.has_queued);
}

static void test_the_table_is_found_by_name(void **state)
{
	size_t n = 0;

	(void)state;
	for (; engine_at(n) != NULL; n++) {
		assert_ptr_equal(engine_find(engine_at(n)->name), engine_at(n));
		assert_in_range(engine_at(n)->n_rows, 1, ENGINE_ROWS_MAX);
	}
	assert_int_equal(n, 5);
	assert_null(engine_find("vLLM"));
	assert_null(engine_at(n + 1));
}

static void test_an_engine_is_made_from_configuration(void **state)
{
	const struct engine_options o = {
		.name = "mine",
		.queued_spec = "q{kind=waiting}",
		.kv_spec = "kv",
		.cache_info_spec = "info",
		.block_size_label = "bs",
	};
	struct arena *arena = arena_new(4096, 65536);
	struct fault why = { .is_set = false };
	const struct engine *e = engine_make(&o, arena, &why);
	struct engine_reading got;
	const struct engine_reading want = { true, false, true, 5, 0, 0.5f, 8,
		100, REST };

	(void)state;
	assert_non_null(e);
	assert_string_equal(e->name, "mine");
	assert_int_equal(scan(e, "q{kind=\"waiting\"} 5\nq{kind=\"x\"} 9\nkv 0.5\n"
		"info{bs=\"8\",num_gpu_blocks=\"100\"} 1\n", 4096, &got), PROM_OK);
	assert_reading(&got, &want);
	arena_free(arena);
}

static void test_an_engine_that_cannot_be_made_is_a_fault(void **state)
{
	static const struct custom_metric_options customs[] = {
		{ "k", "m{", FOLD_SUM }, { "k", "m", FOLD_SUM },
	};
	static const struct engine_options bad[] = {
		{ .name = "nothing" },
		{ .name = "only info", .cache_info_spec = "info" },
		{ .name = "spec", .queued_spec = "q{a!=\"b\"}" },
		{ .name = "spec", .queued_spec = "q", .kv_spec = "" },
		{ .name = "spec", .queued_spec = "q", .lora_spec = "{" },
		{ .name = "base", .queued_spec = "q", .extends = "vLLM" },
		{ .name = "custom", .queued_spec = "q", .custom = customs,
		  .n_custom = 1 },
		{ .name = "only custom", .custom = customs + 1, .n_custom = 1 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct arena *arena = arena_new(4096, 65536);
		struct fault why = { .is_set = false };

		assert_null(engine_make(&bad[i], arena, &why));
		assert_true(why.is_set && why.want[0] != '\0');
		arena_free(arena);
	}
}

static void test_an_engine_without_memory_is_a_fault(void **state)
{
	const struct custom_metric_options custom = { "k", "m", FOLD_SUM };
	const struct engine_options o = { .name = "mine", .queued_spec = "q",
		.kv_spec = "kv{a=\"b\"}", .block_size_label = "bs",
		.extends = "vllm", .custom = &custom, .n_custom = 1 };
	size_t bytes = 0;

	(void)state;
	for (;; bytes += 16) {
		struct arena *arena = arena_new(bytes, bytes);
		struct fault why = { .is_set = false };
		const struct engine *e = engine_make(&o, arena, &why);

		assert_true((e == NULL) == why.is_set);
		arena_free(arena);
		if (e != NULL)
			break;
	}
	assert_true(bytes > 0);
}

#define SLEEP(awake, level1) \
	"vllm:num_requests_waiting 0.0\n" \
	"vllm:engine_sleep_state{engine=\"0\",sleep_state=\"awake\"} " awake "\n" \
	"vllm:engine_sleep_state{engine=\"0\"," \
	"sleep_state=\"weights_offloaded\"} " level1 "\n" \
	"vllm:engine_sleep_state{engine=\"0\",sleep_state=\"discard_all\"} 0.0\n"

static void test_an_engine_that_sleeps_says_so(void **state)
{
	static const struct { const char *page; bool is_asleep; } rows[] = {
		{ "vllm:num_requests_waiting 0.0\n", false },	/* older vLLM */
		{ SLEEP("1.0", "0.0"), false },
		{ SLEEP("0.0", "1.0"), true },
	};
	struct engine_reading r;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(scan(engine_find("vllm"), rows[i].page, 1, &r),
		    PROM_OK);
		assert_int_equal(r.is_asleep, rows[i].is_asleep);
	}
}

static void test_the_start_of_the_process_is_read(void **state)
{
	struct engine_reading r;

	(void)state;
	assert_int_equal(scan(engine_find("vllm"),
	    "process_start_time_seconds 1.76e+09\n"
	    "vllm:num_requests_waiting 0.0\n", 7, &r), PROM_OK);
	assert_true(r.start_time == 1.76e9);
	assert_int_equal(scan(engine_find("vllm"),
	    "vllm:num_requests_waiting 0.0\n", 7, &r), PROM_OK);
	assert_true(r.start_time == 0);
}

/* ---- adapters ---- */

#define LORA(max, running, waiting, time) \
	"vllm:lora_requests_info{max_lora=\"" max "\",running_lora_adapters=\"" \
	running "\",waiting_lora_adapters=\"" waiting "\"} " time "\n"
#define WAITING "vllm:num_requests_waiting 0\n"

/* What is on the page, and what of it counts: "running|waiting/max". */
static const struct {
	const char *page, *want;
} lora_pages[] = {
	{ WAITING, "none" },
	{ WAITING LORA("4", "", "", "1.76e9"), "|/4" },
	/* vLLM: both lists are the keys of one dictionary. */
	{ WAITING LORA("4", "a,b", "a,b", "1.76e9"), "ab|/4" },
	{ WAITING LORA("4", "a", "b,a", "1.76e9"), "a|b/4" },
	{ WAITING LORA("2", "a,b,a", "c,c", "1.76e9"), "ab|c/2" },
	{ WAITING LORA("2", " a , b,,", ",", "1.76e9"), "ab|/2" },
	/* Old sets of labels stay on the page; the latest counts, wherever. */
	{ WAITING LORA("4", "a", "", "100") LORA("4", "b", "", "102.5")
	  LORA("4", "c", "", "102.25"), "b|/4" },
	{ LORA("4", "a", "", "9e9") LORA("4", "b", "", "1e9") WAITING, "a|/4" },
	{ WAITING LORA("4", "a", "", "7") LORA("4", "b", "", "7"), "a|/4" },
	/* A value that is no time makes no series the latest. */
	{ WAITING LORA("4", "a", "", "NaN"), "none" },
	{ WAITING LORA("4", "a", "", "-1"), "none" },
	{ WAITING LORA("4", "a", "", "0") LORA("4", "b", "", "NaN"), "a|/4" },
	/* No number of slots, or none that is one. */
	{ WAITING LORA("", "a", "", "1"), "a|/0" },
	{ WAITING LORA("-4", "a", "", "1"), "a|/0" },
	{ WAITING LORA("None", "a", "", "1"), "a|/0" },
	{ WAITING LORA("1e300", "a", "", "1"), "a|/4294967295" },
	{ WAITING "vllm:lora_requests_info 5\n", "|/0" },
	{ WAITING "vllm:lora_requests_info_total{max_lora=\"4\"} 5\n", "none" },
	/* Escapes of the format; only the name in the middle is "b". */
	{ WAITING LORA("4", "\\\\,b,\\n", "\\\"", "1"), "?b?|?/4" },
};

static char letter_of(uint64_t name)
{
	for (char c = 'a'; c <= 'z'; c++)
		if (lora_name((struct span){ &c, 1 }) == name)
			return c;
	return '?';
}

static void spell(const struct lora_set *set, char *out, size_t len)
{
	size_t at = 0;

	if (set == NULL) {
		snprintf(out, len, "none");
		return;
	}
	for (size_t i = 0; i <= set->n; i++) {
		if (i == set->n_running)
			out[at++] = '|';
		if (i < set->n)
			out[at++] = letter_of(set->names[i]);
	}
	snprintf(out + at, len - at, "/%u", set->max);
}

static void test_adapters_are_those_of_the_latest_series(void **state)
{
	static const size_t steps[] = { 1, 13, 1 << 20 };

	(void)state;
	for (size_t i = 0; i < COUNT(lora_pages); i++)
		for (size_t k = 0; k < COUNT(steps); k++) {
			struct engine_scan *s =
			    engine_scan_new(engine_find("vllm"));
			struct engine_reading r;
			char got[256];

			engine_scan_begin(s);
			for (size_t at = 0; lora_pages[i].page[at] != '\0';) {
				size_t n = strnlen(lora_pages[i].page + at,
				    steps[k]);

				engine_scan_feed(s, lora_pages[i].page + at, n);
				at += n;
			}
			assert_int_equal(engine_scan_end(s, &r), PROM_OK);
			spell(r.extras.lora, got, sizeof(got));
			if (strcmp(got, lora_pages[i].want) != 0)
				fail_msg("page %zu: %s", i, got);
			engine_scan_free(s);
		}
}

/* Feeds one page to a scan; the reading's extras are its. */
static struct engine_reading read_page(struct engine_scan *s, const char *page)
{
	struct engine_reading r;

	engine_scan_begin(s);
	engine_scan_feed(s, page, strlen(page));
	engine_scan_end(s, &r);
	return r;
}

static void test_the_adapters_of_a_page_go_with_it(void **state)
{
	struct engine_scan *s = engine_scan_new(engine_find("vllm"));

	(void)state;
	assert_int_equal(read_page(s, WAITING LORA("4", "a,b", "", "100"))
	    .extras.lora->n, 2);
	/* Earlier than on the last page: a clock may be set back. */
	assert_int_equal(read_page(s, WAITING LORA("4", "a", "", "50"))
	    .extras.lora->n, 1);
	assert_null(read_page(s, WAITING).extras.lora);
	assert_null(read_page(s, WAITING LORA("4", "a", "", "1") "vllm:"
	    "num_requests_running{\n").extras.lora);
	engine_scan_free(s);
}

static void test_only_so_many_adapters_are_kept(void **state)
{
	enum { MORE = LORA_ADAPTERS_MAX + 1 };
	struct engine_scan *s = engine_scan_new(engine_find("vllm"));
	char list[MORE * 8], page[MORE * 24];

	(void)state;
	for (int n = LORA_ADAPTERS_MAX; n <= MORE; n++) {
		const struct lora_set *set;
		size_t len = 0;

		for (int i = 0; i < n; i++)
			len += (size_t)snprintf(list + len, sizeof(list) - len,
			    "x%d,", i);
		snprintf(page, sizeof(page), WAITING LORA("999", "%s", "%s", "1"),
		    list, list);
		set = read_page(s, page).extras.lora;
		assert_int_equal(set->n_running, LORA_ADAPTERS_MAX);
		assert_int_equal(set->n, LORA_ADAPTERS_MAX);
		assert_int_equal(set->is_cut, n > LORA_ADAPTERS_MAX);
	}
	engine_scan_free(s);
}

/* ---- an engine's own metrics ---- */

static const struct engine *make(struct arena *arena,
    const struct engine_options *o)
{
	struct fault why = { .is_set = false };
	const struct engine *e = engine_make(o, arena, &why);

	if (e == NULL)
		fail_msg("%s; want %s", why.found, why.want);
	return e;
}

static const struct custom_metric_options own_metrics[] = {
	{ "sum", "s", FOLD_SUM }, { "mean", "m{k=\"v\"}", FOLD_MEAN },
	{ "max", "x", FOLD_MAX }, { "again", "a1", FOLD_MEAN },
	{ "again", "a2", FOLD_MEAN },
};

/* What sum, mean, max and again are: '-' when there is none. */
static const struct {
	const char *page, *want;
} custom_pages[] = {
	{ "q 1\n", "- - - -" },
	{ "q 1\ns 3\ns{e=\"1\"} 4\n", "7 - - -" },
	{ "q 1\nm{k=\"v\",e=\"0\"} 1\nm{k=\"v\",e=\"1\"} 2\nm 9\n", "- 1.5 - -" },
	{ "q 1\nx 1\nx{e=\"1\"} 8\nx{e=\"2\"} 2\n", "- - 8 -" },
	/* Below zero is a number too, and the greatest may be. */
	{ "q 1\ns -3\nx -5\nx{e=\"1\"} -2\n", "-3 - -2 -" },
	{ "q 1\ns NaN\nx +Inf\nx{e=\"1\"} 2\na1 -Inf\n", "- - 2 -" },
	/* Twins are alternatives: the first that the page has. */
	{ "q 1\na2 5\n", "- - - 5" },
	{ "a2 5\na1 6\nq 1\n", "- - - 6" },
	/* A sum that a double does not hold is no number. */
	{ "q 1\ns 1.7e308\ns{e=\"1\"} 1.7e308\nx 1.7e308\n", "- - 1.7e+308 -" },
	{ "q 1\ns 16777217\n", "16777217 - - -" },
};

static void test_an_operator_s_own_numbers_are_read(void **state)
{
	static const char *const keys[] = { "sum", "mean", "max", "again" };
	const struct engine_options o = { .name = "mine", .queued_spec = "q",
		.custom = own_metrics, .n_custom = COUNT(own_metrics) };
	struct arena *arena = arena_new(4096, 65536);
	struct engine_scan *s = engine_scan_new(make(arena, &o));

	(void)state;
	for (size_t i = 0; i < COUNT(custom_pages); i++) {
		struct engine_reading r = read_page(s, custom_pages[i].page);
		char got[128] = "";
		size_t len = 0;

		for (size_t k = 0; k < COUNT(keys); k++) {
			const struct attribute *a = attribute_find(
			    r.extras.attributes, attribute_key(keys[k]));

			len += (size_t)(a != NULL ?
			    snprintf(got + len, sizeof(got) - len, "%s%.8g",
				k > 0 ? " " : "", a->value) :
			    snprintf(got + len, sizeof(got) - len, "%s-",
				k > 0 ? " " : ""));
		}
		if (strcmp(got, custom_pages[i].want) != 0)
			fail_msg("page %zu: %s", i, got);
	}
	assert_null(read_page(s, "q 1\n").extras.attributes);
	engine_scan_free(s);
	arena_free(arena);
}

static void test_lora_is_read_from_a_metric_of_one_s_own(void **state)
{
	const struct engine_options o = { .name = "mine", .queued_spec = "q",
		.lora_spec = "adapters{kind=lora}" };
	struct arena *arena = arena_new(4096, 65536);
	struct engine_scan *s = engine_scan_new(make(arena, &o));
	char got[64];

	(void)state;
	spell(read_page(s, "q 1\nadapters{kind=\"lora\",max_lora=\"3\","
		"running_lora_adapters=\"a\",waiting_lora_adapters=\"b\"} 7\n"
		"adapters{kind=\"other\",max_lora=\"9\"} 8\n").extras.lora, got,
	    sizeof(got));
	assert_string_equal(got, "a|b/3");
	engine_scan_free(s);
	arena_free(arena);
}

/* What is given replaces the base's rows of that role, alternatives and all. */
static void test_an_engine_extends_a_built_in_one(void **state)
{
	const struct engine_options o = { .name = "mine", .extends = "vllm",
		.running_spec = "r", .kv_spec = "kv", .custom = own_metrics,
		.n_custom = 1 };
	const struct engine_reading want = { true, true, true, 3, 7, 0.125f, 16,
		27000, REST };
	struct arena *arena = arena_new(4096, 65536);
	struct engine_scan *s = engine_scan_new(make(arena, &o));
	struct engine_reading got;
	char page[sizeof(vllm_page) + 256], text[64];

	(void)state;
	snprintf(page, sizeof(page), "%s%s", vllm_page,
	    "r 7\nkv 0.125\ns 5\nvllm:gpu_cache_usage_perc 0.9\n"
	    LORA("4", "a", "", "1"));
	got = read_page(s, page);
	assert_reading(&got, &want);
	spell(got.extras.lora, text, sizeof(text));
	assert_string_equal(text, "a|/4");
	assert_true(got.extras.attributes->items[0].value == 5);
	engine_scan_free(s);
	arena_free(arena);
}

/* Labels of the base's, or one's own labels instead of the base's two gauges. */
static void test_the_cache_s_size_is_told_by_one_of_two_ways(void **state)
{
	const struct engine_options labels = { .name = "mine",
		.extends = "sglang" };
	const struct engine_options ci = { .name = "mine", .extends = "sglang",
		.cache_info_spec = "ci", .block_size_label = "bs" };
	static const char page[] = "sglang:num_queue_reqs 1\nci{bs=\"8\","
	    "num_pages=\"100\"} 1\n";
	static const char gauges[] = "sglang:page_size 64\n";
	char both[sizeof(page) + sizeof(gauges)];
	struct arena *arena = arena_new(4096, 65536);
	struct engine_scan *s = engine_scan_new(make(arena, &labels));
	struct engine_reading r = read_page(s, sglang_page);

	(void)state;
	assert_int_equal(r.block_tokens, 64);
	assert_int_equal(r.n_blocks, 2000);
	engine_scan_free(s);
	s = engine_scan_new(make(arena, &ci));
	snprintf(both, sizeof(both), "%s%s", page, gauges);
	r = read_page(s, both);
	assert_int_equal(r.block_tokens, 8);
	assert_int_equal(r.n_blocks, 100);
	engine_scan_free(s);
	arena_free(arena);
}

/* All that one may give, on the engine with the most rows of its own. */
static void test_there_is_room_for_every_row(void **state)
{
	struct custom_metric_options most[ATTRIBUTES_MAX];
	struct engine_options o = { .name = "mine", .custom = most,
		.n_custom = ATTRIBUTES_MAX };

	(void)state;
	for (size_t i = 0; i < ATTRIBUTES_MAX; i++)
		most[i] = (struct custom_metric_options){ "k", "m", FOLD_SUM };
	for (size_t i = 0; engine_at(i) != NULL; i++)
		for (int own_too = 0; own_too < 2; own_too++) {
			struct arena *arena = arena_new(4096, 65536);
			const struct engine *e;

			o.extends = engine_at(i)->name;
			o.lora_spec = o.queued_spec = own_too ? "x" : NULL;
			o.cache_info_spec = own_too ? "ci" : NULL;
			e = make(arena, &o);
			assert_in_range(e->n_rows, 1, ENGINE_ROWS_MAX);
			assert_int_equal(e->rows[e->n_rows - 1].role,
			    ENGINE_ATTRIBUTE);
			arena_free(arena);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_engine_s_page_is_understood),
		cmocka_unit_test(test_lines_may_come_in_reverse),
		cmocka_unit_test(test_a_page_without_the_engine_s_names_is_bad),
		cmocka_unit_test(test_the_table_is_found_by_name),
		cmocka_unit_test(test_an_engine_is_made_from_configuration),
		cmocka_unit_test(test_an_engine_that_cannot_be_made_is_a_fault),
		cmocka_unit_test(test_an_engine_without_memory_is_a_fault),
		cmocka_unit_test(test_an_engine_that_sleeps_says_so),
		cmocka_unit_test(test_the_start_of_the_process_is_read),
		cmocka_unit_test(test_adapters_are_those_of_the_latest_series),
		cmocka_unit_test(test_the_adapters_of_a_page_go_with_it),
		cmocka_unit_test(test_only_so_many_adapters_are_kept),
		cmocka_unit_test(test_an_operator_s_own_numbers_are_read),
		cmocka_unit_test(test_lora_is_read_from_a_metric_of_one_s_own),
		cmocka_unit_test(test_an_engine_extends_a_built_in_one),
		cmocka_unit_test(test_the_cache_s_size_is_told_by_one_of_two_ways),
		cmocka_unit_test(test_there_is_room_for_every_row),
	};

	return cmocka_run_group_tests_name("engines", tests, NULL, NULL);
}
