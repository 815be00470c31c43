/*
 * decider_multimodal.c - encode where there is something to encode
 *
 * Yes, if the prompt has an image, a video or audio in it, as far as we saw its body.
 * Source: llm-d-router, decider "always-disagg-multimodal-decider"; which parts of a
 * message those are: its tokenizer and request_body.c.
 */
#include "plugins/plugins.h"

#include "request.h"

static bool multimodal_wants(const struct stages *s, const void *params)
{
	(void)params;
	return s->request->has_media;
}

const struct decider decider_always_multimodal = {
	.name = "always-disagg-multimodal-decider",
	.differs = "what lies behind the part of a body that HAProxy shows is not "
	    "seen",
	.wants = multimodal_wants,
};
