/* One axis of Winograd's transforms, for a inputs of a tile (a = 8, 6 or 4) and windows of r.
 *
 * a = 6: points 0, +-3/4, +-3/2 and infinity; every entry of B and A is exact in binary, and the
 * error is two to six times that of direct summation.  a = 4: 0, +-1, infinity.  B depends on the
 * points alone, so F(4, 3) and F(2, 5) share it.  a = 8, along one axis only: 0, +-1/2, +-1, +-2
 * and infinity, which F(4, 5) and F(2, 7) share.  a = 1: an axis that is not transformed.
 *
 * Stride 2: even inputs meet the outer taps of three, odd ones the middle one, as they are.  a = 9:
 * F(4, 2) of the even ones, by the points 0, -1, 1/2, 2 and infinity, with hardly more error than
 * direct summation.  a = 5: F(2, 2) by 0, -1 and infinity, additions only.
 */
#ifndef CV_WINO_AXES
#define CV_WINO_AXES

typedef vec CV_(wino_in_t);  /* what is transformed on the way to V */
typedef vec CV_(wino_out_t); /* and from M */

CV_INLINE void CV_(wino_bt)(const int a, const vec *d, vec *r) {
    if (a == 8) {
        const vec e1 = 4 * d[2] - 5 * d[4] + d[6], o1 = 2 * d[1] - 2.5f * d[3] + 0.5f * d[5];
        const vec e2 = d[2] - 4.25f * d[4] + d[6], o2 = d[1] - 4.25f * d[3] + d[5];
        const vec e3 = 0.25f * d[2] - 1.25f * d[4] + d[6],
                  o3 = 0.5f * d[1] - 2.5f * d[3] + 2 * d[5];
        r[0] = d[0] - d[6] + 5.25f * (d[4] - d[2]);
        r[1] = e1 + o1;
        r[2] = e1 - o1;
        r[3] = e2 + o2;
        r[4] = e2 - o2;
        r[5] = e3 + o3;
        r[6] = e3 - o3;
        r[7] = d[7] - d[1] + 5.25f * (d[3] - d[5]);
    } else if (a == 9) {
        r[0] = d[0] + d[6] - 1.5f * (d[2] + d[4]);
        r[1] = d[2] + d[6] - 2.5f * d[4];
        r[2] = d[6] - d[4] - 2 * d[2];
        r[3] = d[6] + 0.5f * (d[4] - d[2]);
        r[4] = d[2] + d[8] - 1.5f * (d[4] + d[6]);
        r[5] = d[1];
        r[6] = d[3];
        r[7] = d[5];
        r[8] = d[7];
    } else if (a == 5) {
        r[0] = d[0] - d[2];
        r[1] = d[2];
        r[2] = d[4] - d[2];
        r[3] = d[1];
        r[4] = d[3];
    } else if (a == 6) {
        const vec e1 = d[4] - 2.25f * d[2], o1 = d[3] - 2.25f * d[1];
        const vec e2 = d[4] - 0.5625f * d[2], o2 = d[3] - 0.5625f * d[1];
        r[0] = d[4] - 2.8125f * d[2] + 1.265625f * d[0];
        r[1] = e1 + 0.75f * o1;
        r[2] = e1 - 0.75f * o1;
        r[3] = e2 + 1.5f * o2;
        r[4] = e2 - 1.5f * o2;
        r[5] = d[5] - 2.8125f * d[3] + 1.265625f * d[1];
    } else {
        r[0] = d[0] - d[2];
        r[1] = d[1] + d[2];
        r[2] = d[2] - d[1];
        r[3] = d[1] - d[3];
    }
}

/* Row i of A^T holds the points to the power of i; infinity adds to the last one. */
CV_INLINE void CV_(wino_at)(const int m, const int a, const vec *v, vec *r) {
    if (a == 1) {
        r[0] = v[0];
    } else if (a == 8) {
        const vec p1 = v[1] + v[2], m1 = v[1] - v[2], p2 = v[3] + v[4], m2 = v[3] - v[4];
        const vec p3 = v[5] + v[6], m3 = v[5] - v[6];
        r[0] = v[0] + p1 + p2 + p3;
        r[1] = 0.5f * m1 + m2 + 2 * m3;
        if (m == 2) {
            r[1] += v[7];
        } else {
            r[2] = 0.25f * p1 + p2 + 4 * p3;
            r[3] = 0.125f * m1 + m2 + 8 * m3 + v[7];
        }
    } else if (a == 9) {
        r[0] = v[0] + v[1] + v[2] + v[3] + v[5];
        r[1] = 0.5f * v[2] + 2 * v[3] - v[1] + v[6];
        r[2] = v[1] + 0.25f * v[2] + 4 * v[3] + v[7];
        r[3] = 0.125f * v[2] + 8 * v[3] - v[1] + v[4] + v[8];
    } else if (a == 5) {
        r[0] = v[0] + v[1] + v[3];
        r[1] = v[1] + v[2] + v[4];
    } else if (a == 6) {
        const vec p1 = v[1] + v[2], m1 = v[1] - v[2], p2 = v[3] + v[4], m2 = v[3] - v[4];
        r[0] = v[0] + p1 + p2;
        r[1] = 0.75f * m1 + 1.5f * m2;
        if (m == 2) {
            r[1] += v[5];
        } else {
            r[2] = 0.5625f * p1 + 2.25f * p2;
            r[3] = v[5] + 0.421875f * m1 + 3.375f * m2;
        }
    } else {
        r[0] = v[0] + v[1] + v[2];
        r[1] = v[1] - v[2] - v[3];
    }
}

/* Weights are transformed in double, half a vector of output channels at a time, and rounded
 * once. */
typedef double CV_(half_t) __attribute__((vector_size(CV_VB)));
typedef T CV_(half_row_t) __attribute__((vector_size(CV_VB / 2), aligned(CV_BITS / 8), may_alias));

CV_INLINE void CV_(wino_g)(const int a, const int r, const CV_(half_t) *g, CV_(half_t) *to) {
    if (a == 8) {
        CV_UNROLL(3)
        for (int i = 0; i < 3; i++) {
            const double p = 0.5 * (1 << i), divisor[] = {45. / 32, -4.5, 90};
            CV_(half_t) even = g[0] + p * p * (g[2] + p * p * g[4]), odd = g[1] + p * p * g[3];
            if (r == 7) {
                even += p * p * p * p * p * p * g[6];
                odd += p * p * p * p * g[5];
            }
            to[2 * i + 1] = (even + p * odd) * (1 / divisor[i]);
            to[2 * i + 2] = (even - p * odd) * (1 / divisor[i]);
        }
        to[0] = g[0];
        to[7] = g[r - 1];
    } else if (a == 9) { /* six that differ */
        to[0] = g[0];
        to[1] = (g[0] - g[2]) * (-2. / 9);
        to[2] = (g[0] + 0.5 * g[2]) * (-8. / 9);
        to[3] = (g[0] + 2 * g[2]) * (1. / 9);
        to[4] = g[2];
        to[5] = g[1];
    } else if (a == 5) { /* four that differ */
        to[0] = g[0];
        to[1] = g[0] + g[2];
        to[2] = g[2];
        to[3] = g[1];
    } else if (a == 6) {
        CV_(half_t) e1 = g[0] + 0.5625 * g[2], o1 = 0.75 * g[1], e2 = g[0] + 2.25 * g[2],
                    o2 = 1.5 * g[1];
        if (r == 5) {
            e1 += 0.31640625 * g[4];
            o1 += 0.421875 * g[3];
            e2 += 5.0625 * g[4];
            o2 += 3.375 * g[3];
        }
        to[0] = g[0] * (1 / 1.265625);
        to[1] = (e1 + o1) * (-1 / 1.8984375);
        to[2] = (e1 - o1) * (-1 / 1.8984375);
        to[3] = (e2 + o2) * (1 / 7.59375);
        to[4] = (e2 - o2) * (1 / 7.59375);
        to[5] = g[r - 1];
    } else {
        const CV_(half_t) e = 0.5 * (g[0] + g[2]), o = 0.5 * g[1];
        to[0] = g[0];
        to[1] = e + o;
        to[2] = e - o;
        to[3] = g[2];
    }
}
#endif
