#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "rng.h"
#include "spop.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define BYTES(text) { (const uint8_t *)(text), sizeof(text) - 1 }

enum { MAX_FRAME = 16380 };

/* HAProxy 2.6.12's own, but for fewer arguments and a shorter engine-id. */
#define HAPROXY_HELLO                                                   \
	"\x00\x00\x00\x5b" "\x01" "\x00\x00\x00\x01" "\x00" "\x00"      \
	"\x12" "supported-versions" "\x08" "\x03" "2.0"                 \
	"\x0e" "max-frame-size" "\x03" "\xfc\xf0\x06"                   \
	"\x0c" "capabilities" "\x08" "\x0a" "pipelining"                \
	"\x09" "engine-id" "\x08" "\x04" "f1-2"
#define HAPROXY_DISCONNECT                                              \
	"\x00\x00\x00\x25" "\x02" "\x00\x00\x00\x01" "\x00" "\x00"      \
	"\x0b" "status-code" "\x03" "\x00"                              \
	"\x07" "message" "\x08" "\x06" "normal"
#define NOTIFY                                                          \
	"\x00\x00\x00\x1f" "\x03" "\x00\x00\x00\x01" "\xf1\x00" "\x01"  \
	"\x04" "pick" "\x03"                                            \
	"\x04" "body" "\x09" "\x02" "{}"                                \
	"\x03" "len" "\x04" "\x02"                                      \
	"\x00" "\x11"
#define AGENT_HELLO                                                     \
	"\x00\x00\x00\x40" "\x65" "\x00\x00\x00\x01" "\x00" "\x00"      \
	"\x07" "version" "\x08" "\x03" "2.0"                            \
	"\x0e" "max-frame-size" "\x03" "\xfc\xf0\x06"                   \
	"\x0c" "capabilities" "\x08" "\x0a" "pipelining"
#define AGENT_DISCONNECT                                                \
	"\x00\x00\x00\x2f" "\x66" "\x00\x00\x00\x01" "\x00" "\x00"      \
	"\x0b" "status-code" "\x03" "\x03"                              \
	"\x07" "message" "\x08" "\x10" "frame is too big"
#define ACK                                                             \
	"\x00\x00\x00\x16" "\x67" "\x00\x00\x00\x01" "\xf1\x00" "\x01"  \
	"\x01\x03\x02" "\x02" "ep" "\x08" "\x02" "s1"                   \
	"\x02\x02\x04" "\x00"

static const struct vector {
	const char *name;
	struct { const uint8_t *ptr; size_t len; } bytes;
	uint8_t type;
	uint64_t stream_id, frame_id;
} vectors[] = {
	{ "HAPROXY-HELLO", BYTES(HAPROXY_HELLO), SPOP_HAPROXY_HELLO, 0, 0 },
	{ "HAPROXY-DISCONNECT", BYTES(HAPROXY_DISCONNECT),
	  SPOP_HAPROXY_DISCONNECT, 0, 0 },
	{ "NOTIFY", BYTES(NOTIFY), SPOP_NOTIFY, 241, 1 },
	{ "AGENT-HELLO", BYTES(AGENT_HELLO), SPOP_AGENT_HELLO, 0, 0 },
	{ "AGENT-DISCONNECT", BYTES(AGENT_DISCONNECT), SPOP_AGENT_DISCONNECT,
	  0, 0 },
	{ "ACK", BYTES(ACK), SPOP_ACK, 241, 1 },
	{ "smallest", BYTES("\x00\x00\x00\x07\x00\x00\x00\x00\x01\x00\x00"),
	  SPOP_UNSET, 0, 0 },
};

/* In memory of that very size, so that ASan sees a byte read too far. */
static enum spop_result decode_exact(const void *bytes, size_t len,
    uint32_t max_frame, struct spop_frame *frame, size_t *used)
{
	char *exact = malloc(len != 0 ? len : 1);
	enum spop_result result;

	memcpy(exact, bytes, len);
	result = spop_decode((struct span){ exact, len }, max_frame, frame, used);
	free(exact);
	return result;
}

static void test_frames_decode_from_their_bytes(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(vectors); i++) {
		const struct vector *v = &vectors[i];
		struct span in = { (const char *)v->bytes.ptr, v->bytes.len };
		struct spop_frame f;
		size_t used = 0;

		assert_int_equal(spop_decode(in, MAX_FRAME, &f, &used), SPOP_OK);
		assert_int_equal(used, in.len);
		assert_int_equal(spop_peek(in), in.len);
		assert_int_equal(f.type, v->type);
		assert_int_equal(f.flags, SPOP_FLAG_FIN);
		assert_int_equal(f.stream_id, v->stream_id);
		assert_int_equal(f.frame_id, v->frame_id);
		assert_ptr_equal(f.payload.end, v->bytes.ptr + v->bytes.len);
	}
}

static void test_every_truncation_of_a_frame_is_more(void **state)
{
	struct spop_frame f;
	size_t used;

	(void)state;
	for (size_t i = 0; i < COUNT(vectors); i++)
		for (size_t cut = 0; cut < vectors[i].bytes.len; cut++)
			assert_int_equal(decode_exact(vectors[i].bytes.ptr, cut,
				MAX_FRAME, &f, &used), SPOP_MORE);
}

static void test_what_follows_a_frame_is_left_alone(void **state)
{
	struct spop_frame f;
	size_t used, at = 0;
	static const char two[] = ACK NOTIFY "\x00\x00";

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct span in = { two + at, sizeof(two) - 1 - at };

		assert_int_equal(spop_decode(in, MAX_FRAME, &f, &used), SPOP_OK);
		at += used;
	}
	assert_int_equal(f.type, SPOP_NOTIFY);
	assert_int_equal(at, sizeof(two) - 3);
}

/* A length is believed only between the smallest frame and the agreed largest. */
static void test_a_length_that_lies_is_told_by_four_bytes(void **state)
{
	static const struct {
		uint32_t len;
		enum spop_result want;
	} lies[] = {
		{ 0, SPOP_BAD }, { 1, SPOP_BAD }, { 6, SPOP_BAD },
		{ 7, SPOP_MORE }, { MAX_FRAME, SPOP_MORE },
		{ MAX_FRAME + 1, SPOP_TOO_BIG }, { INT32_MAX, SPOP_TOO_BIG },
		{ UINT32_MAX - 3, SPOP_TOO_BIG }, { UINT32_MAX, SPOP_TOO_BIG },
	};
	struct spop_frame f;
	size_t used;

	(void)state;
	for (size_t i = 0; i < COUNT(lies); i++) {
		uint8_t bytes[10];
		struct writer w = writer_over(bytes, sizeof(bytes));

		writer_be32(&w, lies[i].len);
		writer_bytes(&w, "\x03\x00\x00\x00\x01\x00", 6);
		for (size_t n = 4; n <= sizeof(bytes); n++)
			assert_int_equal(decode_exact(bytes, n, MAX_FRAME, &f,
				&used), lies[i].want);
		assert_int_equal(spop_peek((struct span){ (char *)bytes, 4 }),
		    (size_t)lies[i].len + 4);
		assert_int_equal(spop_peek((struct span){ (char *)bytes, 3 }), 0);
	}
}

/* LEN says the frame is whole, yet its own ids run past it. */
static void test_ids_beyond_the_frame_are_bad(void **state)
{
	static const struct { const uint8_t *ptr; size_t len; } bad[] = {
		BYTES("\x00\x00\x00\x07\x03\x00\x00\x00\x01\xf0\x80" "\x00\x00"),
		BYTES("\x00\x00\x00\x07\x03\x00\x00\x00\x01\x00\xf0" "\x00\x00"),
		BYTES("\x00\x00\x00\x12\x03\x00\x00\x00\x01\xff\xff\xff\xff\xff"
		    "\xff\xff\xff\xff\xff\xff\xff\xff"),
	};
	struct spop_frame f;
	size_t used;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(decode_exact(bad[i].ptr, bad[i].len, MAX_FRAME,
			&f, &used), SPOP_BAD);
}

/* ---- typed data ---- */

static const struct {
	struct spop_data value;
	struct { const uint8_t *ptr; size_t len; } bytes;
} typed[] = {
	{ { .type = SPOP_NULL }, BYTES("\x00") },
	{ { .type = SPOP_BOOL, .number = 0 }, BYTES("\x01") },
	{ { .type = SPOP_BOOL, .number = 1 }, BYTES("\x11") },
	{ { .type = SPOP_INT32, .number = 239 }, BYTES("\x02\xef") },
	{ { .type = SPOP_UINT32, .number = 240 }, BYTES("\x03\xf0\x00") },
	{ { .type = SPOP_INT64, .number = 2288 }, BYTES("\x04\xf0\x80\x00") },
	{ { .type = SPOP_INT64, .number = UINT64_MAX },	/* -1 */
	  BYTES("\x04\xff\xf0\xfe\xfe\xfe\xfe\xfe\xfe\xfe\x0e") },
	{ { .type = SPOP_UINT64, .number = 264431 }, BYTES("\x05\xff\xff\x7f") },
	{ { .type = SPOP_IPV4, .bytes = { "\x7f\x00\x00\x01", 4 } },
	  BYTES("\x06\x7f\x00\x00\x01") },
	{ { .type = SPOP_IPV6, .bytes = { "0123456789abcdef", 16 } },
	  BYTES("\x07" "0123456789abcdef") },
	{ { .type = SPOP_STRING, .bytes = { "", 0 } }, BYTES("\x08\x00") },
	{ { .type = SPOP_STRING, .bytes = { "abc", 3 } }, BYTES("\x08\x03" "abc") },
	{ { .type = SPOP_BINARY, .bytes = { "\x00\xff", 2 } },
	  BYTES("\x09\x02\x00\xff") },
};

static void assert_same_data(const struct spop_data *a,
    const struct spop_data *b)
{
	assert_int_equal(a->type, b->type);
	assert_int_equal(a->number, b->number);
	assert_true(span_is(a->bytes, b->bytes));
}

static void test_typed_data_is_these_bytes_both_ways(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(typed); i++) {
		uint8_t out[32];
		struct writer w = writer_over(out, sizeof(out));
		struct reader r = reader_over(typed[i].bytes.ptr,
		    typed[i].bytes.len);
		struct spop_data d = spop_read_data(&r);

		assert_false(r.bad);
		assert_int_equal(reader_left(&r), 0);
		assert_same_data(&d, &typed[i].value);
		spop_write_data(&w, &d);
		assert_int_equal(writer_len(&w), typed[i].bytes.len);
		assert_memory_equal(out, typed[i].bytes.ptr, writer_len(&w));
	}
}

static void test_every_truncation_of_typed_data_is_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(typed); i++)
		for (size_t cut = 0; cut < typed[i].bytes.len; cut++) {
			struct reader r = reader_over(typed[i].bytes.ptr, cut);

			spop_read_data(&r);
			assert_true(r.bad);
		}
}

/* The high nibble belongs to BOOL; others ignore it, as HAProxy does. */
static void test_an_unknown_type_is_bad_whatever_its_flags(void **state)
{
	(void)state;
	for (unsigned head = 0; head < 256; head++) {
		uint8_t bytes[32] = { (uint8_t)head };
		struct reader r = reader_over(bytes, sizeof(bytes));
		struct spop_data d = spop_read_data(&r);

		assert_int_equal(r.bad, (head & 0x0f) > SPOP_BINARY);
		if ((head & 0x0f) == SPOP_BOOL)
			assert_int_equal(d.number, head >> 4 & 1);
	}
}

/* ---- decode(encode(x)) = x ---- */

static void test_every_frame_reads_back_as_written(void **state)
{
	static const enum spop_frame_type types[] = { SPOP_UNSET,
		SPOP_HAPROXY_HELLO, SPOP_HAPROXY_DISCONNECT, SPOP_NOTIFY,
		SPOP_AGENT_HELLO, SPOP_AGENT_DISCONNECT, SPOP_ACK };
	struct rng rng = { 3 };

	(void)state;
	for (int turn = 0; turn < 20000; turn++) {
		enum spop_frame_type type = types[turn % (int)COUNT(types)];
		uint64_t sid = rng_next(&rng) >> rng_below(&rng, 64);
		uint64_t fid = rng_next(&rng) >> rng_below(&rng, 64);
		size_t n = rng_below(&rng, 300), used;
		uint8_t out[400], payload[300];
		struct writer w = writer_over(out, sizeof(out));
		struct spop_frame f;
		size_t begun;

		memset(payload, turn, sizeof(payload));
		writer_bytes(&w, "before", 6);
		begun = spop_begin(&w, type, sid, fid);
		writer_bytes(&w, payload, n);
		spop_end(&w, begun);
		assert_false(w.full);
		assert_int_equal(spop_decode((struct span){ (char *)out + 6,
			writer_len(&w) - 6 }, MAX_FRAME, &f, &used), SPOP_OK);
		assert_int_equal(used, writer_len(&w) - 6);
		assert_int_equal(f.type, type);
		assert_true(f.stream_id == sid && f.frame_id == fid);
		assert_int_equal(reader_left(&f.payload), n);
		assert_memory_equal(f.payload.at, payload, n);
	}
}

static struct spop_data random_data(struct rng *rng, const char *bytes)
{
	struct spop_data d = { .type = rng_below(rng, SPOP_BINARY + 1) };

	switch (d.type) {
	case SPOP_NULL:
		break;
	case SPOP_BOOL:
		d.number = rng_below(rng, 2);
		break;
	case SPOP_IPV4:
		d.bytes = (struct span){ bytes, 4 };
		break;
	case SPOP_IPV6:
		d.bytes = (struct span){ bytes, 16 };
		break;
	case SPOP_STRING:
	case SPOP_BINARY:
		d.bytes = (struct span){ bytes, rng_below(rng, 250) };
		break;
	default:
		d.number = rng_next(rng) >> rng_below(rng, 64);
	}
	return d;
}

static void test_every_message_reads_back_as_written(void **state)
{
	enum { ARGS_MAX = 255 };
	static uint8_t out[1 << 17];
	struct rng rng = { 4 };
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)rng_next(&rng);
	for (int turn = 0; turn < 500; turn++) {
		struct spop_data want[ARGS_MAX], got;
		struct writer w = writer_over(out, sizeof(out));
		unsigned n_args = turn < 2 ? (turn != 0 ? ARGS_MAX : 0) :
		    rng_below(&rng, 12), n;
		struct span name;
		struct reader r;

		spop_write_message(&w, span_of("pick"), n_args);
		for (unsigned i = 0; i < n_args; i++) {
			want[i] = random_data(&rng, text);
			spop_write_arg(&w, (struct span){ text, i }, &want[i]);
		}
		spop_write_message(&w, span_of(""), 0);
		assert_false(w.full);

		r = reader_over(out, writer_len(&w));
		assert_true(spop_next_message(&r, &name, &n));
		assert_true(span_is_text(name, "pick"));
		assert_int_equal(n, n_args);
		for (unsigned i = 0; i < n_args; i++) {
			assert_true(spop_read_arg(&r, &name, &got));
			assert_true(span_is(name, (struct span){ text, i }));
			assert_same_data(&got, &want[i]);
		}
		assert_true(spop_next_message(&r, &name, &n));
		assert_false(spop_next_message(&r, &name, &n));
		assert_false(r.bad);
	}
}

/* Walks a NOTIFY's payload to its end; false when it is malformed. */
static bool walk_messages(struct reader r)
{
	struct span name;
	struct spop_data value;
	unsigned n_args;

	while (spop_next_message(&r, &name, &n_args))
		while (n_args-- > 0 && spop_read_arg(&r, &name, &value))
			;
	return !r.bad;
}

static void test_every_truncation_of_a_payload_is_bad(void **state)
{
	static const char notify[] = NOTIFY;
	enum { HEAD = 12 };

	(void)state;
	assert_true(walk_messages(reader_over(notify + HEAD,
		sizeof(notify) - 1 - HEAD)));
	for (size_t cut = 1; cut < sizeof(notify) - 1 - HEAD; cut++)
		assert_false(walk_messages(reader_over(notify + HEAD, cut)));
}

/* ---- actions: what HAProxy would read ---- */

static void test_actions_are_these_bytes(void **state)
{
	static const char want[] = ACK;
	uint8_t out[64];
	struct writer w = writer_over(out, sizeof(out));
	struct spop_data value = spop_string(span_of("s1"));
	size_t begun = spop_begin(&w, SPOP_ACK, 241, 1);

	(void)state;
	spop_set_var(&w, SPOP_TXN, span_of("ep"), &value);
	spop_unset_var(&w, SPOP_RES, span_of(""));
	spop_end(&w, begun);
	assert_int_equal(writer_len(&w), sizeof(want) - 1);
	assert_memory_equal(out, want, writer_len(&w));
}

static void test_every_scope_and_type_of_set_var_reads_back(void **state)
{
	(void)state;
	for (unsigned scope = SPOP_PROC; scope <= SPOP_RES; scope++)
		for (size_t i = 0; i < COUNT(typed); i++) {
			uint8_t out[64];
			struct writer w = writer_over(out, sizeof(out));
			struct spop_data got;
			struct span name;
			struct reader r;

			spop_set_var(&w, scope, span_of("var"), &typed[i].value);
			spop_unset_var(&w, scope, span_of("other"));
			r = reader_over(out, writer_len(&w));
			assert_int_equal(reader_u8(&r), 1);
			assert_int_equal(reader_u8(&r), 3);
			assert_int_equal(reader_u8(&r), scope);
			assert_true(spop_read_arg(&r, &name, &got));
			assert_true(span_is_text(name, "var"));
			assert_same_data(&got, &typed[i].value);
			assert_int_equal(reader_u8(&r), 2);
			assert_int_equal(reader_u8(&r), 2);
			assert_int_equal(reader_u8(&r), scope);
			assert_true(span_is_text(reader_string(&r), "other"));
			assert_int_equal(reader_left(&r), 0);
		}
}

static void test_a_frame_that_does_not_fit_can_be_undone(void **state)
{
	struct spop_data value = spop_string(span_of("some text"));

	(void)state;
	for (size_t room = 0; room < 29; room++) {
		uint8_t out[29];
		struct writer w = writer_over(out, room);
		size_t begun = spop_begin(&w, SPOP_ACK, 1, 1);

		spop_set_var(&w, SPOP_TXN, span_of("ep"), &value);
		spop_end(&w, begun);
		assert_int_equal(w.full, room < 28);
		writer_rewind(&w, begun);
		assert_int_equal(writer_len(&w), 0);
		assert_false(w.full);
	}
}

/* ---- HELLO and DISCONNECT ---- */

#define V(text) "\x12" "supported-versions" text
#define F(text) "\x0e" "max-frame-size" text
#define C(text) "\x0c" "capabilities" text
#define V2 V("\x08\x03" "2.0")
#define F256 F("\x03\xf0\x01")
#define C0 C("\x08\x00")

static const struct {
	const char *name;
	struct { const uint8_t *ptr; size_t len; } payload;
	enum spop_status want;
} hellos[] = {
	{ "the least", BYTES(V2 F256 C0), SPOP_STATUS_NORMAL },
	{ "any order", BYTES(C0 F256 V2), SPOP_STATUS_NORMAL },
	{ "unknown keys are passed over",
	  BYTES("\x03" "new" "\x00" V2 F256 C0 "\x00\x11"), SPOP_STATUS_NORMAL },
	{ "a list", BYTES(V("\x08\x08" "1.0, 2.0") F256 C0), SPOP_STATUS_NORMAL },
	{ "a list, first", BYTES(V("\x08\x07" "2.0,3.0") F256 C0),
	  SPOP_STATUS_NORMAL },
	{ "blanks around", BYTES(V("\x08\x09" " 1.0,2.0 ") F256 C0),
	  SPOP_STATUS_NORMAL },
	{ "nothing", BYTES(""), SPOP_STATUS_NO_VERSION },
	{ "no version", BYTES(F256 C0), SPOP_STATUS_NO_VERSION },
	{ "a version that is no string", BYTES(V("\x03\x02") F256 C0),
	  SPOP_STATUS_NO_VERSION },
	{ "no frame size", BYTES(V2 C0), SPOP_STATUS_NO_FRAME_SIZE },
	{ "a frame size in words", BYTES(V2 F("\x08\x03" "256") C0),
	  SPOP_STATUS_NO_FRAME_SIZE },
	{ "no capabilities", BYTES(V2 F256), SPOP_STATUS_NO_CAPABILITIES },
	{ "capabilities that are null", BYTES(V2 F256 C("\x00")),
	  SPOP_STATUS_NO_CAPABILITIES },
	{ "1.0 only", BYTES(V("\x08\x03" "1.0") F256 C0),
	  SPOP_STATUS_BAD_VERSION },
	{ "no version in the list", BYTES(V("\x08\x00") F256 C0),
	  SPOP_STATUS_BAD_VERSION },
	{ "commas only", BYTES(V("\x08\x03" ",,,") F256 C0),
	  SPOP_STATUS_BAD_VERSION },
	{ "2.0 within", BYTES(V("\x08\x04" "12.0") F256 C0),
	  SPOP_STATUS_BAD_VERSION },
	{ "2.0 in front", BYTES(V("\x08\x05" "2.0.1") F256 C0),
	  SPOP_STATUS_BAD_VERSION },
	{ "2.0 torn apart", BYTES(V("\x08\x05" "2. 0 ") F256 C0),
	  SPOP_STATUS_BAD_VERSION },
	{ "255 bytes", BYTES(V2 F("\x03\xff\x00") C0),
	  SPOP_STATUS_BAD_FRAME_SIZE },
	{ "no bytes", BYTES(V2 F("\x03\x00") C0), SPOP_STATUS_BAD_FRAME_SIZE },
	{ "cut in a value", BYTES(V2 F256 "\x0c" "capabilities" "\x08\x05" "pip"),
	  SPOP_STATUS_INVALID },
	{ "cut in a key", BYTES(V2 F256 C0 "\x0c" "capa"), SPOP_STATUS_INVALID },
	{ "a type unknown", BYTES(V2 F256 C0 "\x01" "x" "\x0a"),
	  SPOP_STATUS_INVALID },
};

static void test_a_hello_is_accepted_or_refused_by_name(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(hellos); i++) {
		struct reader r = reader_over(hellos[i].payload.ptr,
		    hellos[i].payload.len);
		struct spop_hello h;
		enum spop_status got = spop_read_hello(&r, &h);

		if (got != hellos[i].want)
			print_error("hello: %s\n", hellos[i].name);
		assert_int_equal(got, hellos[i].want);
	}
}

static void test_what_haproxy_says_of_itself_is_heard(void **state)
{
	static const char check[] = V2 F("\x05\xff\xf0\xfe\xfe\xfe\xfe\xfe\xfe"
	    "\xfe\x0e") C0 "\x0b" "healthcheck" "\x11";
	static const char hello[] = HAPROXY_HELLO;
	struct reader r = reader_over(hello + 11, sizeof(hello) - 12);
	struct spop_hello h;

	(void)state;
	assert_int_equal(spop_read_hello(&r, &h), SPOP_STATUS_NORMAL);
	assert_true(span_is_text(h.versions, "2.0"));
	assert_true(span_is_text(h.capabilities, "pipelining"));
	assert_true(span_is_text(h.engine_id, "f1-2"));
	assert_int_equal(h.max_frame_size, 16380);
	assert_false(h.healthcheck);

	r = reader_over(check, sizeof(check) - 1);
	assert_int_equal(spop_read_hello(&r, &h), SPOP_STATUS_NORMAL);
	assert_true(h.healthcheck);
	assert_int_equal(h.max_frame_size, UINT32_MAX);
	assert_int_equal(h.engine_id.len, 0);
}

static void test_an_agent_hello_is_these_bytes(void **state)
{
	static const char want[] = AGENT_HELLO;
	uint8_t out[128];
	struct writer w = writer_over(out, sizeof(out));
	struct reader r;
	struct spop_hello h;

	(void)state;
	spop_write_agent_hello(&w, 16380, span_of("pipelining"));
	assert_int_equal(writer_len(&w), sizeof(want) - 1);
	assert_memory_equal(out, want, writer_len(&w));
	r = reader_over(out + 11, writer_len(&w) - 11);
	assert_int_equal(spop_read_hello(&r, &h), SPOP_STATUS_NORMAL);
	assert_int_equal(h.max_frame_size, 16380);
}

static void test_a_disconnect_reads_back_both_ways(void **state)
{
	static const char want[] = AGENT_DISCONNECT;

	(void)state;
	for (unsigned status = 0; status <= SPOP_STATUS_UNKNOWN; status++) {
		static const enum spop_frame_type types[] = {
			SPOP_HAPROXY_DISCONNECT, SPOP_AGENT_DISCONNECT };

		for (size_t i = 0; i < COUNT(types); i++) {
			uint8_t out[128];
			struct writer w = writer_over(out, sizeof(out));
			struct spop_frame f;
			struct span message;
			uint32_t got;
			size_t used;

			spop_write_disconnect(&w, types[i], status);
			assert_int_equal(spop_decode((struct span){ (char *)out,
				writer_len(&w) }, MAX_FRAME, &f, &used), SPOP_OK);
			assert_int_equal(f.type, types[i]);
			assert_true(spop_read_disconnect(&f.payload, &got,
				&message));
			assert_int_equal(got, status);
			assert_true(span_is_text(message,
				spop_status_text(status)));
			if (status == SPOP_STATUS_TOO_BIG && i == 1)
				assert_memory_equal(out, want, sizeof(want) - 1);
		}
	}
}

static const struct {
	struct { const uint8_t *ptr; size_t len; } payload;
	bool good;
	uint32_t status;
} disconnects[] = {
	{ BYTES(""), true, SPOP_STATUS_UNKNOWN },
	{ BYTES("\x0b" "status-code" "\x03\x04"), true, 4 },
	{ BYTES("\x0b" "status-code" "\x04\x04"), true, 4 },
	{ BYTES("\x0b" "status-code" "\x08\x01" "4"), true, SPOP_STATUS_UNKNOWN },
	{ BYTES("\x0b" "status-code" "\x00"), true, SPOP_STATUS_UNKNOWN },
	{ BYTES("\x0b" "status-code" "\x05\xf0\xf1\xfe\xfe\xfe\x0e"), true,
	  UINT32_MAX },
	{ BYTES("\x07" "message" "\x08\x02" "hi"), true, SPOP_STATUS_UNKNOWN },
	{ BYTES("\x07" "message" "\x08\x02" "h"), false, 0 },
	{ BYTES("\x07" "message"), false, 0 },
	{ BYTES("\x07" "mess"), false, 0 },
	{ BYTES("\x07" "message" "\x0f"), false, 0 },
};

static void test_a_disconnect_without_a_code_is_no_normal_one(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(disconnects); i++) {
		struct reader r = reader_over(disconnects[i].payload.ptr,
		    disconnects[i].payload.len);
		struct span message;
		uint32_t status;

		assert_int_equal(spop_read_disconnect(&r, &status, &message),
		    disconnects[i].good);
		if (disconnects[i].good)
			assert_int_equal(status, disconnects[i].status);
	}
}

/* Whatever comes, walks end, and every span lies within what came. */
static void test_no_bytes_lead_a_walk_out_of_the_frame(void **state)
{
	struct rng rng = { 5 };

	(void)state;
	for (int turn = 0; turn < 20000; turn++) {
		const struct vector *v = &vectors[rng_below(&rng,
		    COUNT(vectors))];
		uint8_t *bytes = malloc(v->bytes.len);
		struct spop_frame f;
		struct spop_hello h;
		struct span message;
		struct reader r;
		uint32_t status;
		size_t used;

		memcpy(bytes, v->bytes.ptr, v->bytes.len);
		for (int i = rng_below(&rng, 4); i >= 0; i--)
			bytes[4 + rng_below(&rng, (uint32_t)v->bytes.len - 4)] =
			    (uint8_t)rng_next(&rng);
		if (spop_decode((struct span){ (char *)bytes, v->bytes.len },
			MAX_FRAME, &f, &used) == SPOP_OK) {
			walk_messages(f.payload);
			r = f.payload;
			spop_read_hello(&r, &h);
			r = f.payload;
			spop_read_disconnect(&r, &status, &message);
			assert_true(message.len <= v->bytes.len);
		}
		free(bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames_decode_from_their_bytes),
		cmocka_unit_test(test_every_truncation_of_a_frame_is_more),
		cmocka_unit_test(test_what_follows_a_frame_is_left_alone),
		cmocka_unit_test(test_a_length_that_lies_is_told_by_four_bytes),
		cmocka_unit_test(test_ids_beyond_the_frame_are_bad),
		cmocka_unit_test(test_typed_data_is_these_bytes_both_ways),
		cmocka_unit_test(test_every_truncation_of_typed_data_is_bad),
		cmocka_unit_test(
		    test_an_unknown_type_is_bad_whatever_its_flags),
		cmocka_unit_test(test_every_frame_reads_back_as_written),
		cmocka_unit_test(test_every_message_reads_back_as_written),
		cmocka_unit_test(test_every_truncation_of_a_payload_is_bad),
		cmocka_unit_test(test_actions_are_these_bytes),
		cmocka_unit_test(
		    test_every_scope_and_type_of_set_var_reads_back),
		cmocka_unit_test(
		    test_a_frame_that_does_not_fit_can_be_undone),
		cmocka_unit_test(test_a_hello_is_accepted_or_refused_by_name),
		cmocka_unit_test(test_what_haproxy_says_of_itself_is_heard),
		cmocka_unit_test(test_an_agent_hello_is_these_bytes),
		cmocka_unit_test(test_a_disconnect_reads_back_both_ways),
		cmocka_unit_test(
		    test_a_disconnect_without_a_code_is_no_normal_one),
		cmocka_unit_test(test_no_bytes_lead_a_walk_out_of_the_frame),
	};

	return cmocka_run_group_tests_name("spop", tests, NULL, NULL);
}
