/*
 * json_tree.h - JSON documents into the trees that yaml.c makes of YAML
 *
 * RFC 8259 by json.c's scanner; line numbers and limits as in yaml.h. Strings are
 * "quoted", true, false and numbers are not. A string with U+0000 in it is
 * refused. More than one text in a row, as jq and watches write them, is one
 * document each. No state between calls: any thread.
 */
#pragma once

#include "conf_build.h"
#include "span.h"

struct fault;
struct yaml_limits;

/* As yaml_each(), which has the word on what is handed over, and when. */
int json_each(const char *file, struct span text,
    const struct yaml_limits *limits, conf_document_f *on_document,
    void *data, struct fault *why);
