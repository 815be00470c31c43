#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "help_kv.h"
#include "kv_events.h"

static const uint64_t hashes[] = { 5, UINT64_MAX, 1ull << 63 };
static const uint64_t parent = 77;

enum { TAIL = 32 };	/* "data_parallel_rank" and its number, at most */

static struct span some(bool as_maps)
{
	help_kv_begin(as_maps);
	help_kv_stored(&parent, hashes, 3, 16, "GPU");
	help_kv_stored(NULL, hashes, 1, 64, NULL);
	help_kv_removed(hashes, 2, "CPU");
	help_kv_cleared();
	return help_kv_end();
}

static void test_both_encodings_say_the_same(void **state)
{
	(void)state;
	for (int as_maps = 0; as_maps < 2; as_maps++) {
		struct kv_batch b;
		struct kv_event e;

		assert_true(kv_batch_open(&b, some(as_maps)));
		assert_int_equal(b.n_left, 4);
		assert_int_equal(kv_batch_next(&b, &e), KV_EVENT);
		assert_int_equal(e.kind, KV_STORED);
		assert_true(e.has_parent && e.parent == parent);
		assert_int_equal(e.n_hashes, 3);
		for (int i = 0; i < 3; i++)
			assert_true(kv_hash(&e.hashes) == hashes[i]);
		assert_int_equal(e.n_tokens, 48);
		assert_int_equal(e.block_size, 16);
		assert_true(span_is_text(e.medium, "GPU"));
		assert_int_equal(e.group, -1);
		assert_int_equal(kv_batch_next(&b, &e), KV_EVENT);
		assert_false(e.has_parent);
		assert_int_equal(e.block_size, 64);
		assert_int_equal(e.medium.len, 0);
		assert_int_equal(kv_batch_next(&b, &e), KV_EVENT);
		assert_int_equal(e.kind, KV_REMOVED);
		assert_int_equal(e.n_hashes, 2);
		assert_true(span_is_text(e.medium, "CPU"));
		assert_int_equal(kv_batch_next(&b, &e), KV_EVENT);
		assert_int_equal(e.kind, KV_CLEARED);
		assert_int_equal(kv_batch_next(&b, &e), KV_END);
	}
}

/* What engines of some release or other send, byte by byte. */
#define T(text) text, sizeof(text) - 1
static const struct {
	const char *what, *bytes;
	size_t len;
	enum kv_result result;
	enum kv_kind kind;
} ones[] = {
	{ "the shortest stored event: SGLang leaves the rest out",
	  T("\x92\x01\x91\x95\xab" "BlockStored\x91\x07\xc0\x92\x01\x02\x02"),
	  KV_EVENT, KV_STORED },
	{ "digests in place of numbers",
	  T("\x92\x01\x91\x95\xab" "BlockStored\x91\xc4\x04" "abcd\xc4\x02xy\x90"
	    "\x10"), KV_EVENT, KV_STORED },
	{ "more fields than we know",
	  T("\x92\x01\x91\x95\xac" "BlockRemoved\x91\x07\xc0\xc0\x81\x01\x02"),
	  KV_EVENT, KV_REMOVED },
	{ "a kind that we do not know",
	  T("\x92\x01\x91\x93\xa3" "New\x01\x90"), KV_EVENT, KV_OTHER },
	{ "the tag behind what it is the tag of",
	  T("\x92\x01\x91\x82\xac" "block_hashes\x91\x07\xa4" "type\xac"
	    "BlockRemoved"), KV_EVENT, KV_REMOVED },
	{ "a hybrid cache's group",
	  T("\x92\x01\x91\x94\xac" "BlockRemoved\x91\x07\xc0\x02"), KV_EVENT,
	  KV_REMOVED },
	{ "no events", T("\x92\x01\x90"), KV_END, KV_STORED },
	{ "too few fields", T("\x92\x01\x91\x91\xac" "BlockRemoved"), KV_BAD, 0 },
	{ "no tag", T("\x92\x01\x91\x90"), KV_BAD, 0 },
	{ "a tag that is a number", T("\x92\x01\x91\x92\x05\x91\x07"), KV_BAD, 0 },
	{ "hashes that are no list",
	  T("\x92\x01\x91\x92\xac" "BlockRemoved\x07"), KV_BAD, 0 },
	{ "a hash that is a list",
	  T("\x92\x01\x91\x92\xac" "BlockRemoved\x91\x90"), KV_BAD, 0 },
	{ "an event that is a number", T("\x92\x01\x91\x05"), KV_BAD, 0 },
	{ "a map without hashes",
	  T("\x92\x01\x91\x81\xa4" "type\xac" "BlockRemoved"), KV_BAD, 0 },
};

static void test_what_engines_send_is_understood_or_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(ones) / sizeof(*ones); i++) {
		struct kv_batch b;
		struct kv_event e;

		assert_true(kv_batch_open(&b, (struct span){ ones[i].bytes,
			ones[i].len }));
		if (kv_batch_next(&b, &e) != ones[i].result ||
		    (ones[i].result == KV_EVENT && e.kind != ones[i].kind))
			fail_msg("%s", ones[i].what);
		if (ones[i].result == KV_BAD)
			assert_int_equal(kv_batch_next(&b, &e), KV_END);
	}
}

static const char *const no_batches[] = {
	"", "\x05", "\xc0", "\x91\x01", "\x92\x01\x05", "\x92\x01\x92\x90",
	"\x81\xa2ts\x01", "hello", "\xdd\xff\xff\xff\xff",
};

static void test_what_is_no_batch_is_refused(void **state)
{
	struct kv_batch b;

	(void)state;
	for (size_t i = 0; i < sizeof(no_batches) / sizeof(*no_batches); i++)
		if (kv_batch_open(&b, span_of(no_batches[i])))
			fail_msg("batch %zu", i);
}

static void test_no_truncation_passes(void **state)
{
	(void)state;
	for (int as_maps = 0; as_maps < 2; as_maps++) {
		struct span whole = some(as_maps);

		for (size_t len = 0; len < whole.len; len++) {
			char *cut = malloc(len + 1);	/* ASan sees its edge */
			enum kv_result last = KV_BAD;
			struct kv_batch b;
			struct kv_event e;

			memcpy(cut, whole.ptr, len);
			if (kv_batch_open(&b, (struct span){ cut, len }))
				while ((last = kv_batch_next(&b, &e)) ==
				    KV_EVENT)
					;
			/* Behind the events nothing is looked at. */
			if (last != KV_BAD)
				assert_true(whole.len - len <= TAIL);
			free(cut);
		}
	}
}

/* ---- token ids ---- */

static struct kv_event stored_as(bool as_maps, const struct help_kv_text *t)
{
	struct kv_batch b;
	struct kv_event e;

	help_kv_begin(as_maps);
	help_kv_stored_text(NULL, hashes, 2, 2, "GPU", t);
	assert_true(kv_batch_open(&b, help_kv_end()));
	assert_int_equal(kv_batch_next(&b, &e), KV_EVENT);
	return e;
}

static void test_token_ids_are_told_as_they_came(void **state)
{
	static const uint32_t ids[] = { 0, 127, 65536, UINT32_MAX };
	uint32_t got[4];

	(void)state;
	for (int as_maps = 0; as_maps < 2; as_maps++) {
		struct kv_event e = stored_as(as_maps,
		    &(struct help_kv_text){ .ids = ids });

		assert_int_equal(e.n_tokens, 4);
		assert_true(kv_tokens(&e, got));
		assert_memory_equal(got, ids, sizeof(ids));
	}
}

/* SGLang, where it speculates: pairs. Or numbers that are no ids. */
static void test_what_is_no_token_id_is_refused(void **state)
{
	static const struct { const char *bytes; size_t len; } bad[] = {
		{ T("\x92\x01\x91\x95\xab" "BlockStored\x91\x07\xc0\x91\x92\x01\x02"
		    "\x01") },
		{ T("\x92\x01\x91\x95\xab" "BlockStored\x91\x07\xc0\x91\xff\x01") },
		{ T("\x92\x01\x91\x95\xab" "BlockStored\x91\x07\xc0\x91\xcf\0\0\0\1"
		    "\0\0\0\0\x01") },
	};
	uint32_t got[4];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct kv_batch b;
		struct kv_event e;

		assert_true(kv_batch_open(&b, (struct span){ bad[i].bytes,
			bad[i].len }));
		assert_int_equal(kv_batch_next(&b, &e), KV_EVENT);
		assert_int_equal(e.n_tokens, 1);
		assert_false(kv_tokens(&e, got));
	}
}

static void test_salts_and_images_are_no_text(void **state)
{
	static const struct {
		struct help_kv_text text;
		bool is_text;
	} cases[] = {
		{ { 0 }, true },
		{ { .lora = "l" }, true },
		{ { .lora = "l", .lora_id = 3 }, true },
		{ { .lora_id = 3 }, false },	/* which, is not told */
		{ { .extra = "salt" }, false },
		{ { .lora = "l", .extra = "salt" }, false },
	};

	(void)state;
	for (int as_maps = 0; as_maps < 2; as_maps++)
		for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
			struct kv_event e = stored_as(as_maps, &cases[i].text);

			assert_int_equal(kv_event_is_of_text(&e),
			    cases[i].is_text);
		}
}

static void test_only_full_attention_is_of_prefixes(void **state)
{
	struct kv_event e = { .spec_kind = { NULL, 0 } };

	(void)state;
	assert_true(kv_event_is_of_prefixes(&e));
	e.spec_kind = span_of("full_attention");
	assert_true(kv_event_is_of_prefixes(&e));
	e.spec_kind = span_of("mla_attention");
	assert_true(kv_event_is_of_prefixes(&e));
	e.spec_kind = span_of("sliding_window");
	assert_false(kv_event_is_of_prefixes(&e));
	e.spec_kind = span_of("mamba");
	assert_false(kv_event_is_of_prefixes(&e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_encodings_say_the_same),
		cmocka_unit_test(test_what_engines_send_is_understood_or_bad),
		cmocka_unit_test(test_what_is_no_batch_is_refused),
		cmocka_unit_test(test_no_truncation_passes),
		cmocka_unit_test(test_token_ids_are_told_as_they_came),
		cmocka_unit_test(test_what_is_no_token_id_is_refused),
		cmocka_unit_test(test_salts_and_images_are_no_text),
		cmocka_unit_test(test_only_full_attention_is_of_prefixes),
	};

	return cmocka_run_group_tests_name("kv_events", tests, NULL, NULL);
}
