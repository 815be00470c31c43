/*
 * words.h - how a foreign word is written where HAProxy reads it
 *
 * The only place that quotes, escapes or makes an identifier. What comes from a
 * manifest goes through here or is refused here: no text can end the argument,
 * line or CLI command that it stands in. Syntax: configuration.txt section 2.2
 * ("Quoting and escaping"), 8.2.4 (log-format), management.txt section 9.3.
 * Pure; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

/* ---- may it be written at all? ------------------------------------------ */

/* No control character, not empty: may stand in a quoted argument. */
bool words_is_text(const char *text);

/* Letters, digits and _.~+*!^- : may stand bare, and within fetch(...) too. */
bool words_is_name(const char *text);

/* A DNS name, perhaps with "*." in front, lower case (RFC 1123). */
bool words_is_host(const char *text);

/* Printable ASCII without blank and '<', and no '#' in front: a map's key. */
bool words_is_key(const char *text);

/* scheme://host[:port], with "*" where CORS allows it; or "*" alone. */
bool words_is_origin(const char *text);

/* A regular expression that PCRE2 compiles, HAProxy's engine on Debian. */
bool words_is_regex(const char *text);

/* ---- written so that it stands for itself ------------------------------- */

/* One argument of a line. */
void words_quote(struct buf *out, const char *text);

/* One argument that HAProxy reads as a log-format. */
void words_format(struct buf *out, const char *text);

/*
 * Pieces of such an argument, between words_open() and words_close(): literal
 * text, or an expression of ours such as %[pathq].
 */
void words_open(struct buf *out);
void words_close(struct buf *out);
void words_piece(struct buf *out, const char *text);
void words_expression(struct buf *out, const char *ours);

/* A regular expression that a whole value must match; one argument. */
void words_regex(struct buf *out, const char *regex);

/* Text as the part of a regular expression, within words_open/close. */
void words_regex_piece(struct buf *out, const char *text);

/* Text in the replacement of replace-path, within words_open/close. */
void words_replacement_piece(struct buf *out, const char *text);

/* Behind '#', to the end of the line: what would end it becomes '?'. */
void words_comment(struct buf *out, const char *text);

/* An argument of a CLI command. */
void words_cli(struct buf *out, const char *text);

/* A JSON string with its quotes; also YAML's. */
void words_json(struct buf *out, const char *text);

/* As HAProxy's converter "hex" has it: upper case. */
void words_hex(struct buf *out, const char *bytes, size_t len);

/* ---- identifiers -------------------------------------------------------- */

enum { WORDS_ID_BYTES = 12 };	/* a letter, ten of a-z2-7, NUL */

/* 50 bits of `hash` behind `letter`. */
void words_id(char out[WORDS_ID_BYTES], char letter, uint64_t hash);
