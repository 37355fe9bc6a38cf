/* sha256.c - SHA-256 as FIPS 180-4 section 6.2 states it. */
#include "sha256.h"

#include <string.h>

/* FIPS 180-4, 4.2.2: the first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
static const uint32_t round_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t rotate(uint32_t x, unsigned n) { return x >> n | x << (32 - n); }

static uint32_t load_be32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The message schedule of a block, 6.2.2 step 1, each word with its round's constant added. */
static void expand(const uint8_t block[64], uint32_t words[64]) {
    uint32_t w[64];
    for (size_t i = 0; i < 16; i++) w[i] = load_be32(block + 4 * i);
    for (size_t i = 16; i < 64; i++) {
        uint32_t s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
        uint32_t s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    for (size_t i = 0; i < 64; i++) words[i] = w[i] + round_constants[i];
}

/* One round. Only d and h change; the next round knows all by the name of its neighbour. */
static inline void turn(uint32_t a, uint32_t b, uint32_t c, uint32_t *d, uint32_t e, uint32_t f, uint32_t g, uint32_t *h,
                        uint32_t word) {
    uint32_t s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25), s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
    *h += s1 + (g ^ (e & (f ^ g))) + word;
    *d += *h;
    *h += s0 + ((a & b) | (c & (a | b)));
}

static void compress(uint32_t state[8], const uint32_t words[64]) {
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
    for (const uint32_t *w = words; w < words + 64; w += 8) {
        turn(a, b, c, &d, e, f, g, &h, w[0]);
        turn(h, a, b, &c, d, e, f, &g, w[1]);
        turn(g, h, a, &b, c, d, e, &f, w[2]);
        turn(f, g, h, &a, b, c, d, &e, w[3]);
        turn(e, f, g, &h, a, b, c, &d, w[4]);
        turn(d, e, f, &g, h, a, b, &c, w[5]);
        turn(c, d, e, &f, g, h, a, &b, w[6]);
        turn(b, c, d, &e, f, g, h, &a, w[7]);
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d;
    state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

/* Pads the last bytes with a one bit, zeros and the length in bits (5.1.1), and writes the digest. */
static void finish(uint32_t state[8], const uint8_t *last, uint64_t length, uint8_t digest[32]) {
    const size_t rest = (size_t)(length % 64), tail_length = rest < 56 ? 64 : 128;
    uint32_t words[64];
    uint8_t tail[128] = {0};
    if (rest) memcpy(tail, last, rest);
    tail[rest] = 0x80;
    for (size_t i = 0; i < 8; i++) tail[tail_length - 1 - i] = (uint8_t)(length * 8 >> 8 * i);
    for (size_t i = 0; i < tail_length; i += 64) {
        expand(tail + i, words);
        compress(state, words);
    }
    for (size_t i = 0; i < 32; i++) digest[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
}

/* 5.3.3: the first 32 bits of the fractional parts of the square roots of the first 8 primes. */
#define START {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}

void cxr_sha256(const void *bytes, size_t length, uint8_t digest[32]) {
    uint32_t state[8] = START, words[64];
    const uint8_t *data = bytes;
    for (size_t left = length; left >= 64; left -= 64, data += 64) {
        expand(data, words);
        compress(state, words);
    }
    finish(state, data, length, digest);
}

void cxr_sha256_with_tail(const void *bytes, size_t length, uint8_t digest[32], uint8_t tail_digest[32]) {
    uint32_t state[8] = START, tail_state[8] = START, words[64];
    const uint8_t *data = bytes;
    for (size_t left = length; left >= 64; left -= 64, data += 64) {
        expand(data, words);
        compress(state, words);
        if (left != length) compress(tail_state, words);
    }
    finish(state, data, length, digest);
    finish(tail_state, data, length - 64, tail_digest);
}
