/*
 * hdrs.c - two strings at a time
 */
#include "hdrs.h"

bool hdrs_next(struct reader *r, struct span *name, struct span *value)
{
	*name = reader_string(r);
	*value = reader_string(r);
	return !r->bad && name->len + value->len > 0;
}
