/* The kernel without Python: one small network with drawn weights writes a few texts. Printed are their symbols and
   log-probabilities, for test_kernel_arm.py to compare between processors. */

#include <stdio.h>
#include <stdlib.h>

#include "kernel.c"

static uint64_t state = 1;

static float drawn(void) { /* in [-1, 1) */
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (float)((double)(state >> 11) * 0x1p-52 - 1);
}

static void *room(int64_t bytes) { /* with an end that is a whole number of cache lines */
    void *found = aligned_alloc(64, (size_t)((bytes + 63) / 64 * 64));
    if (!found) exit(1);
    return memset(found, 0, (size_t)((bytes + 63) / 64 * 64));
}

static float *filled(int64_t n, float size) {
    float *out = room(4 * n);
    for (int64_t i = 0; i < n; i++) out[i] = size * drawn();
    return out;
}

int main(void) {
    enum { VOCAB = 20, CONTEXT = 48, LAYERS = 3, WIDTH = 96, HEAD = 32, SLOTS = 5, MOST = 40 };
    model m = {.vocab = VOCAB, .context = CONTEXT, .layers = LAYERS, .width = WIDTH, .head = HEAD,
               .slots = SLOTS, .kinds = 1, .chunk = 3, .steps = 1};
    int64_t size[7];
    if (sizes(&m, size)) return 1;
    const float *tensors[4 * LAYERS + 1];
    int64_t words[4] = {3 * WIDTH * WIDTH, WIDTH * WIDTH, 4 * WIDTH * WIDTH, 4 * WIDTH * WIDTH};
    for (int i = 0; i < 4 * LAYERS; i++) tensors[i] = filled(words[i % 4], 0.2f);
    tensors[4 * LAYERS] = filled(VOCAB * WIDTH, 0.2f);
    word *weights = room(size[0] * (int64_t)sizeof(word));
    float *units = room(4 * (2 * LAYERS + 1)), *angle = filled(CONTEXT * HEAD / 2, 3), *cosine = room(4 * CONTEXT * HEAD / 2),
          *sine = room(4 * CONTEXT * HEAD / 2);
    for (int i = 0; i < CONTEXT * HEAD / 2; i++) cosine[i] = cosf(angle[i]), sine[i] = sinf(angle[i]);
    if (pack(&m, tensors, weights, units)) return 1;
    m.weights = weights, m.units = units, m.cosine = cosine, m.sine = sine;
    m.embed = filled(VOCAB * WIDTH, 1.7f), m.gain = filled(LAYERS * WIDTH / HEAD, 0.5f);
    m.cache = room(SLOTS * size[1] * (int64_t)sizeof(word));
    m.symbols = room(SLOTS * (CONTEXT + 1) * 4), m.ends = room(SLOTS * size[3] * 4), m.stops = room(VOCAB);
    m.trail = room(SLOTS * 16), m.trail_ends = room(SLOTS * size[3] * 4);
    job jobs[SLOTS] = {0};
    for (int i = 0; i < SLOTS; i++)
        jobs[i] = (job){.seed = 7, .item = (uint64_t)i, .temperature = 0.8, .slot = i, .length = 1, .most = MOST, .kept = -1};
    desk *d = room(size[2]);
    if (complete(&m, jobs, SLOTS, d)) return 1;
    for (int i = 0; i < SLOTS; i++) {
        printf("%.9f %.9f", jobs[i].logp, jobs[i].entropy);
        for (int t = 0; t < jobs[i].length; t++) printf(" %d", m.symbols[i * (CONTEXT + 1) + t]);
        printf("\n");
    }
    return 0;
}
