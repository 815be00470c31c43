/*
 * admission.h - may this request be picked for now?
 *
 * Without flow control, as llm-d's LegacyAdmission: a sheddable request (negative
 * priority) is refused while the pool is full, all others are picked. With flow
 * control, whoever finds the pool full, or others waiting, waits; so does everybody
 * while the pool has no endpoints, unless that wait is configured away.
 * Source: llm-d-router pkg/epp/requestcontrol/admission.go. Pure; any thread.
 */
#pragma once

#include <stdint.h>

struct endpoint_view;
struct pick;
struct request;

enum admission {
	ADMIT_PICK,	/* at once */
	ADMIT_WAIT,	/* by flow.h */
	ADMIT_REFUSE,	/* admission_refuse() */
};

enum admission admission_of(const struct endpoint_view *view,
    const struct request *request);

/* Of the objective that the request names; 0 for unknown names and none. */
int32_t admission_priority(const struct endpoint_view *view,
    const struct request *request);

/* 429 rejected-saturated, of an empty pool 503; and when to come again. */
void admission_refuse(const struct endpoint_view *view, struct pick *out);
