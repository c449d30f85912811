// Convolution without columns.

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
