// A step of the pair whose coefficients stand above, and what lies within it. N numbers a stage and tile.

constexpr long N = STATE * NV;
constexpr int LAST = STAGES - 1;
constexpr double SAFETY = 0.9, GROWTH = 10, SHRINKAGE = 0.2;

static void add(V* to, const V* from) {
  for (long e = 0; e < N; e++) to[e] += from[e];
}

// An accepted step, and the first of the outputs that are interpolated in it.
struct Step {
  double from, to;
  T size;
  long output;
};

// What the slopes of a step's stages are multiplied with.
struct Weights {
  T of[STAGES];
  Weights(const double* row, T size) {
    for (int s = 0; s < STAGES; s++) of[s] = T(row[s]) * size;
  }
  // Of output l: the quartic through both ends, both slopes and the middle, as y₀ + Σ w_s k_s.
  Weights(const Step& step, long l) {
    const T x = T((l + 1 - step.from) / (step.to - step.from)), xx = x * x;
    const T end = xx * (-5 + x * (14 - 8 * x)), middle = 16 * xx * (1 + x * (x - 2));
    for (int s = 0; s < STAGES; s++) of[s] = end * T(A[LAST][s]) + middle * T(MIDDLE[s]);
    of[0] += x * (1 + x * (-4 + x * (5 - 2 * x)));
    of[LAST] += xx * (1 + x * (2 * x - 3));
    for (int s = 0; s < STAGES; s++) of[s] *= step.size;
  }
  V sum(const V* k, long e, int stages) const {
    V sum{};
    for (int s = 0; s < stages; s++) sum += of[s] * k[s * N + e];
    return sum;
  }
  void apply(V* out, const V* y, const V* k, int stages) const {
    for (long e = 0; e < N; e++) out[e] = y[e] + sum(k, e, stages);
  }
  void transposed(V* gk, const V* g, int stages) const {
    for (int s = 0; s < stages; s++)
      if (of[s] != 0)
        for (long e = 0; e < N; e++) gk[s * N + e] += of[s] * g[e];
  }
};
