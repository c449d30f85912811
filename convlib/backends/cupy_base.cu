// What every CUDA kernel of the backend `cupy` shares: the call, element types, index arithmetic.  The texts of all
// `cupy_*.cu` files are joined in the order of `cupy_device.SOURCES`; each uses what comes before it.
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
