// The gradients of convolution and pooling that gather: no thread adds to what another one writes.

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
