/*
 * pem.c - reads them as HAProxy will, and throws them away
 */
#include "pem.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

/* A key with a passphrase cannot be used: nobody is there to type it. */
static int no_passphrase(char *buf, int size, int rwflag, void *data)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	(void)data;
	return -1;
}

static BIO *bio_over(struct span text)
{
	return text.len <= INT_MAX ? BIO_new_mem_buf(text.ptr, (int)text.len) :
	    NULL;
}

/* The first certificate; what follows must be certificates too, to the end. */
static X509 *read_certs(struct span text)
{
	BIO *bio = bio_over(text);
	X509 *first = NULL, *next;

	if (bio == NULL)
		return NULL;
	ERR_clear_error();
	first = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
	while (first != NULL && (next = PEM_read_bio_X509(bio, NULL,
		no_passphrase, NULL)) != NULL)
		X509_free(next);
	if (first != NULL && ERR_GET_REASON(ERR_peek_last_error()) !=
	    PEM_R_NO_START_LINE) {
		X509_free(first);
		first = NULL;
	}
	ERR_clear_error();
	BIO_free(bio);
	return first;
}

static EVP_PKEY *read_key(struct span text)
{
	BIO *bio = bio_over(text);
	EVP_PKEY *key = NULL;

	if (bio != NULL)
		key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	ERR_clear_error();
	BIO_free(bio);
	return key;
}

const char *pem_check_pair(struct span crt, struct span key)
{
	X509 *cert = read_certs(crt);
	EVP_PKEY *private = read_key(key);
	const char *why = NULL;

	if (cert == NULL)
		why = "tls.crt is not certificates in PEM";
	else if (private == NULL)
		why = "tls.key is not a private key in PEM, without passphrase";
	else if (X509_check_private_key(cert, private) != 1)
		why = "tls.key is not the key of tls.crt";
	ERR_clear_error();
	EVP_PKEY_free(private);
	X509_free(cert);
	return why;
}

const char *pem_check_cas(struct span cas)
{
	X509 *cert = read_certs(cas);

	if (cert == NULL)
		return "ca.crt is not certificates in PEM";
	X509_free(cert);
	return NULL;
}
