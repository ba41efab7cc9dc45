// What every generated rollout shares: lane vectors, elementary functions, the two matrix products.
//
// Axes: a lane is one sample of the batch; a vector V holds some of them, a tile of TILE lanes NV vectors.
// A value of the step is stored as element × lane: a[e * NV + v]. T is float or double.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <type_traits>

// A vector is one register of the machine: a wider one has its comparisons done number by number.
#if defined(__AVX512F__)
constexpr int BYTES = 64, REGISTERS = 32;
#elif defined(__AVX2__)
constexpr int BYTES = 32, REGISTERS = 16;
#elif defined(__aarch64__)
constexpr int BYTES = 16, REGISTERS = 32;
#else
constexpr int BYTES = 16, REGISTERS = 16;
#endif
constexpr int W = BYTES / sizeof(T);  // lanes in a vector
constexpr int NV = TILE / W;          // vectors in a tile
constexpr int HELD = REGISTERS == 32 ? 25 : 12;  // most sums of a product side by side; its operands need registers too
typedef T V __attribute__((vector_size(BYTES)));
typedef std::conditional_t<sizeof(T) == 4, int32_t, int64_t> I;
typedef I IV __attribute__((vector_size(BYTES)));

static inline V splat(T x) { return x - V{}; }
static inline V bits(IV x) { V y; std::memcpy(&y, &x, sizeof y); return y; }

// exp by reduction to |r| ≤ ln(2)/2; float: polynomial, double: rational (Moshier, Cephes). NaN and ±inf as libm's; what
// libm would round to a subnormal number is 0.
static inline V vexp(V x) {
  constexpr bool single = sizeof(T) == 4;
  constexpr int mantissa = single ? 23 : 52, bias = single ? 127 : 1023;
  const T high = single ? 89 : 710, low = single ? -87.2 : -708.2;
  x = x > high ? splat(high) : x;
  x = x < low ? splat(low) : x;
  // Its last bits are the number of doublings.
  const T magic = single ? T(12582912) : T(6755399441055744.0);
  const V shifted = x * T(1.44269504088896340736) + magic, n = shifted - magic;
  V y;
  if constexpr (single) {
    const V r = x - n * T(0.693359375) + n * T(2.12194440e-4);
    V p = splat(T(1.9875691500e-4));
    p = p * r + T(1.3981999507e-3);
    p = p * r + T(8.3334519073e-3);
    p = p * r + T(4.1665795894e-2);
    p = p * r + T(1.6666665459e-1);
    p = p * r + T(5.0000001201e-1);
    y = p * (r * r) + r + T(1);
  } else {
    const V r = x - n * T(6.93145751953125e-1) - n * T(1.42860682030941723212e-6);
    const V z = r * r;
    const V p = r * ((T(1.26177193074810590878e-4) * z + T(3.02994407707441961300e-2)) * z + T(1));
    const V q = ((T(3.00198505138664455042e-6) * z + T(2.52448340349684104192e-3)) * z + T(2.27265548208155028766e-1)) * z + T(2);
    y = T(1) + T(2) * p / (q - p);
  }
  // One doubling apart from the others, so that the largest numbers do not overflow early.
  IV k;
  std::memcpy(&k, &shifted, sizeof k);
  return (y + y) * bits((k + I(bias - 1)) << mantissa);
}

static inline V vsigmoid(V x) { return T(1) / (T(1) + vexp(-x)); }

// tanh. Float: x P(x²)/Q(x²) on |x| ≤ 7.9, where tanh rounds to 1; P and Q fitted to the smallest largest relative error
// (6e-9) by reweighted least squares. Double: rational near 0 (Moshier, Cephes), by exp elsewhere.
static inline V vtanh(V x) {
  if constexpr (sizeof(T) == 4) {
    const T end = T(7.9);
    V a = x > end ? splat(end) : x;
    a = a < -end ? splat(-end) : a;
    const V z = a * a;
    V p = splat(T(1.5428213373525068e-8));
    p = p * z + T(2.2023414203431457e-5);
    p = p * z + T(3.5790023393929005e-3);
    p = p * z + T(1.3450628519058228e-1);
    p = p * z + T(1);
    V q = splat(T(8.598877343501954e-7));
    q = q * z + T(3.4236672217957675e-4);
    q = q * z + T(2.6192277669906616e-2);
    q = q * z + T(4.678395688533783e-1);
    q = q * z + T(1);
    return a * p / q;
  } else {
    const V a = x < T(0) ? -x : x, z = x * x;
    const V p = (T(-9.64399179425052238628e-1) * z + T(-9.92877231001918586564e1)) * z + T(-1.61468768441708447952e3);
    const V q = ((z + T(1.12811678491632931402e2)) * z + T(2.23548839060100448583e3)) * z + T(4.84406305325125486048e3);
    const V large = T(1) - T(2) / (vexp(T(2) * a) + T(1));
    return a < T(0.625) ? x + x * z * (p / q) : (x < T(0) ? -large : large);
  }
}

template <class F> static inline V lanewise(V x, F f) {
  for (int i = 0; i < W; i++) x[i] = f(x[i]);
  return x;
}
template <class F> static inline V lanewise(V x, V y, F f) {
  for (int i = 0; i < W; i++) x[i] = f(x[i], y[i]);
  return x;
}
static inline V vsqrt(V x) { return lanewise(x, [](T a) { return std::sqrt(a); }); }
static inline V vlog(V x) { return lanewise(x, [](T a) { return std::log(a); }); }
static inline V vsin(V x) { return lanewise(x, [](T a) { return std::sin(a); }); }
static inline V vcos(V x) { return lanewise(x, [](T a) { return std::cos(a); }); }
static inline V verf(V x) { return lanewise(x, [](T a) { return std::erf(a); }); }
static inline V vpow(V x, T p) { return lanewise(x, [p](T a) { return std::pow(a, p); }); }
// NaN on either side comes out, as in torch.
static inline V vmax(V a, V b) { return (a > b) | (a != a) ? a : b; }
static inline V vmin(V a, V b) { return (a < b) | (a != a) ? a : b; }

static inline T total(V x) {
  T part[W];
  std::memcpy(part, &x, sizeof x);
  for (int width = W / 2; width > 0; width /= 2)
    for (int i = 0; i < width; i++) part[i] += part[i + width];
  return part[0];
}

// What the next step will read or write, asked for line by line while products keep the arithmetic busy.
struct Line {
  char bytes[64];
};
template <bool WRITE> struct Soon {
  const Line *at, *end;
  Soon(const V* from, const V* to)
      : at(reinterpret_cast<const Line*>(from)), end(reinterpret_cast<const Line*>(to)) {}
  const Line* take(int lines) {
    const Line* from = at;
    at = end - at > lines ? at + lines : end;
    return from;
  }
  static void fetch(const Line* line) { __builtin_prefetch(line, WRITE, 2); }
};

// y[n] (+)= Σ_k x[k] w[n·SN + k·SK], a block of NB rows of VB vectors at a time, so that the sums stay in registers.
template <int NB, int VB, int K, int SN, int SK, class S, class Init>
static inline void rows(V* __restrict y, const V* __restrict x, const T* __restrict w, S& soon, Init init) {
  V sum[NB][VB];
#pragma GCC unroll 8
  for (int j = 0; j < NB; j++)
#pragma GCC unroll 8
    for (int v = 0; v < VB; v++) sum[j][v] = init(j, v);
  const Line* const line = soon.take(K * VB / NV);
#pragma GCC unroll 1
  for (int k = 0; k < K; k++) {
    S::fetch(line + k * VB / NV);
#pragma GCC unroll 8
    for (int j = 0; j < NB; j++)
#pragma GCC unroll 8
      for (int v = 0; v < VB; v++) sum[j][v] += w[j * SN + k * SK] * x[k * NV + v];
  }
#pragma GCC unroll 8
  for (int j = 0; j < NB; j++)
#pragma GCC unroll 8
    for (int v = 0; v < VB; v++) y[j * NV + v] = sum[j][v];
}

template <int N, int K, int SN, int SK, class S, class Init>
static inline void matmul(V* __restrict y, const V* __restrict x, const T* __restrict w, S& soon, Init init) {
  constexpr int NB = 6, VB = HELD / NB, rest = N % NB;
  for (int n = 0; n + NB <= N; n += NB)
    for (int v = 0; v < NV; v += VB)
      rows<NB, VB, K, SN, SK>(y + n * NV + v, x + v, w + n * SN, soon, [&](int j, int i) { return init(n + j, v + i); });
  if constexpr (rest > 0)
    for (int v = 0; v < NV; v += VB)
      rows<rest, VB, K, SN, SK>(y + (N - rest) * NV + v, x + v, w + (N - rest) * SN, soon,
                                [&](int j, int i) { return init(N - rest + j, v + i); });
}

// A tile of samples between rows (sample, time, element) and lanes; lanes beyond the batch repeat the first sample.
#if defined(__GNUC__) && !defined(__clang__)
// Which elements of two rows, W and 2W in one, make up their exchange at distance d.
struct Exchange {
  I low[W][W] = {}, high[W][W] = {};
  constexpr Exchange() {
    for (int d = 1; d < W; d *= 2)
      for (int i = 0; i < W; i++) low[d][i] = i & d ? W + i - d : i, high[d][i] = i & d ? W + i : i + d;
  }
};
alignas(64) static constexpr Exchange EXCHANGE;
// W samples of W elements, transposed in registers: log W rounds of exchanges between rows at a distance.
static inline void transpose(V* a) {
#pragma GCC unroll 8
  for (int d = 1; d < W; d *= 2) {
    IV low, high;
    std::memcpy(&low, EXCHANGE.low[d], sizeof low);
    std::memcpy(&high, EXCHANGE.high[d], sizeof high);
#pragma GCC unroll 16
    for (int r = 0; r < W; r++)
      if (!(r & d)) {
        const V x = a[r], y = a[r + d];
        a[r] = __builtin_shuffle(x, y, low);
        a[r + d] = __builtin_shuffle(x, y, high);
      }
  }
}
constexpr bool EXCHANGES = true;
#else
static inline void transpose(V*) {}
constexpr bool EXCHANGES = false;
#endif

template <int N> static inline void read(V* __restrict a, const T* __restrict from, long stride, int lanes) {
  T* flat = reinterpret_cast<T*>(a);
  int done = 0;
  if constexpr (EXCHANGES && N >= W)
    if (lanes == TILE)
      for (; done + W <= N; done += W)
        for (int v = 0; v < NV; v++) {
          V block[W];
          for (int b = 0; b < W; b++) std::memcpy(block + b, from + (v * W + b) * stride + done, sizeof(V));
          transpose(block);
          for (int e = 0; e < W; e++) a[(done + e) * NV + v] = block[e];
        }
  for (int b = 0; b < TILE; b++)
    for (int e = done; e < N; e++) flat[e * TILE + b] = from[(b < lanes ? b : 0) * stride + e];
}

template <int N> static inline void store(T* __restrict to, long stride, const V* __restrict a, int lanes) {
  const T* flat = reinterpret_cast<const T*>(a);
  int done = 0;
  if constexpr (EXCHANGES && N >= W)
    if (lanes == TILE)
      for (; done + W <= N; done += W)
        for (int v = 0; v < NV; v++) {
          V block[W];
          for (int e = 0; e < W; e++) block[e] = a[(done + e) * NV + v];
          transpose(block);
          for (int b = 0; b < W; b++) std::memcpy(to + (v * W + b) * stride + done, block + b, sizeof(V));
        }
  for (int b = 0; b < lanes; b++)
    for (int e = done; e < N; e++) to[b * stride + e] = flat[e * TILE + b];
}

// y[lane][element] of x[element][lane], with zeros up to whole vectors of elements.
template <int N> static inline void flip(V* __restrict y, const V* __restrict x) {
  constexpr int P = (N + W - 1) / W;
  for (int p = 0; p < P; p++)
    for (int v = 0; v < NV; v++) {
      V block[W];
#pragma GCC unroll 16
      for (int e = 0; e < W; e++) block[e] = p * W + e < N ? x[(p * W + e) * NV + v] : V{};
      if constexpr (EXCHANGES) {
        transpose(block);
      } else {
        V from[W];
        std::memcpy(from, block, sizeof block);
        for (int b = 0; b < W; b++)
          for (int e = 0; e < W; e++) block[b][e] = from[e][b];
      }
#pragma GCC unroll 16
      for (int b = 0; b < W; b++) y[(v * W + b) * P + p] = block[b];
    }
}

// w[o·SO + i·SI] += Σ_lanes g[o] x[i] for OB rows and IB vectors of elements i, the last of which may be broken off at N.
template <int OB, int IB, int N, int P, int SO, int SI, class S>
static inline void patch(T* __restrict w, const T* __restrict g, const V* __restrict x, S& soon) {
  constexpr bool whole = SI == 1 && N >= IB * W;
  V sum[OB][IB] = {};
  if constexpr (whole)
#pragma GCC unroll 16
    for (int o = 0; o < OB; o++) std::memcpy(sum[o], w + o * SO, sizeof sum[o]);
  const Line* const line = soon.take(TILE);
#pragma GCC unroll 1
  for (int b = 0; b < TILE; b++) {
    S::fetch(line + b);
#pragma GCC unroll 16
    for (int o = 0; o < OB; o++)
#pragma GCC unroll 8
      for (int i = 0; i < IB; i++) sum[o][i] += g[o * TILE + b] * x[b * P + i];
  }
#pragma GCC unroll 16
  for (int o = 0; o < OB; o++)
    if constexpr (whole)
      std::memcpy(w + o * SO, sum[o], sizeof sum[o]);
    else
      for (int i = 0; i < N; i++) w[o * SO + i * SI] += sum[o][i / W][i % W];
}

template <int IB, int M, int N, int P, int SO, int SI, class S>
static inline void strip(T* w, const T* g, const V* x, S& soon) {
  // As many sums as stay in registers.
  constexpr int OB = HELD / IB < 12 ? HELD / IB : 12, rest = M % OB;
  for (int o = 0; o + OB <= M; o += OB) patch<OB, IB, N, P, SO, SI>(w + o * SO, g + o * TILE, x, soon);
  if constexpr (rest > 0) patch<rest, IB, N, P, SO, SI>(w + (M - rest) * SO, g + (M - rest) * TILE, x, soon);
}

// The gradient of a weight: w[o·SO + i·SI] += Σ_lanes g[o] x[i], x with samples as rows, so that no sum runs across lanes.
template <int M, int N, int SO, int SI, class S> static inline void outer(T* w, const V* g, const V* x, S& soon) {
  constexpr int P = (N + W - 1) / W, MOST = REGISTERS == 32 ? 5 : 2, IB = N / W < MOST ? N / W : MOST;
  const T* flat = reinterpret_cast<const T*>(g);
  if constexpr (IB > 0) {
    constexpr int whole = N / W / IB * IB, rest = N / W - whole;
    for (int p = 0; p < whole; p += IB) strip<IB, M, IB * W, P, SO, SI>(w + p * W * SI, flat, x + p, soon);
    if constexpr (rest > 0) strip<rest, M, rest * W, P, SO, SI>(w + whole * W * SI, flat, x + whole, soon);
  }
  if constexpr (N % W > 0) strip<1, M, N % W, P, SO, SI>(w + N / W * W * SI, flat, x + N / W, soon);
}
