/* The vocabulary of a matrix unit: eight tiles of 16 rows of 64 bytes, as Intel's AMX has them.
 *
 *   CV_TILE_LOAD(t, p, step)   row i of tile t = the 64 bytes at p + i * step
 *   CV_TILE_DOT(c, a, b)       c[m][n] += sum over k of a[m][k] * b[k][n], where c holds 16 x 16
 *   floats, a 16 rows of 32
 *                              bfloat16, and b their partners in pairs: row i holds b[2i][n],
 *                              b[2i+1][n] side by side
 *   CV_TILE_DOT_BYTES(c, a, b) the same of integers: c int32, modulo 2^32, a 64 unsigned bytes a
 * row, b their signed partners in fours CV_AMX 1: the unit itself.  CV_AMX 0: the same in plain C,
 * so that whatever feeds the tiles can be tested anywhere.
 */
#ifndef CV_TILES_H
#define CV_TILES_H

/* The compiler's intrinsics do not say that they read memory. */
#define CV_FENCE() __asm__ volatile("" ::: "memory")

#if CV_AMX
static inline void cv_tiles_configure(void) {
    static const struct {
        uint8_t palette, start, unused[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } shape = {.palette = 1,
               .bytes = {64, 64, 64, 64, 64, 64, 64, 64},
               .rows = {16, 16, 16, 16, 16, 16, 16, 16}};
    _tile_loadconfig(&shape);
}
#define CV_TILES_BEGIN() cv_tiles_configure()
#define CV_TILES_END() _tile_release()
#define CV_TILE_ZERO(t) _tile_zero(t)
#define CV_TILE_LOAD(t, p, step) _tile_loadd(t, p, step)
#define CV_TILE_DOT(c, a, b) _tile_dpbf16ps(c, a, b)
#define CV_TILE_DOT_BYTES(c, a, b) _tile_dpbusd(c, a, b)
#define CV_TILE_STORE(t, p, step) _tile_stored(t, p, step)
#else
static _Thread_local uint32_t cv_tile[8][16][16];

static inline float cv_float_of(uint32_t bits) {
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}
static void cv_tile_load(int t, const void *p, ptrdiff_t step) {
    for (int i = 0; i < 16; i++)
        memcpy(cv_tile[t][i], (const char *)p + i * step, 64);
}
static void cv_tile_store(int t, void *p, ptrdiff_t step) {
    for (int i = 0; i < 16; i++)
        memcpy((char *)p + i * step, cv_tile[t][i], 64);
}
/* Rounds as the unit does: a step's even and odd products are summed apart, from 0, and then join
 * c. */
static CV_UNUSED void cv_tile_dot(int c, int a, int b) {
    for (int m = 0; m < 16; m++) {
        for (int n = 0; n < 16; n++) {
            float even = 0, odd = 0;
            for (int k = 0; k < 16; k++) {
                const uint32_t x = cv_tile[a][m][k], y = cv_tile[b][k][n];
                even += cv_float_of(x << 16) * cv_float_of(y << 16);
                odd += cv_float_of(x & 0xffff0000) * cv_float_of(y & 0xffff0000);
            }
            const float sum = cv_float_of(cv_tile[c][m][n]) + (even + odd);
            memcpy(&cv_tile[c][m][n], &sum, sizeof sum);
        }
    }
}
static CV_UNUSED void cv_tile_dot_bytes(int c, int a, int b) {
    for (int m = 0; m < 16; m++) {
        for (int k = 0; k < 16; k++) {
            const uint32_t x = cv_tile[a][m][k];
            for (int n = 0; n < 16; n++) {
                const uint32_t y = cv_tile[b][k][n];
                for (int i = 0; i < 32; i += 8)
                    cv_tile[c][m][n] += (x >> i & 255) * (uint32_t)(int8_t)(y >> i);
            }
        }
    }
}
#define CV_TILES_BEGIN() (void)0
#define CV_TILES_END() (void)0
#define CV_TILE_ZERO(t) memset(cv_tile[t], 0, sizeof cv_tile[t])
#define CV_TILE_LOAD(t, p, step) cv_tile_load(t, p, step)
#define CV_TILE_DOT(c, a, b) cv_tile_dot(c, a, b)
#define CV_TILE_DOT_BYTES(c, a, b) cv_tile_dot_bytes(c, a, b)
#define CV_TILE_STORE(t, p, step) cv_tile_store(t, p, step)
#endif
#endif
