/*
 * pem.h - are these certificates and keys? The only file that knows OpenSSL
 *
 * What HAProxy would refuse has to be found before: one bad Secret must not cost
 * all others their configuration. Nothing is verified but form: no dates, no
 * chains. NULL when all is well, else words about what is wrong. Any thread.
 */
#pragma once

#include "span.h"

/* A certificate, its chain behind it, and the key of the first. RFC 7468. */
const char *pem_check_pair(struct span crt, struct span key);

/* One certificate or more. */
const char *pem_check_cas(struct span cas);
