/* sha256.h - SHA-256 (FIPS 180-4): the checksum of model files and of inputs. */
#ifndef CXR_SHA256_H
#define CXR_SHA256_H

#include <stddef.h>
#include <stdint.h>

/* Digests `length` bytes. */
void cxr_sha256(const void *bytes, size_t length, uint8_t digest[32]);

/* That digest and the one of all but the first 64 bytes, in hardly more time. `length` is at least 64. */
void cxr_sha256_with_tail(const void *bytes, size_t length, uint8_t digest[32], uint8_t tail_digest[32]);

#endif
