// Every CUDA kernel of the backend `cupy`, as templates.
//
// One thread makes one element of the result, or in `conv_gemm` sixteen: no atomics (but in `unpool_add`), and the same
// bits on every run.  `I` is the type of all index arithmetic: int, or long long where a size or an offset leaves 31 bits.
// Nothing is included: the same text compiles with NVRTC without headers, and with a C++ compiler behind a small shim.

struct Call {                  // one call: sizes, windows, and strides in elements; axes are D, H, W
    long long n, c;            // images and channels of the array called x
    long long oc, groups;      // convolution: output channels, groups
    long long in[3], out[3], kernel[3], stride[3], dilation[3], lo[3], hi[3];
    long long first, images;   // block: its first image, and how many it holds
    long long start, count;    // block: its first window of an image, and how many of each
    long long total;           // threads that have something to do
    long long x[5], y[5], z[5];
    long long divisor;         // average: 0 divides by the elements that count
    long long count_pad;       // average: padding counts
    long long adaptive;        // windows whose bounds follow from the sizes alone
    long long last;            // channels run fastest over the threads
    long long add;             // add to what the result holds
    long long chunk;           // gradient of the weights: outputs per partial sum
};

// ------------------------------------------------------------------------------------------ element types

template <class R> struct Complex {
    R re, im;
};
template <class R> __device__ inline Complex<R> operator+(Complex<R> a, Complex<R> b) {
    return Complex<R>{a.re + b.re, a.im + b.im};
}
template <class R> __device__ inline Complex<R> operator*(Complex<R> a, Complex<R> b) {
    return Complex<R>{a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

struct Half {  // float16 as it is stored; nothing computes in it
    unsigned short bits;
};
#ifdef __CUDACC_RTC__
__device__ inline float widened(Half a) {
    float v;
    asm("cvt.f32.f16 %0, %1;" : "=f"(v) : "h"(a.bits));
    return v;
}
__device__ inline Half narrowed(float v) {
    Half a;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(a.bits) : "f"(v));
    return a;
}
#else  // by the shim
__device__ inline float widened(Half a) { return float_of_half(a.bits); }
__device__ inline Half narrowed(float v) { return Half{half_of_float(v)}; }
#endif

template <class T> struct Sum {  // in which type elements add up
    typedef T Type;
    __device__ static T in(T a) { return a; }
    __device__ static T out(T a) { return a; }
};
template <> struct Sum<Half> {
    typedef float Type;
    __device__ static float in(Half a) { return widened(a); }
    __device__ static Half out(float a) { return narrowed(a); }
};

struct Bits128 {
    unsigned long long low, high;
};

template <class T> struct Divides {
    __device__ static T by(T a, long long d) { return a / (T)d; }
    __device__ static T share(T a, long long d) { return (T)((double)a * (1.0 / (double)d)); }
};
template <class R> struct Divides<Complex<R>> {
    __device__ static Complex<R> by(Complex<R> a, long long d) { return Complex<R>{a.re / (R)d, a.im / (R)d}; }
    __device__ static Complex<R> share(Complex<R> a, long long d) { return by(a, d); }
};

__device__ inline void add_at(float* p, float v) { atomicAdd(p, v); }
__device__ inline void add_at(double* p, double v) { atomicAdd(p, v); }
__device__ inline void add_at(long long* p, long long v) {
    atomicAdd((unsigned long long*)p, (unsigned long long)v);  // two's complement: the same bits
}
template <class R> __device__ inline void add_at(Complex<R>* p, Complex<R> v) {
    add_at(&p->re, v.re);
    add_at(&p->im, v.im);
}

// ------------------------------------------------------------------------------------------ index arithmetic

// Threads take elements i, i + grid, i + 2 grid, ... below `total`.
#define FOR_EACH(i, total)                                                                          \
    for (I i = (I)blockIdx.x * (I)blockDim.x + (I)threadIdx.x, step_ = (I)gridDim.x * (I)blockDim.x; \
         i < (I)(total); i += step_)

template <class I> struct Place {  // one element of an array (N, C, D, H, W)
    I n, c, at[3];

    // Split a flat number over (n, c, d, h, w), or over (n, d, h, w, c) if `last`.
    __device__ Place(I i, const long long* size, I channels, bool last) {
        if (last) {
            c = i % channels;
            i /= channels;
        }
        for (int a = 2; a >= 0; --a) {
            at[a] = i % (I)size[a];
            i /= (I)size[a];
        }
        if (!last) {
            c = i % channels;
            i /= channels;
        }
        n = i;
    }
    __device__ I in(const long long* strides) const {
        return n * (I)strides[0] + c * (I)strides[1] + at[0] * (I)strides[2] + at[1] * (I)strides[3] +
               at[2] * (I)strides[4];
    }
};

template <class I> __device__ inline I ceil_div(I a, I b) { return a > 0 ? (a - 1) / b + 1 : -(-a / b); }

template <class I> struct Taps {  // the elements of one window on one axis that lie inside the input
    I first, begin, end;          // position of tap 0; taps begin <= t < end

    __device__ Taps(const Call& call, int a, I o) {
        if (call.adaptive) {
            long long size = call.in[a], out = call.out[a];
            first = (I)(o * size / out);
            begin = 0;
            end = (I)(((o + 1) * size + out - 1) / out) - first;
            return;
        }
        I d = (I)call.dilation[a];
        first = o * (I)call.stride[a] - (I)call.lo[a];
        begin = first < 0 ? ceil_div<I>(-first, d) : 0;
        end = ceil_div<I>((I)call.in[a] - first, d);
        if (end > (I)call.kernel[a]) end = (I)call.kernel[a];
        if (end < begin) end = begin;
    }
    __device__ I size() const { return end - begin; }
};

// How many taps of a window count in an average that counts padding: those inside the padded input.
template <class I> __device__ inline I counted(const Call& call, int a, I o, const Taps<I>& taps) {
    if (call.adaptive) return taps.size();
    I reach = ceil_div<I>((I)(call.in[a] + call.hi[a]) - taps.first, (I)call.dilation[a]);
    return reach < (I)call.kernel[a] ? reach : (I)call.kernel[a];
}

template <class I> struct Reach {  // the windows on one axis that hold position p
    I begin, end;                  // windows begin <= o < end, of which those with a dilation need a look each

    __device__ Reach(const Call& call, int a, I p) {
        if (call.adaptive) {
            long long size = call.in[a], out = call.out[a];
            begin = (I)(p * out / size);
            end = (I)(((p + 1) * out - 1) / size) + 1;
            return;
        }
        I s = (I)call.stride[a], high = p + (I)call.lo[a];
        I low = high - ((I)call.kernel[a] - 1) * (I)call.dilation[a];
        begin = low > 0 ? ceil_div<I>(low, s) : 0;
        end = high / s + 1;
        if (end > (I)call.out[a]) end = (I)call.out[a];
    }
};

// The tap by which window o holds position p; -1 if the dilation steps over it.
template <class I> __device__ inline I tap_of(const Call& call, int a, I o, I p) {
    I d = (I)call.dilation[a], offset = p + (I)call.lo[a] - o * (I)call.stride[a];
    if (d == 1) return offset;
    return offset % d ? -1 : offset / d;
}

template <class I> __device__ inline I flat(const Call& call, const I* at) {
    return (at[0] * (I)call.in[1] + at[1]) * (I)call.in[2] + at[2];
}

// ------------------------------------------------------------------------------------------ columns

// cols[y[0] n + y[1] (c taps + tap) + y[2] (o - start)] = the element of x that tap of window o reads, 0 in the padding.
// Threads run over (channel, tap, image, window).
template <class T, class I> __global__ void im2col(Call call, const T* x, T* cols) {
    FOR_EACH(i, call.total) {
        I rest = i, o = rest % (I)call.count;
        rest /= (I)call.count;
        I n = rest % (I)call.images;
        rest /= (I)call.images;
        I column = n * (I)call.y[0] + rest * (I)call.y[1] + o * (I)call.y[2];
        o += (I)call.start;
        I offset = 0;
        bool inside = true;
        for (int a = 2; a >= 0; --a) {
            I tap = rest % (I)call.kernel[a], p = o % (I)call.out[a];
            rest /= (I)call.kernel[a];
            o /= (I)call.out[a];
            p = p * (I)call.stride[a] - (I)call.lo[a] + tap * (I)call.dilation[a];
            inside = inside && p >= 0 && p < (I)call.in[a];
            offset += p * (I)call.x[a + 2];
        }
        cols[column] = inside ? x[(n + (I)call.first) * (I)call.x[0] + rest * (I)call.x[1] + offset] : T{};
    }
}

// x = (x if add) + the sum of the elements of cols that im2col reads from there.  Threads run over the images of the
// block, as x lies in memory.
template <class T, class I> __global__ void col2im(Call call, const T* cols, T* x) {
    FOR_EACH(i, call.total) {
        Place<I> to(i, call.in, (I)call.c, call.last);
        const Reach<I> d(call, 0, to.at[0]), h(call, 1, to.at[1]), w(call, 2, to.at[2]);
        T sum{};
        for (I od = d.begin; od < d.end; ++od) {
            I td = tap_of<I>(call, 0, od, to.at[0]);
            if (td < 0) continue;
            for (I oh = h.begin; oh < h.end; ++oh) {
                I th = tap_of<I>(call, 1, oh, to.at[1]);
                if (th < 0) continue;
                I row = (od * (I)call.out[1] + oh) * (I)call.out[2] - (I)call.start;
                I taps = ((to.c * (I)call.kernel[0] + td) * (I)call.kernel[1] + th) * (I)call.kernel[2];
                for (I ow = w.begin; ow < w.end; ++ow) {
                    I tw = tap_of<I>(call, 2, ow, to.at[2]), o = row + ow;
                    if (tw < 0 || o < 0 || o >= (I)call.count) continue;
                    sum = sum + cols[to.n * (I)call.y[0] + (taps + tw) * (I)call.y[1] + o * (I)call.y[2]];
                }
            }
        }
        to.n += (I)call.first;
        I place = to.in(call.x);
        x[place] = call.add ? x[place] + sum : sum;
    }
}

// y[first + n, o, start + j] = block[o, n, j] + bias[o].  Threads run over the block.
template <class T, class I> __global__ void store(Call call, const T* block, const T* bias, T* y) {
    FOR_EACH(i, call.total) {
        I rest = i, j = rest % (I)call.count + (I)call.start;
        rest /= (I)call.count;
        I place = (rest % (I)call.images + (I)call.first) * (I)call.y[0];
        I o = rest / (I)call.images;
        place += o * (I)call.y[1];
        for (int a = 2; a >= 0; --a) {
            place += j % (I)call.out[a] * (I)call.y[a + 2];
            j /= (I)call.out[a];
        }
        y[place] = bias ? block[i] + bias[o] : block[i];
    }
}

// block[o, n, j] = y[first + n, o, start + j]: what `store` undoes.
template <class T, class I> __global__ void gather(Call call, const T* y, T* block) {
    FOR_EACH(i, call.total) {
        I rest = i, j = rest % (I)call.count + (I)call.start;
        rest /= (I)call.count;
        I place = (rest % (I)call.images + (I)call.first) * (I)call.y[0] + rest / (I)call.images * (I)call.y[1];
        for (int a = 2; a >= 0; --a) {
            place += j % (I)call.out[a] * (I)call.y[a + 2];
            j /= (I)call.out[a];
        }
        block[i] = y[place];
    }
}

// ------------------------------------------------------------------------------------------ convolution without columns

// y = bias + the sums over windows; w is C-contiguous.  Threads run over y.
template <class T, class I> __global__ void conv(Call call, const T* x, const T* w, const T* bias, T* y) {
    const I icg = (I)(call.c / call.groups), ocg = (I)(call.oc / call.groups);
    FOR_EACH(i, call.total) {
        const Place<I> to(i, call.out, (I)call.oc, call.last);
        const Taps<I> d(call, 0, to.at[0]), h(call, 1, to.at[1]), v(call, 2, to.at[2]);
        T sum = bias ? bias[to.c] : T{};
        for (I c = 0; c < icg; ++c) {
            const T* plane = x + (to.n * (I)call.x[0] + (to.c / ocg * icg + c) * (I)call.x[1]);
            const I weights = (to.c * icg + c) * (I)call.kernel[0];
            for (I td = d.begin; td < d.end; ++td) {
                I depth = (d.first + td * (I)call.dilation[0]) * (I)call.x[2];
                for (I th = h.begin; th < h.end; ++th) {
                    I row = depth + (h.first + th * (I)call.dilation[1]) * (I)call.x[3];
                    I taps = ((weights + td) * (I)call.kernel[1] + th) * (I)call.kernel[2];
                    for (I tw = v.begin; tw < v.end; ++tw)
                        sum = sum + plane[row + (v.first + tw * (I)call.dilation[2]) * (I)call.x[4]] * w[taps + tw];
                }
            }
        }
        y[to.in(call.y)] = sum;
    }
}

// The same as a product of matrices that are never written: weights (channels x products) times windows (products x
// positions), in tiles of 64 x 64 that a block of 256 threads sums 16 products at a time from shared memory.  A thread
// keeps 4 x 4 sums.  Elements of x are read where they lie.  Blocks run over (group, tile of channels, tile of positions).
enum { TILE = 64, STEP = 16, EACH = 4 };

template <class T, class I> __global__ void conv_gemm(Call call, const T* x, const T* w, const T* bias, T* y) {
    typedef typename Sum<T>::Type S;
    __shared__ S weights[STEP][TILE + EACH], windows[STEP][TILE];
    const I icg = (I)(call.c / call.groups), ocg = (I)(call.oc / call.groups);
    const I kernel[3] = {(I)call.kernel[0], (I)call.kernel[1], (I)call.kernel[2]};
    const I products = icg * kernel[0] * kernel[1] * kernel[2];
    const I outputs = (I)(call.out[0] * call.out[1] * call.out[2]), positions = (I)call.n * outputs;
    const I across = (positions + TILE - 1) / TILE, down = (ocg + TILE - 1) / TILE;
    const int thread = (int)threadIdx.x, column = thread % TILE, tx = thread % STEP, ty = thread / STEP;
    for (I tile = (I)blockIdx.x; tile < (I)call.groups * down * across; tile += (I)gridDim.x) {
        const I group = tile / (down * across), first = tile / across % down * TILE, start = tile % across * TILE;
        S sums[EACH][EACH] = {};
        // The window that this thread reads: its image's group, and where its tap 0 lies.
        I o = (start + column) % outputs, corner[3];
        const bool real = start + column < positions;
        const T* image = x + ((start + column) / outputs * (I)call.x[0] + group * icg * (I)call.x[1]) * (real ? 1 : 0);
        for (int a = 2; a >= 0; --a) {
            corner[a] = o % (I)call.out[a] * (I)call.stride[a] - (I)call.lo[a];
            o /= (I)call.out[a];
        }
        for (I k0 = 0; k0 < products; k0 += STEP) {
            for (int j = 0; j < EACH; ++j) {
                const int row = thread / STEP + j * STEP;  // neighbouring threads read neighbouring weights
                const I channel = first + row, k = k0 + tx;
                const bool given = channel < ocg && k < products;
                weights[tx][row] = given ? Sum<T>::in(w[(group * ocg + channel) * products + k]) : S{};
            }
            for (int j = 0; j < EACH; ++j) {
                const int row = thread / TILE + j * EACH;  // and neighbouring positions
                I rest = k0 + row, offset = 0;
                bool inside = real && rest < products;
                for (int a = 2; a >= 0; --a) {
                    const I p = corner[a] + rest % kernel[a] * (I)call.dilation[a];
                    rest /= kernel[a];
                    inside = inside && p >= 0 && p < (I)call.in[a];
                    offset += p * (I)call.x[a + 2];
                }
                windows[row][column] = inside ? Sum<T>::in(image[rest * (I)call.x[1] + offset]) : S{};
            }
            __syncthreads();
            for (int k = 0; k < STEP; ++k)
                for (int i = 0; i < EACH; ++i)
                    for (int j = 0; j < EACH; ++j)
                        sums[i][j] = sums[i][j] + weights[k][ty * EACH + i] * windows[k][tx + j * STEP];
            __syncthreads();
        }
        for (int j = 0; j < EACH; ++j) {
            const I position = start + tx + j * STEP;
            if (position >= positions) continue;
            I rest = position % outputs, place = position / outputs * (I)call.y[0];
            for (int a = 2; a >= 0; --a) {
                place += rest % (I)call.out[a] * (I)call.y[a + 2];
                rest /= (I)call.out[a];
            }
            for (int i = 0; i < EACH; ++i) {
                const I channel = first + ty * EACH + i;
                if (channel >= ocg) continue;
                const I at = group * ocg + channel;
                y[place + at * (I)call.y[1]] = Sum<T>::out(bias ? sums[i][j] + Sum<T>::in(bias[at]) : sums[i][j]);
            }
        }
    }
}

// The adjoint of `conv` in x: each input element gathers the windows that hold it.  Threads run over x.
template <class T, class I> __global__ void conv_grad_input(Call call, const T* y, const T* w, T* x) {
    const I icg = (I)(call.c / call.groups), ocg = (I)(call.oc / call.groups);
    FOR_EACH(i, call.total) {
        const Place<I> to(i, call.in, (I)call.c, call.last);
        const Reach<I> d(call, 0, to.at[0]), h(call, 1, to.at[1]), v(call, 2, to.at[2]);
        T sum{};
        for (I o = to.c / icg * ocg, end = o + ocg; o < end; ++o) {
            const T* plane = y + (to.n * (I)call.y[0] + o * (I)call.y[1]);
            const I weights = (o * icg + to.c % icg) * (I)call.kernel[0];
            for (I od = d.begin; od < d.end; ++od) {
                I td = tap_of<I>(call, 0, od, to.at[0]);
                if (td < 0) continue;
                for (I oh = h.begin; oh < h.end; ++oh) {
                    I th = tap_of<I>(call, 1, oh, to.at[1]);
                    if (th < 0) continue;
                    I row = od * (I)call.y[2] + oh * (I)call.y[3];
                    I taps = ((weights + td) * (I)call.kernel[1] + th) * (I)call.kernel[2];
                    for (I ow = v.begin; ow < v.end; ++ow) {
                        I tw = tap_of<I>(call, 2, ow, to.at[2]);
                        if (tw >= 0) sum = sum + plane[row + ow * (I)call.y[4]] * w[taps + tw];
                    }
                }
            }
        }
        x[to.in(call.x)] = sum;
    }
}

// partial[part, weight] = the sum over one part of all (image, window) pairs.  Threads run over (part, weight).
template <class T, class I> __global__ void conv_grad_weight(Call call, const T* x, const T* y, T* partial) {
    const I icg = (I)(call.c / call.groups), ocg = (I)(call.oc / call.groups);
    const I outputs = (I)(call.out[0] * call.out[1] * call.out[2]), pairs = (I)call.n * outputs;
    FOR_EACH(i, call.total) {
        I rest = i, tap[3];
        for (int a = 2; a >= 0; --a) {
            tap[a] = rest % (I)call.kernel[a];
            rest /= (I)call.kernel[a];
        }
        I c = rest % icg;
        rest /= icg;
        const I o = rest % (I)call.oc, part = rest / (I)call.oc;
        c += o / ocg * icg;
        I pair = part * (I)call.chunk, end = pair + (I)call.chunk;
        if (end > pairs) end = pairs;
        T sum{};
        for (; pair < end; ++pair) {
            I n = pair / outputs, j = pair % outputs, from = n * (I)call.x[0] + c * (I)call.x[1];
            I at = n * (I)call.y[0] + o * (I)call.y[1];
            bool inside = true;
            for (int a = 2; a >= 0; --a) {
                I q = j % (I)call.out[a], p = q * (I)call.stride[a] - (I)call.lo[a] + tap[a] * (I)call.dilation[a];
                j /= (I)call.out[a];
                inside = inside && p >= 0 && p < (I)call.in[a];
                from += p * (I)call.x[a + 2];
                at += q * (I)call.y[a + 2];
            }
            if (inside) sum = sum + y[at] * x[from];
        }
        partial[i] = sum;
    }
}

// ------------------------------------------------------------------------------------------ pooling

enum { MAX, MIN, SUM, AVG, LP, LP_INF };

// The first of equal extremes wins, but the last NaN.
template <class T, int KIND> struct Better {
    __device__ static bool than(T a, T b) { return (KIND == MIN ? a < b : a > b) || a != a; }
};
template <int KIND> struct Better<unsigned char, KIND> {  // also bool
    __device__ static bool than(unsigned char a, unsigned char b) { return KIND == MIN ? a < b : a > b; }
};

template <class T> __device__ inline double power(T v, double p) {
    double size = v < 0 ? -(double)v : (double)v;
    return p == 1 ? size : p == 2 ? size * size : pow(size, p);
}

// Extremes and where they were found (flat in the plane, -1 for an empty window, whose value is `empty`).
template <class T, class I, int KIND>
__global__ void pool_extreme(Call call, const T* x, T* y, long long* indices, T empty) {
    FOR_EACH(i, call.total) {
        const Place<I> to(i, call.out, (I)call.c, call.last);
        const Taps<I> d(call, 0, to.at[0]), h(call, 1, to.at[1]), w(call, 2, to.at[2]);
        const T* plane = x + (to.n * (I)call.x[0] + to.c * (I)call.x[1]);
        T best = empty;
        long long place = -1;
        for (I td = d.begin; td < d.end; ++td) {
            const I pd = d.first + td * (I)call.dilation[0];
            for (I th = h.begin; th < h.end; ++th) {
                const I ph = h.first + th * (I)call.dilation[1], row = pd * (I)call.x[2] + ph * (I)call.x[3];
                for (I tw = w.begin; tw < w.end; ++tw) {
                    const I pw = w.first + tw * (I)call.dilation[2];
                    T value = plane[row + pw * (I)call.x[4]];
                    if (KIND == LP_INF && value < 0) value = -value;
                    if (place < 0 || Better<T, KIND>::than(value, best)) {
                        const I at[3] = {pd, ph, pw};
                        best = value;
                        place = flat<I>(call, at);
                    }
                }
            }
        }
        if (y) y[to.in(call.y)] = best;
        if (indices) indices[to.in(call.z)] = place;
    }
}

template <class I> struct Divisor {
    // What the sum over a window is divided by.
    __device__ static long long of(const Call& call, const I* o, const Taps<I>& d, const Taps<I>& h, const Taps<I>& w) {
        if (call.divisor) return call.divisor;
        if (!call.count_pad) return (long long)d.size() * h.size() * w.size();
        return (long long)counted<I>(call, 0, o[0], d) * counted<I>(call, 1, o[1], h) * counted<I>(call, 2, o[2], w);
    }
};

template <class T, class I, int KIND> __global__ void pool_sum(Call call, const T* x, T* y) {
    FOR_EACH(i, call.total) {
        const Place<I> to(i, call.out, (I)call.c, call.last);
        const Taps<I> d(call, 0, to.at[0]), h(call, 1, to.at[1]), w(call, 2, to.at[2]);
        const T* plane = x + (to.n * (I)call.x[0] + to.c * (I)call.x[1]);
        T sum{};
        for (I td = d.begin; td < d.end; ++td) {
            const I depth = (d.first + td * (I)call.dilation[0]) * (I)call.x[2];
            for (I th = h.begin; th < h.end; ++th) {
                const I row = depth + (h.first + th * (I)call.dilation[1]) * (I)call.x[3];
                for (I tw = w.begin; tw < w.end; ++tw)
                    sum = sum + plane[row + (w.first + tw * (I)call.dilation[2]) * (I)call.x[4]];
            }
        }
        if (KIND == AVG && d.size() && h.size() && w.size())
            sum = Divides<T>::by(sum, Divisor<I>::of(call, to.at, d, h, w));
        y[to.in(call.y)] = sum;
    }
}

template <class T, class I> __global__ void pool_norm(Call call, const T* x, T* y, double p) {
    FOR_EACH(i, call.total) {
        const Place<I> to(i, call.out, (I)call.c, call.last);
        const Taps<I> d(call, 0, to.at[0]), h(call, 1, to.at[1]), w(call, 2, to.at[2]);
        const T* plane = x + (to.n * (I)call.x[0] + to.c * (I)call.x[1]);
        double sum = 0;
        for (I td = d.begin; td < d.end; ++td) {
            const I depth = (d.first + td * (I)call.dilation[0]) * (I)call.x[2];
            for (I th = h.begin; th < h.end; ++th) {
                const I row = depth + (h.first + th * (I)call.dilation[1]) * (I)call.x[3];
                for (I tw = w.begin; tw < w.end; ++tw)
                    sum += power(plane[row + (w.first + tw * (I)call.dilation[2]) * (I)call.x[4]], p);
            }
        }
        y[to.in(call.y)] = (T)(p == 1 ? sum : p == 2 ? sqrt(sum) : pow(sum, 1 / p));
    }
}

// The adjoint of a sum or an average: each input element gathers the windows that hold it.  Threads run over x.
template <class T, class I, int KIND> __global__ void pool_grad(Call call, const T* grad_y, T* grad_x) {
    FOR_EACH(i, call.total) {
        const Place<I> to(i, call.in, (I)call.c, call.last);
        const Reach<I> d(call, 0, to.at[0]), h(call, 1, to.at[1]), w(call, 2, to.at[2]);
        T sum{};
        I o[3];
        for (o[0] = d.begin; o[0] < d.end; ++o[0]) {
            if (!call.adaptive && tap_of<I>(call, 0, o[0], to.at[0]) < 0) continue;
            const Taps<I> wd(call, 0, o[0]);
            for (o[1] = h.begin; o[1] < h.end; ++o[1]) {
                if (!call.adaptive && tap_of<I>(call, 1, o[1], to.at[1]) < 0) continue;
                const Taps<I> wh(call, 1, o[1]);
                for (o[2] = w.begin; o[2] < w.end; ++o[2]) {
                    if (!call.adaptive && tap_of<I>(call, 2, o[2], to.at[2]) < 0) continue;
                    T grad = grad_y[to.n * (I)call.y[0] + to.c * (I)call.y[1] + o[0] * (I)call.y[2] +
                                    o[1] * (I)call.y[3] + o[2] * (I)call.y[4]];
                    if (KIND == AVG) {
                        const Taps<I> ww(call, 2, o[2]);
                        grad = Divides<T>::share(grad, Divisor<I>::of(call, o, wd, wh, ww));
                    }
                    sum = sum + grad;
                }
            }
        }
        grad_x[to.in(call.x)] = sum;
    }
}

// The gradient of a p-norm at x: (|x| / y) ** (p - 1) * sign(x) of each window; for p = inf that of the element which
// `indices` names.  grad_y and y lie by call.y, indices by call.z, and x and grad_x by call.x.
template <class T, class I>
__global__ void pool_norm_grad(Call call, const T* grad_y, const T* x, const T* y, const long long* indices, T* grad_x,
                               double p) {
    FOR_EACH(i, call.total) {
        const Place<I> to(i, call.in, (I)call.c, call.last);
        const Reach<I> d(call, 0, to.at[0]), h(call, 1, to.at[1]), w(call, 2, to.at[2]);
        const I here = to.in(call.x);
        const T value = x[here];
        const double size = value < 0 ? -(double)value : (double)value;
        const double sign = value > 0 ? 1 : value < 0 ? -1 : (double)value;  // NaN stays NaN
        double sum = 0;
        Place<I> from = to;
        for (from.at[0] = d.begin; from.at[0] < d.end; ++from.at[0]) {
            if (tap_of<I>(call, 0, from.at[0], to.at[0]) < 0) continue;
            for (from.at[1] = h.begin; from.at[1] < h.end; ++from.at[1]) {
                if (tap_of<I>(call, 1, from.at[1], to.at[1]) < 0) continue;
                for (from.at[2] = w.begin; from.at[2] < w.end; ++from.at[2]) {
                    if (tap_of<I>(call, 2, from.at[2], to.at[2]) < 0) continue;
                    const I at = from.in(call.y);
                    if (indices) {
                        if (indices[from.in(call.z)] == flat<I>(call, to.at)) sum += (double)grad_y[at] * sign;
                    } else if (value != 0) {
                        const double share = size / (double)y[at];
                        sum += (double)grad_y[at] * ((p == 1 ? 1 : p == 2 ? share : pow(share, p - 1)) * sign);
                    }
                }
            }
        }
        grad_x[here] = (T)sum;
    }
}

// ------------------------------------------------------------------------------------------ unpooling

template <class I> __device__ inline I unravel(const Call& call, const Place<I>& from, I place) {
    I offset = from.n * (I)call.y[0] + from.c * (I)call.y[1];
    for (int a = 2; a >= 0; --a) {
        offset += place % (I)call.in[a] * (I)call.y[a + 2];
        place /= (I)call.in[a];
    }
    return offset;
}

// winner[n, c, place] = the last output that names the place.  Threads run over the outputs, here and below.
template <class I> __global__ void unpool_mark(Call call, const long long* indices, long long* winner) {
    const I plane = (I)(call.in[0] * call.in[1] * call.in[2]), outputs = (I)(call.out[0] * call.out[1] * call.out[2]);
    FOR_EACH(i, call.total) {
        const Place<I> from(i, call.out, (I)call.c, false);
        const long long place = indices[from.in(call.z)];
        if (place >= 0) atomicMax(winner + ((from.n * (I)call.c + from.c) * plane + (I)place), (long long)(i % outputs));
    }
}

template <class T, class I>
__global__ void unpool_write(Call call, const T* x, const long long* indices, const long long* winner, T* y) {
    const I plane = (I)(call.in[0] * call.in[1] * call.in[2]), outputs = (I)(call.out[0] * call.out[1] * call.out[2]);
    FOR_EACH(i, call.total) {
        const Place<I> from(i, call.out, (I)call.c, false);
        const long long place = indices[from.in(call.z)];
        if (place >= 0 && winner[(from.n * (I)call.c + from.c) * plane + (I)place] == (long long)(i % outputs))
            y[unravel<I>(call, from, (I)place)] = x[from.in(call.x)];
    }
}

// Sums of floats at one place may round differently from run to run: the order of the additions is not fixed.
template <class T, class I> __global__ void unpool_add(Call call, const T* x, const long long* indices, T* y) {
    FOR_EACH(i, call.total) {
        const Place<I> from(i, call.out, (I)call.c, false);
        const long long place = indices[from.in(call.z)];
        if (place >= 0) add_at(y + unravel<I>(call, from, (I)place), x[from.in(call.x)]);
    }
}
