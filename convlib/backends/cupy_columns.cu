// im2col, col2im, and the results of products of columns put where they belong.

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
