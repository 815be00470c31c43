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
#define REST 0, false		/* no start time, awake */

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
	static const struct engine_options bad[] = {
		{ .name = "nothing" },
		{ .name = "only info", .cache_info_spec = "info" },
		{ .name = "spec", .queued_spec = "q{a!=\"b\"}" },
		{ .name = "spec", .queued_spec = "q", .kv_spec = "" },
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
	const struct engine_options o = { .name = "mine", .queued_spec = "q",
		.kv_spec = "kv{a=\"b\"}", .block_size_label = "bs" };
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
	};

	return cmocka_run_group_tests_name("engines", tests, NULL, NULL);
}
