/*
 * json_string.h - where a stretch of a JSON string's text ends, fast
 *
 * Pure; any thread.
 */
#pragma once

/*
 * The first quote, backslash or control character at or after `at`, or `end`. Escapes of
 * one letter may be passed over, where a block is seen as a whole: text has many, and each
 * would be a new start.
 */
const char *json_string_stop(const char *at, const char *end);
