// Pooling and unpooling.

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
