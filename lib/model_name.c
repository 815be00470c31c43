/*
 * model_name.c - a model's name
 */
#include "model_name.h"

bool model_is_name(struct span name)
{
	if (name.len == 0 || name.len > MODEL_NAME_MAX)
		return false;
	for (size_t i = 0; i < name.len; i++)
		if ((unsigned char)name.ptr[i] < ' ' || name.ptr[i] == 0x7f)
			return false;
	return true;
}
