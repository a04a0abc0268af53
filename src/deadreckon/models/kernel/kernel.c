/* Decoding of the small GPT of models/gpt.py: C11 with vector extensions, one source for every CPU.

   A *row* is one symbol of one sequence at one position. A pass takes up to ROWS rows through all blocks; what a row
   computes depends on its own symbol, its position and its slot's cache at earlier positions, and on nothing else:
   every sum runs in one order, whatever the number of rows, so a sequence's bits are the same in any company.
   Sequences go depth first: a few of them (a chunk) run to their end before the next begin, so that their keys and
   values stay in the processor's caches.

   An *operand* of a product is held in 32-bit words: one float, or (with -DBF16) two neighbouring 16-bit numbers, of
   which one instruction multiplies and adds 16 pairs. These are bf16, added in float32, where nothing is known of their
   size; where both operands have a norm that is known they are integers, added in 32 bits: 16-bit fixed point has 8
   more bits than bf16. By Cauchy and Schwarz no sum of such products exceeds the product of the norms, FIXED squared,
   in any order, so none overflows. Residual stream, norms and softmax are float32;
   laws, draws and log-probabilities float64. Nothing is allocated here: the caller brings all memory, and sizes()
   says how much. Every entry returns 0, or a code of FAULTS; nothing is written before all input is checked. */

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#define LANES 16
#define TILE 12 /* rows of a product held in registers, 2 vectors wide */
#elif defined(__AVX__)
#define LANES 8
#define TILE 6
#else
#define LANES 4
#define TILE 4
#endif
#define PANEL (2 * LANES) /* columns of a product worked on at once */
#define ROWS 48
#define HEADS 4 /* of attention, worked on at once */
#define SPAN 32 /* positions of a cache come in multiples of this */
#define MAX_WIDTH 1024
#define MAX_CONTEXT 8192
#define MAX_VOCAB 65536
#define MAX_LAYERS 1024
#define EPS 1e-6f
#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

#ifdef BF16
#include <immintrin.h>
#define PAIR 2 /* numbers in a word */
typedef uint32_t word;
#define FIXED 32000.0f /* the norm of a row of integers, before they are rounded; below 2^15 */
#else
#define PAIR 1
typedef float word;
#define FIXED 1.0f
#endif

typedef float vec __attribute__((vector_size(4 * LANES)));
typedef float loose __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef uint32_t bits __attribute__((vector_size(4 * LANES)));
typedef uint32_t loose_bits __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef double wide __attribute__((vector_size(4 * LANES)));
typedef double loose_wide __attribute__((vector_size(4 * LANES), aligned(8), may_alias));
typedef uint64_t wide_bits __attribute__((vector_size(4 * LANES)));

enum { A_STRIDE = 4 * MAX_WIDTH / PAIR + 16, X_STRIDE = MAX_WIDTH + 16, QKV_STRIDE = 3 * MAX_WIDTH + 16 };
enum { OK, BAD_SIZES, BAD_SLOT, BAD_LENGTH, BAD_SYMBOL, BAD_OPTION, NOT_FINITE }; /* FAULTS of library.py */
enum { LIMIT, STOPPED, UNSURE };                                                  /* why a job ended */
enum { GOES_ON, ENDS, LOOK, ENDS_WHOLE }; /* what a symbol does to a text: ENDS_WHOLE, and holds nothing after its stop */

typedef struct {
    int32_t vocab, context, layers, width, head, slots, kinds, chunk, steps, unused;
    const word *weights;  /* pack() */
    const float *units;   /* (2 layers + 1,), pack(): what 1 is worth in the products of qkv and up, and of the head */
    const float *embed;   /* (vocab, width), normed */
    const float *gain;    /* (layers, heads), 1 / sqrt(head) included */
    const float *cosine;  /* (context, head / 2) */
    const float *sine;    /* (context, head / 2) */
    word *cache;          /* (slots, cache words) */
    int32_t *symbols;     /* (slots, context + 1): what each slot was given */
    float *ends;          /* (slots, padded vocab): logits after each slot's prompt */
    const uint8_t *stops; /* (kinds, vocab): does this symbol end a text? See ENDS */
    double *trail;        /* (slots, steps, 2): log-probability and entropy of each step written ahead */
    float *trail_ends;    /* (slots, steps, padded vocab): the logits it was drawn from */
} model;

typedef struct {
    uint64_t seed, item, step, rollout; /* the draw's place, as in seeds.py */
    double temperature;
    double logp, entropy; /* sums over the symbols sampled, nats */
    uint32_t ask, sample;
    int32_t slot, read, length; /* symbols in the cache; symbols given */
    int32_t token, most;        /* symbols sampled, of at most */
    int32_t kind, why;
    int32_t ahead, kept; /* steps of one symbol to write after this one; steps written into the trail, -1 = no trail */
    int32_t unused;
} job;

typedef struct {
    int32_t slot, first, count, unused; /* texts first ... first + count - 1 go on from the slot's prompt */
    int32_t length, begun;
    double temperature;
} question;

typedef struct {
    int32_t slot, position, symbol;
} row;

/* --- Sizes ------------------------------------------------------------------------------------------------------ */

INLINE int64_t up_to(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }
INLINE int64_t padded_vocab(const model *m) { return up_to(m->vocab, 32); }
INLINE int64_t span(const model *m) { return up_to(m->context, SPAN); }
INLINE int64_t layer_words(const model *m) { return 12 * (int64_t)m->width * m->width / PAIR; }
INLINE int64_t half_cache(const model *m) { return span(m) * m->width / PAIR; } /* keys, or values, of a layer */
INLINE int64_t slot_words(const model *m) { return 2 * m->layers * half_cache(m); }

static int bad_sizes(const model *m) {
    return m->vocab < 2 || m->vocab > MAX_VOCAB || m->context < 1 || m->context > MAX_CONTEXT || m->layers < 1 ||
           m->layers > MAX_LAYERS || m->width < 32 || m->width > MAX_WIDTH || m->width % 32 || m->head < 16 ||
           m->head % 16 || m->width % m->head || m->slots < 0 || m->kinds < 0 || m->steps < 0 || m->chunk < 1 || m->chunk > ROWS;
}

typedef struct { /* what one call works in */
    float x[ROWS][X_STRIDE];
    float qkv[ROWS][QKV_STRIDE];
    word a[ROWS][A_STRIDE]; /* operands of the next product */
    word hidden[ROWS][A_STRIDE];
    float score[HEADS][MAX_CONTEXT + SPAN];
    word weight[HEADS][MAX_CONTEXT + SPAN];
    row rows[ROWS];
    int32_t wanted[ROWS]; /* rows whose logits are asked for, in order */
    int32_t active[ROWS]; /* jobs under way */
    int32_t taken[ROWS];  /* rows of each of them in this pass */
    float logits[];       /* (ROWS, padded vocab), then 2 * padded vocab float64 */
} desk;

/* Words of weights, words of one slot's cache, bytes of a desk, padded vocab; then bytes of the three structures. */
int sizes(const model *m, int64_t out[7]) {
    out[4] = sizeof(model), out[5] = sizeof(job), out[6] = sizeof(question);
    if (bad_sizes(m)) return BAD_SIZES;
    out[0] = m->layers * layer_words(m) + padded_vocab(m) * m->width / PAIR;
    out[1] = slot_words(m);
    out[2] = (int64_t)sizeof(desk) + padded_vocab(m) * (4 * ROWS + 16) + 64;
    out[3] = padded_vocab(m);
    return OK;
}

/* --- Vectors ---------------------------------------------------------------------------------------------------- */

INLINE vec load(const void *p) { return *(const loose *)p; }
INLINE void store(float *p, vec x) { *(loose *)p = x; }
INLINE vec all(float x) { return (vec){0} + x; }
INLINE vec choose(bits mask, vec a, vec b) { return (vec)(((bits)a & mask) | ((bits)b & ~mask)); }
INLINE vec larger(vec a, vec b) { return choose((bits)(a > b), a, b); }

#if defined(__clang__)
#define SHUFFLED(x, ...) __builtin_shufflevector(x, x, __VA_ARGS__)
#else
#define SHUFFLED(x, ...) __builtin_shuffle(x, (bits){__VA_ARGS__})
#endif

/* The lanes joined two by two, halves onto each other. */
#if LANES == 16
#define FOLD(x, join)                                                             \
    x = join(x, SHUFFLED(x, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7)); \
    x = join(x, SHUFFLED(x, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11)); \
    x = join(x, SHUFFLED(x, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13)); \
    x = join(x, SHUFFLED(x, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14))
#elif LANES == 8
#define FOLD(x, join)                                  \
    x = join(x, SHUFFLED(x, 4, 5, 6, 7, 0, 1, 2, 3)); \
    x = join(x, SHUFFLED(x, 2, 3, 0, 1, 6, 7, 4, 5)); \
    x = join(x, SHUFFLED(x, 1, 0, 3, 2, 5, 4, 7, 6))
#else
#define FOLD(x, join)                      \
    x = join(x, SHUFFLED(x, 2, 3, 0, 1)); \
    x = join(x, SHUFFLED(x, 1, 0, 3, 2))
#endif

INLINE vec plus(vec a, vec b) { return a + b; }

INLINE float sum(vec x) {
    FOLD(x, plus);
    return x[0];
}

INLINE float largest(vec x) {
    FOLD(x, larger);
    return x[0];
}

#ifdef BF16
INLINE uint32_t rounded(uint32_t u) { return (u + 0x7fff + (u >> 16 & 1)) >> 16; } /* to nearest, ties to even */

INLINE vec dot(vec sum, word a, vec b) { /* sum + a[0] b[even] + a[1] b[odd] */
    return (vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)_mm512_set1_epi32((int)a), (__m512bh)b);
}

INLINE void store_words(word *out, vec x, vec y) { /* 32 numbers as 16 words */
    *(loose *)out = (vec)_mm512_cvtne2ps_pbh((__m512)y, (__m512)x);
}

typedef bits total;

INLINE total fixed_dot(total sum, word a, vec b) { /* the same in integers */
    __asm__("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"((bits){0} + a), "v"(b)); /* gcc 12 spills around the intrinsic */
    return sum;
}

INLINE vec worth(total sum, float unit) { return (vec)_mm512_cvtepi32_ps((__m512i)sum) * unit; }

INLINE void store_fixed(word *out, vec x, vec y) { /* 32 numbers, rounded to integers, as 16 words */
    _mm256_storeu_si256((__m256i *)out, _mm512_cvtsepi32_epi16(_mm512_cvtps_epi32((__m512)x)));
    _mm256_storeu_si256((__m256i *)(out + 8), _mm512_cvtsepi32_epi16(_mm512_cvtps_epi32((__m512)y)));
}
#else
INLINE vec dot(vec sum, word a, vec b) { return sum + a * b; }
typedef vec total;
INLINE total fixed_dot(total sum, word a, vec b) { return dot(sum, a, b); }
INLINE vec worth(total sum, float unit) { return (void)unit, sum; }

INLINE void store_words(word *out, vec x, vec y) {
    store(out, x);
    store(out + LANES, y);
}

INLINE void store_fixed(word *out, vec x, vec y) { store_words(out, x, y); }
#endif

INLINE void as_words(word *out, const float *x, int n) { /* n numbers, a multiple of PANEL */
    for (int i = 0; i < n; i += PANEL) store_words(out + i / PAIR, load(x + i), load(x + i + LANES));
}

INLINE void as_fixed(word *out, const float *x, int n, float scale) { /* the same times scale, as integers */
    for (int i = 0; i < n; i += PANEL) store_fixed(out + i / PAIR, load(x + i) * scale, load(x + i + LANES) * scale);
}

INLINE float fixed(int n) { return PAIR > 1 ? FIXED / sqrtf((float)n) : 1; } /* brings n numbers of rms 1 to norm FIXED */

INLINE vec exponential(vec x) { /* e^x for x < 88, to 2 units in the last place; 0 below -87 */
    bits tiny = (bits)(x < -87.0f);
    x = (vec)((bits)x & ~tiny);
    vec shifted = x * 1.44269504f + 12582912.0f; /* 1.5 * 2^23: rounds to an integer */
    vec n = shifted - 12582912.0f;
    vec r = x - n * 0.693359375f + n * 2.12194440e-4f;
    vec p = all(1.98756915e-4f); /* Cephes expf */
    p = p * r + 1.39819995e-3f;
    p = p * r + 8.33345164e-3f;
    p = p * r + 4.16657962e-2f;
    p = p * r + 1.66666655e-1f;
    p = p * r + 5.00000012e-1f;
    p = p * r * r + r + 1.0f;
    return (vec)(((bits)p + (((bits)shifted - 0x4b400000u) << 23)) & ~tiny);
}

INLINE wide wide_exponential(wide x) { /* e^x for x <= 0 in float64; 0 below -700 */
    wide_bits tiny = (wide_bits)(x < -700.0);
    x = (wide)((wide_bits)x & ~tiny);
    wide shifted = x * 1.4426950408889634 + 6755399441055744.0; /* 1.5 * 2^52 */
    wide n = shifted - 6755399441055744.0;
    wide r = x - n * 6.93147180369123816490e-01 - n * 1.90821492927058770002e-10, p = r * 0 + 1.0 / 6227020800;
    static const double factorial[] = {479001600, 39916800, 3628800, 362880, 40320, 5040, 720, 120, 24, 6, 2, 1, 1};
    UNROLL for (int i = 0; i < 13; i++) p = p * r + 1.0 / factorial[i];
    return (wide)(((wide_bits)p + (((wide_bits)shifted - 0x4338000000000000u) << 52)) & ~tiny);
}

static double logarithm(double x) { /* of a positive normal number, by 2 atanh((m - 1) / (m + 1)) */
    uint64_t u;
    memcpy(&u, &x, 8);
    int64_t e = (int64_t)(u >> 52) - 1023;
    u = (u & 0xfffffffffffffu) | 0x3ff0000000000000u;
    double m, series = 0;
    memcpy(&m, &u, 8);
    if (m > 1.4142135623730951) m *= 0.5, e++;
    double s = (m - 1) / (m + 1), q = s * s;
    for (int i = 27; i > 0; i -= 2) series = series * q + 1.0 / i;
    return 2 * s * series + (double)e * 0.6931471805599453;
}

/* --- Products --------------------------------------------------------------------------------------------------- */

#ifdef BF16
static word paired(const float *w, float scale) { /* two numbers: as integers with a scale, else in bf16 */
    uint32_t pair[2];
    if (scale > 0) return ((uint32_t)lrintf(w[0] * scale) & 0xffff) | (uint32_t)lrintf(w[1] * scale) << 16;
    memcpy(pair, w, 8);
    return rounded(pair[0]) | rounded(pair[1]) << 16;
}
#else
static word paired(const float *w, float scale) { return (void)scale, *w; }
#endif

/* Weights (n, k) as panels of PANEL columns: for each word of k, the words of the columns, 0 beyond n. With a unit they
   are integers, to be multiplied with rows of rms 1. */
static word *pack_matrix(word *out, const float *w, int64_t n, int64_t k, float *unit) {
    double most = 1e-60;
    for (int64_t c = 0; unit && c < n; c++) {
        double norm = 0;
        for (int64_t i = 0; i < k; i++) norm += (double)w[c * k + i] * w[c * k + i];
        if (norm > most) most = norm;
    }
    float longest = (float)sqrt(most);
    if (unit) *unit = longest / (FIXED * fixed((int)k));
    for (int64_t first = 0; first < n; first += PANEL)
        for (int64_t i = 0; i < k; i += PAIR)
            for (int64_t c = first; c < first + PANEL; c++, out++) {
                *out = c < n ? paired(w + c * k + i, unit ? FIXED / longest : 0) : 0;
            }
    return out;
}

/* tensors: qkv, out, up, down of each layer, then the head; each (out, in) as in gpt.py. */
int pack(const model *m, const float *const *tensors, word *out, float *units) {
    if (bad_sizes(m)) return BAD_SIZES;
    int64_t w = m->width, n[4] = {3 * w, w, 4 * w, w}, k[4] = {w, w, w, 4 * w};
    for (int64_t i = 0; i < 4 * (int64_t)m->layers; i++)
        out = pack_matrix(out, tensors[i], n[i % 4], k[i % 4], i % 2 ? 0 : units++);
    word *end = out + padded_vocab(m) * w / PAIR;
    out = pack_matrix(out, tensors[4 * m->layers], m->vocab, w, units);
    memset(out, 0, (size_t)(end - out) * sizeof(word));
    return OK;
}

enum { STORE, ADD, SQUARED_RELU }; /* what becomes of a product; all but ADD are of integers where those are in use */

/* `rows` rows of `panels` panels: k words each from a (A_STRIDE apart) and b. */
INLINE void tile(int rows, int panels, int kind, const word *a, const word *b, int k, float unit, void *out, int stride) {
    vec acc[TILE][8];    /* of ADD */
    total sums[TILE][8]; /* of the others */
    UNROLL for (int r = 0; r < rows; r++) UNROLL for (int c = 0; c < 2 * panels; c++)
        acc[r][c] = (vec){0}, sums[r][c] = (total){0};
    for (int i = 0; i < k; i++) {
        vec column[8];
        UNROLL for (int p = 0; p < panels; p++) {
            const word *at = b + ((int64_t)p * k + i) * PANEL;
            column[2 * p] = load(at), column[2 * p + 1] = load(at + LANES);
        }
        UNROLL for (int r = 0; r < rows; r++) UNROLL for (int c = 0; c < 2 * panels; c++)
            if (kind == ADD)
                acc[r][c] = dot(acc[r][c], a[r * A_STRIDE + i], column[c]);
            else
                sums[r][c] = fixed_dot(sums[r][c], a[r * A_STRIDE + i], column[c]);
    }
    UNROLL for (int r = 0; r < rows; r++) UNROLL for (int p = 0; p < panels; p++) {
        vec x = acc[r][2 * p], y = acc[r][2 * p + 1];
        if (kind != ADD) x = worth(sums[r][2 * p], unit), y = worth(sums[r][2 * p + 1], unit);
        if (kind == SQUARED_RELU) {
            x = (vec)((bits)x & (bits)(x > 0)), y = (vec)((bits)y & (bits)(y > 0));
            store_words((word *)out + (int64_t)r * stride + p * PANEL / PAIR, x * x, y * y);
            continue;
        }
        float *to = (float *)out + (int64_t)r * stride + p * PANEL;
        if (kind == ADD) x += load(to), y += load(to + LANES);
        store(to, x), store(to + LANES, y);
    }
}

#define TILE_OF(r) \
    case r: tile(r, 1, kind, a, b, k, unit, out, stride); break;

/* out (rows, n) = a (rows, k words) @ b, in tiles of nearly equal height; n a multiple of PANEL. */
INLINE void product(int kind, const word *a, int rows, const word *b, int n, int k, float unit, void *out, int stride) {
    int step = kind == SQUARED_RELU ? PANEL / PAIR : PANEL, panels = n / PANEL, tiles = (rows + TILE - 1) / TILE;
    if (rows == 1) {
        int p = 0;
        for (; p + 4 <= panels; p += 4)
            tile(1, 4, kind, a, b + (int64_t)p * k * PANEL, k, unit, (float *)out + p * step, stride);
        for (; p < panels; p++) tile(1, 1, kind, a, b + (int64_t)p * k * PANEL, k, unit, (float *)out + p * step, stride);
        return;
    }
    const word *a0 = a;
    void *out0 = out;
    for (int p = 0; p < panels; p++, b += (int64_t)k * PANEL) {
        a = a0, out = (float *)out0 + p * step;
        for (int t = 0; t < tiles; t++) {
            int some = rows / tiles + (t < rows % tiles);
            switch (some) {
                TILE_OF(1) TILE_OF(2) TILE_OF(3) TILE_OF(4)
#if TILE > 4
                TILE_OF(5) TILE_OF(6)
#endif
#if TILE > 6
                TILE_OF(7) TILE_OF(8) TILE_OF(9) TILE_OF(10) TILE_OF(11) TILE_OF(12)
#endif
            }
            a += some * A_STRIDE, out = (float *)out + some * stride;
        }
    }
}

__attribute__((noinline)) static void product_store(const word *a, int rows, const word *b, int n, int k,
                                                    float unit, float *out, int stride) {
    product(STORE, a, rows, b, n, k, unit, out, stride);
}

__attribute__((noinline)) static void product_add(const word *a, int rows, const word *b, int n, int k, float *out) {
    product(ADD, a, rows, b, n, k, 1, out, X_STRIDE);
}

__attribute__((noinline)) static void product_up(const word *a, int rows, const word *b, int n, int k, float unit,
                                                 word *out) {
    product(SQUARED_RELU, a, rows, b, n, k, unit, out, A_STRIDE);
}

/* --- One row ---------------------------------------------------------------------------------------------------- */

INLINE float inverse_rms(const float *x, int n) { /* n a multiple of 16 */
    vec squares = {0};
    for (int i = 0; i < n; i += LANES) squares += load(x + i) * load(x + i);
    return 1.0f / sqrtf(sum(squares) / (float)n + EPS);
}

static void norm_words(word *out, const float *x, int n) { as_fixed(out, x, n, inverse_rms(x, n) * fixed(n)); }

INLINE void turn(float *x, float scale, const float *cosine, const float *sine, int half) {
    int i = 0;
    for (; i + LANES <= half; i += LANES) {
        vec a = load(x + i) * scale, b = load(x + i + half) * scale, c = load(cosine + i), s = load(sine + i);
        store(x + i, a * c - b * s);
        store(x + i + half, a * s + b * c);
    }
    for (; i < half; i++) {
        float a = x[i] * scale, b = x[i + half] * scale;
        x[i] = a * cosine[i] - b * sine[i];
        x[i + half] = a * sine[i] + b * cosine[i];
    }
}

/* Norm and turn q and k, write k and v into the cache, leave q in `a`, without its gain if it is integers. Keys lie by
   blocks of LANES positions, each word of the head in LANES lanes; values by words of PAIR positions. */
static void remember(const model *m, const row *at, int layer, float *qkv, word *a) {
    int width = m->width, head = m->head, half = head / 2, words = head / PAIR, p = at->position;
    word *keys = m->cache + at->slot * slot_words(m) + 2 * layer * half_cache(m), *values = keys + half_cache(m);
    const float *cosine = m->cosine + (int64_t)p * half, *sine = m->sine + (int64_t)p * half;
    word k[MAX_WIDTH];
    for (int h = 0; h < width / head; h++) {
        float *q = qkv + h * head, *key = q + width, gain = PAIR > 1 ? 1 : m->gain[layer * (width / head) + h];
        turn(q, inverse_rms(q, head) * gain, cosine, sine, half);
        turn(key, inverse_rms(key, head), cosine, sine, half);
    }
    as_fixed(a, qkv, width, fixed(head));
    as_fixed(k, qkv + width, width, fixed(head));
    for (int h = 0; h < width / head; h++) {
        word *to = keys + (h * span(m) + p / LANES * LANES) * words + p % LANES;
        for (int i = 0; i < words; i++) to[i * LANES] = k[h * words + i];
        const float *value = qkv + 2 * width + h * head;
        to = values + (h * span(m) + p) / PAIR * head;
        for (int i = 0; i < head; i += LANES) {
#ifdef BF16
            bits v = (bits)load(value + i), old = *(loose_bits *)(to + i);
            v = (v + 0x7fff + (v >> 16 & 1)) >> 16;
            *(loose_bits *)(to + i) = p % 2 ? (old & 0xffff) | v << 16 : (old & 0xffff0000) | v;
#else
            store(to + i, load(value + i));
#endif
        }
    }
}

/* Scores of 1 or 2 times LANES positions against a query, `words` products each; `out` gets the blocks of LANES. */
INLINE void scores(int blocks, const word *q, const word *keys, int words, float unit, vec *out) {
    total x[2][2];
    UNROLL for (int b = 0; b < blocks; b++) x[b][0] = x[b][1] = (total){0};
    UNROLL for (int i = 0; i < words; i += 2) UNROLL for (int k = 0; k < 2; k++) UNROLL for (int b = 0; b < blocks; b++)
        x[b][k] = fixed_dot(x[b][k], q[i + k], load(keys + (b * words + i + k) * LANES));
    UNROLL for (int b = 0; b < blocks; b++) out[b] = worth(x[b][0], unit) + worth(x[b][1], unit);
}

/* `vectors` vectors of a head's values, mixed by `steps` words of weights. */
INLINE void mix(int vectors, const word *weight, const word *v, int steps, int head, float scale, float *out) {
    vec s[2][4];
    UNROLL for (int c = 0; c < vectors; c++) UNROLL for (int k = 0; k < 4; k++) s[c][k] = (vec){0};
    for (int j = 0; j < steps; j += 4, v += 4 * head) UNROLL for (int k = 0; k < 4; k++)
        UNROLL for (int c = 0; c < vectors; c++) s[c][k] = dot(s[c][k], weight[j + k], load(v + k * head + c * LANES));
    UNROLL for (int c = 0; c < vectors; c++)
        store(out + c * LANES, ((s[c][0] + s[c][1]) + (s[c][2] + s[c][3])) * scale);
}

/* Attention of one row over its own past, n positions, in `some` heads at once: they wait for no sum of each other's.
   on: words from a head's keys, or values, to the next one's; gain: of these heads. Each head's sums run in one order. */
INLINE void attend_heads(int some, desk *d, const word *q, const word *keys, const word *values, const float *gain,
                         int64_t on, int head, int n, float *mixed) {
    int words = head / PAIR, steps = (int)up_to((n + PAIR - 1) / PAIR, 4);
    vec x, y, mass[HEADS], top[HEADS], place;
    float scale[HEADS], unit[HEADS], one = 1 / (fixed(head) * fixed(head));
    UNROLL for (int g = 0; g < some; g++) unit[g] = gain[g] * one;
    for (int i = 0; i < LANES; i++) place[i] = (float)(i - n);
    UNROLL for (int g = 0; g < some; g++) top[g] = all(-INFINITY), mass[g] = (vec){0};
    for (int p = 0; p < n; p += PANEL) UNROLL for (int g = 0; g < some; g++) {
        vec two[2] = {{0}, {0}};
        if (p + LANES < n)
            scores(2, q + g * words, keys + g * on + p * words, words, unit[g], two);
        else
            scores(1, q + g * words, keys + g * on + p * words, words, unit[g], two);
        if (p + PANEL > n) UNROLL for (int b = 0; b < 2; b++)
            two[b] = choose((bits)(place + (float)(p + b * LANES) < 0), two[b], all(-INFINITY));
        store(d->score[g] + p, two[0]), store(d->score[g] + p + LANES, two[1]);
        top[g] = larger(top[g], larger(two[0], two[1]));
    }
    UNROLL for (int g = 0; g < some; g++) top[g] = all(largest(top[g]));
    for (int p = 0; p < n; p += PANEL) UNROLL for (int g = 0; g < some; g++) {
        x = exponential(load(d->score[g] + p) - top[g]), y = (vec){0};
        if (p + LANES < n) y = exponential(load(d->score[g] + p + LANES) - top[g]);
        mass[g] += x + y;
        store_words(d->weight[g] + p / PAIR, x, y);
    }
    UNROLL for (int g = 0; g < some; g++) scale[g] = 1.0f / sum(mass[g]);
    UNROLL for (int g = 0; g < some; g++) {
        const word *v = values + g * on;
        int i = 0;
        float *out = mixed + g * head;
        for (; i + 2 * LANES <= head; i += 2 * LANES) mix(2, d->weight[g], v + i, steps, head, scale[g], out + i);
        if (i < head) mix(1, d->weight[g], v + i, steps, head, scale[g], out + i);
    }
}

/* q in `a` is replaced by the mixed values of all heads. */
static void attend(const model *m, desk *d, const row *at, int layer, word *a) {
    int heads = m->width / m->head, head = m->head, n = at->position + 1, h = 0;
    int64_t words = head / PAIR, on = span(m) * words;
    const word *keys = m->cache + at->slot * slot_words(m) + 2 * layer * half_cache(m), *values = keys + half_cache(m);
    const float *gain = m->gain + layer * heads;
    float mixed[MAX_WIDTH];
    for (; h + HEADS <= heads; h += HEADS)
        attend_heads(HEADS, d, a + h * words, keys + h * on, values + h * on, gain + h, on, head, n, mixed + h * head);
    for (; h < heads; h++)
        attend_heads(1, d, a + h * words, keys + h * on, values + h * on, gain + h, on, head, n, mixed + h * head);
    as_words(a, mixed, m->width);
}

/* --- A pass ----------------------------------------------------------------------------------------------------- */

/* Take n rows through the network; logits of the `wanted` rows, in order, into d->logits. NOT_FINITE: a row is not, and
   has left in its cache what is not to be read. */
static int pass(const model *m, desk *d, int n, int wanted) {
    int width = m->width, words = width / PAIR;
    const word *w = m->weights;
    for (int r = 0; r < n; r++) memcpy(d->x[r], m->embed + (int64_t)d->rows[r].symbol * width, 4 * (size_t)width);
    for (int layer = 0; layer < m->layers; layer++) {
        for (int r = 0; r < n; r++) norm_words(d->a[r], d->x[r], width);
        product_store(d->a[0], n, w, 3 * width, words, m->units[2 * layer], d->qkv[0], QKV_STRIDE);
        w += 3 * width * words;
        remember(m, &d->rows[0], layer, d->qkv[0], d->a[0]);
        for (int r = 0; r < n; r++) {
            if (r + 1 < n) remember(m, &d->rows[r + 1], layer, d->qkv[r + 1], d->a[r + 1]);
            attend(m, d, &d->rows[r], layer, d->a[r]);
        }
        product_add(d->a[0], n, w, width, words, d->x[0]);
        w += width * words;
        for (int r = 0; r < n; r++) norm_words(d->a[r], d->x[r], width);
        product_up(d->a[0], n, w, 4 * width, words, m->units[2 * layer + 1], d->hidden[0]);
        w += 4 * width * words;
        product_add(d->hidden[0], n, w, width, 4 * words, d->x[0]);
        w += 4 * width * words;
    }
    for (int r = 0; r < n; r++)
        if (!(inverse_rms(d->x[r], width) > 0)) return NOT_FINITE;
    if (!wanted) return OK;
    for (int i = 0; i < wanted; i++) norm_words(d->a[i], d->x[d->wanted[i]], width);
    int vocab = (int)padded_vocab(m);
    product_store(d->a[0], wanted, w, vocab, words, m->units[2 * m->layers], d->logits, vocab);
    for (int i = 0; i < wanted; i++) {
        float *z = d->logits + (int64_t)i * vocab;
        z[0] = -INFINITY; /* the begin symbol */
        for (int j = m->vocab; j < vocab; j++) z[j] = -INFINITY;
    }
    return OK;
}

/* --- Laws and draws --------------------------------------------------------------------------------------------- */

static double philox(const job *j) { /* Philox4x64-10 at the job's place: see seeds.py */
    uint64_t c[4] = {j->step, j->rollout, 1ull << 32 | j->ask, (uint64_t)j->sample << 32 | (uint32_t)(j->token / 4)};
    uint64_t k0 = j->seed, k1 = j->item;
    for (int i = 0; i < 10; i++, k0 += 0x9E3779B97F4A7C15u, k1 += 0xBB67AE8584CAA73Bu) {
        __extension__ unsigned __int128 p = (unsigned __int128)0xD2E7470EE14C6C93u * c[0];
        __extension__ unsigned __int128 q = (unsigned __int128)0xCA5A826395121157u * c[2];
        uint64_t c0 = (uint64_t)(q >> 64) ^ c[1] ^ k0, c2 = (uint64_t)(p >> 64) ^ c[3] ^ k1;
        c[0] = c0, c[1] = (uint64_t)q, c[2] = c2, c[3] = (uint64_t)p;
    }
    return (double)(c[j->token % 4] >> 11) * 0x1p-53;
}

typedef struct {
    double *z, *mass; /* (padded vocab): log mass less a constant, and mass */
    double total, log_total;
    int best; /* at temperature 0: where all mass is; else -1 */
} law;

/* softmax(logits / temperature) in float64, as draws.Laws. NOT_FINITE: no law. */
static int law_of(const model *m, const float *logits, double temperature, double *room, law *out) {
    int vocab = (int)padded_vocab(m), best = 1;
    for (int i = 1; i < m->vocab; i++) {
        if (!isfinite(logits[i])) return NOT_FINITE;
        if (logits[i] > logits[best]) best = i;
    }
    *out = (law){room, room + vocab, 0, 0, temperature > 0 ? -1 : best};
    if (temperature <= 0) return OK;
    double top = (double)logits[best] / temperature;
    for (int i = 0; i < vocab; i++) out->z[i] = (double)logits[i] / temperature - top;
    for (int i = 0; i < vocab; i += LANES / 2)
        *(loose_wide *)(out->mass + i) = wide_exponential(*(loose_wide *)(out->z + i));
    for (int i = 1; i < m->vocab; i++) out->total += out->mass[i];
    out->log_total = logarithm(out->total);
    return OK;
}

static double logp_of(const law *q, int symbol) {
    if (q->best >= 0) return symbol == q->best ? 0 : -INFINITY;
    return q->z[symbol] - q->log_total;
}

static double entropy_of(const model *m, const law *q) {
    if (q->best >= 0) return 0;
    double part[LANES] = {0}, mean = 0;
    for (int i = 1; i < m->vocab; i++) part[i % LANES] += q->mass[i] > 0 ? q->mass[i] * q->z[i] : 0;
    for (int i = 0; i < LANES; i++) mean += part[i];
    return q->log_total - mean / q->total;
}

static int draw(const model *m, const law *q, double u) { /* seeds.pick: the first whose cumulative mass exceeds u */
    if (q->best >= 0) return q->best;
    double target = u * q->total, cdf = 0;
    int last = 1;
    for (int i = 1; i < m->vocab; i++) {
        cdf += q->mass[i];
        if (cdf > target) return i;
        if (q->mass[i] > 0) last = i;
    }
    return last;
}

/* --- Calls ------------------------------------------------------------------------------------------------------ */

static int bad_symbols(const model *m, const int32_t *symbols, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (symbols[i] < 0 || symbols[i] >= m->vocab) return 1;
    return 0;
}

static int bad_job(const model *m, const job *j) {
    if (j->slot < 0 || j->slot >= m->slots) return BAD_SLOT;
    if (j->read < 0 || j->length < 1 || j->read > j->length || j->length > m->context) return BAD_LENGTH;
    if (j->token < 0 || j->most < j->token || j->length + (int64_t)(j->most - j->token) > m->context + 1) return BAD_LENGTH;
    if (j->token > 0 && j->read == j->length) return BAD_LENGTH; /* its last symbol was sampled, and never read */
    if (j->ahead < 0 || j->kept < -1 || (j->kept < 0 && j->ahead)) return BAD_OPTION;
    if (j->kept >= 0 && (j->most != 1 || j->kept + (int64_t)j->ahead >= m->steps)) return BAD_OPTION;
    if (j->length + (int64_t)j->ahead + (j->most - j->token) > m->context + 1) return BAD_LENGTH;
    if (j->kind < 0 || j->kind >= m->kinds || !(j->temperature >= 0) || isinf(j->temperature)) return BAD_OPTION;
    return bad_symbols(m, m->symbols + (int64_t)j->slot * (m->context + 1), j->length) ? BAD_SYMBOL : OK;
}

/* Sample one symbol. 1: the job is over. Negative: a fault. */
static int write_one(const model *m, job *j, const float *logits, double *room) {
    law q;
    if (law_of(m, logits, j->temperature, room, &q)) return -NOT_FINITE;
    int symbol = draw(m, &q, philox(j));
    double logp = logp_of(&q, symbol), entropy = entropy_of(m, &q);
    j->logp += logp;
    j->entropy += entropy;
    m->symbols[(int64_t)j->slot * (m->context + 1) + j->length++] = symbol;
    j->token++;
    int ends = m->stops[(int64_t)j->kind * m->vocab + symbol];
    j->why = ends == LOOK ? UNSURE : ends ? STOPPED : LIMIT;
    if (j->kept >= 0) {
        int64_t at = (int64_t)j->slot * m->steps + j->kept++, vocab = padded_vocab(m);
        m->trail[2 * at] = logp, m->trail[2 * at + 1] = entropy;
        memcpy(m->trail_ends + at * vocab, logits, 4 * (size_t)vocab);
        if (ends == ENDS_WHOLE && j->ahead) { /* the next step's text goes on from here */
            j->ahead--, j->step++, j->token = 0;
            return 0;
        }
    }
    return ends || j->token == j->most;
}

/* Read each job's symbols, then sample until a symbol ends its text or `most` are drawn. The last is left unread.
   A job that has read all its symbols goes on from its slot's end of prompt. Slots of the jobs are distinct. A job of
   one symbol a step may write steps ahead: each at its own draw, as if the next had been asked for. */
int complete(const model *m, job *jobs, int64_t n, desk *d) {
    if (bad_sizes(m)) return BAD_SIZES;
    for (int64_t i = 0; i < n; i++)
        if (bad_job(m, &jobs[i])) return bad_job(m, &jobs[i]);
    int64_t next = 0, vocab = padded_vocab(m);
    double *room = (double *)(((uintptr_t)(d->logits + ROWS * vocab) + 63) & ~(uintptr_t)63);
    for (int live = 0;;) {
        for (; live < m->chunk && next < n; next++) {
            job *j = &jobs[next];
            int over = j->token == j->most && j->read == j->length, found = 0;
            if (!over && j->read == j->length) found = write_one(m, j, m->ends + j->slot * vocab, room);
            if (found < 0) return -found;
            if (!over && found == 0) d->active[live++] = (int32_t)next;
        }
        if (!live) return OK;
        int rows = 0, wanted = 0;
        for (int i = 0; i < live; i++) { /* one row for each, and what is left for long prompts */
            job *j = &jobs[d->active[i]];
            int left = j->length - j->read, room_left = ROWS - rows - (live - i - 1);
            d->taken[i] = left < room_left ? left : room_left;
            const int32_t *given = m->symbols + (int64_t)j->slot * (m->context + 1);
            for (int t = 0; t < d->taken[i]; t++) d->rows[rows++] = (row){j->slot, j->read + t, given[j->read + t]};
            if (d->taken[i] == left) d->wanted[wanted++] = rows - 1;
        }
        if (pass(m, d, rows, wanted)) return NOT_FINITE;
        int still = 0;
        const float *z = d->logits;
        for (int i = 0; i < live; i++) {
            job *j = &jobs[d->active[i]];
            j->read += d->taken[i];
            int over = 0;
            if (j->read == j->length) {
                if (j->token == 0) memcpy(m->ends + j->slot * vocab, z, 4 * (size_t)vocab);
                over = j->token == j->most ? 1 : write_one(m, j, z, room);
                if (over < 0) return -over;
                z += vocab;
            }
            if (!over) d->active[still++] = d->active[i];
        }
        live = still;
    }
}

/* Log-probabilities of texts after the prompts of distinct slots, which must have been read. Text i is symbols
   at[i] ... at[i + 1] - 1; its last symbol is not read. */
int score(const model *m, question *questions, int64_t n, const int32_t *symbols, const int64_t *at, double *out,
          desk *d) {
    if (bad_sizes(m)) return BAD_SIZES;
    for (int64_t i = 0; i < n; i++) {
        const question *q = &questions[i];
        if (q->slot < 0 || q->slot >= m->slots) return BAD_SLOT;
        if (!(q->temperature >= 0) || isinf(q->temperature)) return BAD_OPTION;
        if (q->length < 1 || q->first < 0 || q->count < 0) return BAD_LENGTH;
        for (int64_t t = q->first; t < q->first + (int64_t)q->count; t++) {
            if (at[t + 1] < at[t] || q->length + at[t + 1] - at[t] > m->context + 1) return BAD_LENGTH;
            if (bad_symbols(m, symbols + at[t], at[t + 1] - at[t])) return BAD_SYMBOL;
        }
    }
    int64_t next = 0, vocab = padded_vocab(m);
    double *room = (double *)(((uintptr_t)(d->logits + ROWS * vocab) + 63) & ~(uintptr_t)63);
    law law;
    for (int live = 0;;) {
        for (; live < m->chunk && next < n; next++) { /* first symbols need the end of the prompt alone */
            question *q = &questions[next];
            int longest = 0, found = law_of(m, m->ends + q->slot * vocab, q->temperature, room, &law);
            if (found) return found;
            for (int64_t t = q->first; t < q->first + (int64_t)q->count; t++) {
                out[t] = at[t + 1] > at[t] ? logp_of(&law, symbols[at[t]]) : 0;
                if (at[t + 1] - at[t] > longest) longest = (int)(at[t + 1] - at[t]);
            }
            q->begun = 0; /* symbols of the current text that are read */
            if (longest > 1) d->active[live++] = (int32_t)next;
        }
        int rows = 0, still = 0;
        for (int i = 0; i < live; i++) {
            question *q = &questions[d->active[i]];
            while (q->count && at[q->first + 1] - at[q->first] - 1 <= q->begun) q->first++, q->count--, q->begun = 0;
            if (!q->count) continue;
            int left = (int)(at[q->first + 1] - at[q->first]) - 1 - q->begun, room_left = ROWS - rows - (live - i - 1);
            int taken = left < room_left ? left : room_left;
            for (int t = 0; t < taken; t++, rows++) {
                int32_t symbol = symbols[at[q->first] + q->begun + t];
                d->rows[rows] = (row){q->slot, q->length + q->begun + t, symbol}, d->wanted[rows] = rows;
            }
            d->taken[still] = taken, d->active[still++] = d->active[i];
        }
        live = still;
        if (!live) {
            if (next < n) continue;
            return OK;
        }
        if (pass(m, d, rows, rows)) return NOT_FINITE;
        const float *z = d->logits;
        for (int i = 0; i < live; i++) {
            question *q = &questions[d->active[i]];
            for (int t = 0; t < d->taken[i]; t++, z += vocab) {
                int found = law_of(m, z, q->temperature, room, &law);
                if (found) return found;
                out[q->first] += logp_of(&law, symbols[at[q->first] + ++q->begun]);
            }
        }
    }
}
