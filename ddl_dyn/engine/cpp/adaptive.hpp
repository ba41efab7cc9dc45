// Adaptive Runge–Kutta over time and back. An item of work is a replica, which chooses its steps as if it were alone.
//
// The error of all tiles of a replica decides the size of a step, so they advance side by side. The last stage of a step
// is the first of the next: S stages are S − 1 new evaluations of the field. Their slots on the tape lie in the order
// (step, tile, stage), behind the slots (tile) of the very first evaluation.
#include <algorithm>
#include <vector>

// Memory of one worker, laid out in what the caller hands in.
struct Work {
  long tiles;
  Arena arena;
  Lift lift;
  V *scratch, *y, *k, *d, *point, *seen, *want, *wanted, *gy, *gfirst, *g, *base, *none, *sums, *loss;
  Work(const Problem& p, V* at)
      : tiles((p.batch + TILE - 1) / TILE),
        arena{at},
        lift(arena, tiles) {
    scratch = arena.take(std::max({lift::SCRATCH, field::SCRATCH, readout::SCRATCH}) * NV);
    y = arena.take(tiles * N);
    k = arena.take(tiles * STAGES * N);
    d = arena.take(N);
    point = arena.take(readout::TAPE * NV);
    seen = arena.take(OBSERVED * NV);
    if (!p.target) return;
    want = arena.take(OBSERVED * NV);
    wanted = arena.take(p.steps * tiles * N);
    gy = arena.take(tiles * N);
    gfirst = arena.take(tiles * N);
    g = arena.take(STAGES * N);
    base = arena.take(N);
    none = arena.take(N);
    sums = arena.take(field::SUMS + readout::SUMS);
    loss = arena.take(NV);
  }
};

// What grows with the number of steps. It is kept from call to call, for new pages are slow.
struct Tape {
  std::vector<V> slots, states;
  std::vector<Step> steps;
};

// The free run of one replica and its gradient.
struct Run {
  const Problem& p;
  const T* const* phi;
  Work& work;
  Tape& tape;
  T* dphi;
  std::vector<Tile> tiles;
  long evaluations = 0;

  Run(const Problem& p, const T* const* phi, Work& work, Tape& tape, long r, T* dphi)
      : p(p), phi(phi), work(work), tape(tape), dphi(dphi) {
    for (long i = 0; i < work.tiles; i++) tiles.emplace_back(p, r, i);
    tape.steps.clear();
    tape.states.clear();
  }

  V* y(long i) const { return work.y + i * N; }
  V* k(long i) const { return work.k + i * STAGES * N; }
  bool keeps_slots() const { return p.target && !p.segment; }
  V* slot(long step, long i, int s) {
    const long block = keeps_slots() ? step : 0, end = work.tiles * (1 + (block + 1) * LAST) * field::TAPE * NV;
    if (long(tape.slots.size()) < end) tape.slots.resize(2 * end);
    return tape.slots.data() + (s ? work.tiles + (block * work.tiles + i) * LAST + s - 1 : i) * field::TAPE * NV;
  }

  __attribute__((noinline)) void evaluate(V* slot, T time, V* slope) const {
    if constexpr (field::INPUTS > 0)
      for (int v = 0; v < NV; v++) slot[N + v] = splat(time);
    field::ahead(phi, slot, slope, work.scratch, nullptr);
  }
  void evaluate_start(T time) {
    for (long i = 0; i < work.tiles; i++) {
      std::memcpy(slot(0, i, 0), y(i), N * sizeof(V));
      evaluate(slot(0, i, 0), time, k(i));
    }
  }
  void evaluate_stages(long step, double from, double to, T size) {
    for (long i = 0; i < work.tiles; i++)
      for (int s = 1; s < STAGES; s++) {
        V* const here = slot(step, i, s);
        Weights(A[s], size).apply(here, y(i), k(i), s);
        // A field that jumps at the end of the step is met before it does.
        const T time = NODES[s] == 1 ? std::nextafter(T(to), T(to) - 1) : T(from) + T(NODES[s]) * size;
        evaluate(here, time, k(i) + s * N);
      }
  }

  // Root mean square of f(tile, element) over samples and elements.
  template <class F> T norm(F f) const {
    T sum = 0;
    for (long i = 0; i < work.tiles; i++)
      for (int v = 0; v < NV; v++) {
        V squares{};
        for (long e = v; e < N; e += NV) {
          const V x = f(i, e);
          squares += x * x;
        }
        sum += total(tiles[i].real[v] ? squares : V{});
      }
    return std::sqrt(sum / (T(p.batch) * STATE));
  }

  // Size of the first step: Hairer, Nørsett & Wanner (1993), Solving Ordinary Differential Equations I, section II.4.
  double first_size() {
    const auto scale = [&](long i, long e) { return T(ATOL) + T(RTOL) * vmax(y(i)[e], -y(i)[e]); };
    const T d0 = norm([&](long i, long e) { return y(i)[e] / scale(i, e); });
    const T d1 = norm([&](long i, long e) { return k(i)[e] / scale(i, e); });
    const T h0 = d0 < T(1e-5) || d1 < T(1e-5) ? T(1e-6) : T(0.01) * d0 / d1;
    for (long i = 0; i < work.tiles; i++) {
      V* const here = slot(0, i, 1);
      for (long e = 0; e < N; e++) here[e] = y(i)[e] + h0 * k(i)[e];
      evaluate(here, h0, k(i) + N);
    }
    const T d2 = norm([&](long i, long e) { return (k(i)[N + e] - k(i)[e]) / scale(i, e); }) / h0;
    const T steepest = d2 > d1 ? d2 : d1, flat = h0 * T(1e-3) > T(1e-6) ? h0 * T(1e-3) : T(1e-6);
    const T h1 = d1 <= T(1e-15) && d2 <= T(1e-15) ? flat : std::pow(T(0.01) / steepest, T(1) / ORDER);
    return 100 * h0 < h1 ? 100 * h0 : h1;
  }

  // The error of a step that was tried, as a multiple of what is tolerated.
  T error(long step, T size) {
    const Weights weights(ERROR, size);
    return norm([&](long i, long e) {
      const V a = y(i)[e], b = slot(step, i, LAST)[e];
      return weights.sum(k(i), e, STAGES) / (T(ATOL) + T(RTOL) * vmax(vmax(a, -a), vmax(b, -b)));
    });
  }

  bool finite(long step) {
    V zero{};
    for (long i = 0; i < work.tiles; i++)
      for (long e = 0; e < N; e++) zero += slot(step, i, LAST)[e] * T(0);
    return total(zero) == 0;
  }

  // An output within a step: its observed state, or that state's loss and the gradient of the loss by the latent state.
  void observe(const Step& step, long l, T* out) {
    const Weights weights(step, l);
    for (long i = 0; i < work.tiles; i++) {
      const Tile& tile = tiles[i];
      weights.apply(work.point, y(i), k(i), STAGES);
      readout::ahead(phi, work.point, work.d, work.scratch, work.seen);
      if (!p.target) {
        store<OBSERVED>(out + (tile.row * p.steps + l) * OBSERVED, p.steps * OBSERVED, work.seen, tile.lanes);
        continue;
      }
      read<OBSERVED>(work.want, p.target + tile.row * p.target_stride + l * OBSERVED, p.target_stride, tile.lanes);
      residual(p, tile, work.seen, work.want, work.loss);
      V* const wanted = work.wanted + (l * work.tiles + i) * N;
      readout::back(phi, work.point, work.scratch, work.none, work.seen, wanted, work.sums + field::SUMS, dphi);
    }
  }

  // Forward; returns the number of outputs that were reached.
  long ahead(T* out) {
    for (long i = 0; i < work.tiles; i++)
      work.lift.ahead(p, tiles[i], i, phi, work.scratch, y(i));
    evaluate_start(0);
    double size = first_size(), time = 0;
    evaluations = 2;
    long l = 0;
    for (long attempts = 1; l < p.steps; attempts++) {
      const Step step{time, time + size, T(size), l};
      if (attempts > ATTEMPTS || !(step.to > time) || !std::isfinite(size)) break;
      const long j = tape.steps.size();
      evaluate_stages(j, step.from, step.to, step.size);
      evaluations += LAST;
      const double ratio = error(j, step.size);
      if (ratio <= 1) {
        if (!finite(j)) break;
        for (; l < p.steps && l + 1 <= step.to; attempts = 0) observe(step, l++, out);
        accept(step, j);
        time = step.to;
      }
      const double factor = SAFETY / std::pow(ratio, 1.0 / ORDER), least = ratio < 1 ? 1 : SHRINKAGE;
      // A ratio that is not a number ends the run: so does the size that follows from it.
      size *= ratio == 0 || factor > GROWTH ? GROWTH : factor < least ? least : factor;
    }
    return l;
  }

  void accept(const Step& step, long j) {
    if (p.target && p.segment) tape.states.insert(tape.states.end(), work.y, work.y + work.tiles * N);
    for (long i = 0; i < work.tiles; i++) {
      std::memcpy(y(i), slot(j, i, LAST), N * sizeof(V));
      std::memcpy(k(i), k(i) + LAST * N, N * sizeof(V));
    }
    if (p.target) tape.steps.push_back(step);
  }

  // The gradient through one evaluation, into `work.d`.
  __attribute__((noinline)) void pull(V* slot, V* g) const {
    field::back(phi, slot, work.scratch, g, work.none, work.d, work.sums, dphi);
  }

  // From the gradient by state and slope at the end of step j to that by both at its start, for one tile.
  void back_step(long j, long i) {
    const Step& step = tape.steps[j];
    const long outputs = j + 1 < long(tape.steps.size()) ? tape.steps[j + 1].output : p.steps;
    V *const gy = work.gy + i * N, *const gfirst = work.gfirst + i * N;
    std::memset(work.base, 0, N * sizeof(V));
    std::memset(work.g, 0, LAST * N * sizeof(V));
    std::memcpy(work.g + LAST * N, gfirst, N * sizeof(V));
    for (long l = step.output; l < outputs; l++) {
      const V* const wanted = work.wanted + (l * work.tiles + i) * N;
      Weights(step, l).transposed(work.g, wanted, STAGES);
      add(work.base, wanted);
    }
    for (int s = LAST; s > 0; s--) {
      pull(slot(j, i, s), work.g + s * N);
      if (s == LAST) add(work.d, gy);
      add(work.base, work.d);
      Weights(A[s], step.size).transposed(work.g, work.d, s);
    }
    std::memcpy(gy, work.base, N * sizeof(V));
    std::memcpy(gfirst, work.g, N * sizeof(V));
  }

  void back(T* dstart) {
    std::memset(work.gy, 0, work.tiles * N * sizeof(V));
    std::memset(work.gfirst, 0, work.tiles * N * sizeof(V));
    for (long j = tape.steps.size() - 1; j >= 0; j--) {
      if (p.segment) {
        const Step& step = tape.steps[j];
        std::memcpy(work.y, tape.states.data() + j * work.tiles * N, work.tiles * N * sizeof(V));
        evaluate_start(T(step.from));
        evaluate_stages(j, step.from, step.to, step.size);
      }
      for (long i = work.tiles - 1; i >= 0; i--) back_step(j, i);
    }
    for (long i = work.tiles - 1; i >= 0; i--) {
      pull(slot(0, i, 0), work.gfirst + i * N);
      add(work.d, work.gy + i * N);
      work.lift.back(tiles[i], i, phi, work.scratch, work.d, dphi, dstart);
    }
    field::finish(dphi, work.sums);
    readout::finish(dphi, work.sums + field::SUMS);
  }
};

static long worker_size(const Problem& p) { return Work(p, nullptr).arena.size; }

// Bytes of memory for a call.
extern "C" long workspace(const Problem* p) { return p->workers * worker_size(*p) * sizeof(V); }

static Tape& tape_of_thread() {
  static thread_local Tape tape;
  return tape;
}

static void run_replica(void* context, long r, long worker) {
  const Call& call = *static_cast<Call*>(context);
  const Problem& p = call.p;
  const T* mine[PHI > 0 ? PHI : 1];
  Work work(p, call.work(worker, worker_size(p)));
  Run run(p, parameters(p, r, mine), work, tape_of_thread(), r, nullptr);
  const long reached = run.ahead(call.out);
  for (long b = r * p.batch; b < (r + 1) * p.batch; b++)
    for (long e = reached * OBSERVED; e < p.steps * OBSERVED; e++) call.out[b * p.steps * OBSERVED + e] = NAN;
  p.counts[2 * r] = run.evaluations;
  p.counts[2 * r + 1] = p.steps - reached;
}

// Observed states (R, B, T, OBSERVED): not numbers from the interval on in which a solver gives up.
extern "C" void free_run(const Problem* p, T* out) {
  Call call{*p, out, nullptr, nullptr, nullptr};
  p->share(p->replicas, p->workers, run_replica, &call);
}

static void differentiate_replica(void* context, long r, long worker) {
  const Call& call = *static_cast<Call*>(context);
  const Problem& p = call.p;
  const T* mine[PHI > 0 ? PHI : 1];
  Work work(p, call.work(worker, worker_size(p)));
  T *const gradient = call.dphi + r * GRADIENT, *const loss = call.loss + r;
  std::memset(work.none, 0, N * sizeof(V));
  std::memset(gradient, 0, GRADIENT * sizeof(T));
  std::memset(work.sums, 0, (field::SUMS + readout::SUMS) * sizeof(V));
  std::memset(work.loss, 0, NV * sizeof(V));
  Run run(p, parameters(p, r, mine), work, tape_of_thread(), r, gradient);
  const long reached = run.ahead(nullptr);
  p.counts[2 * r] = run.evaluations;
  p.counts[2 * r + 1] = p.steps - reached;
  *loss = 0;
  if (reached == p.steps) {
    run.back(call.dstart);
    for (int v = 0; v < NV; v++) *loss += total(work.loss[v]);
    *loss /= T(p.batch) * p.steps * (p.loss == 0 ? OBSERVED : 1);
  } else {
    *loss = NAN;
    for (long e = 0; e < GRADIENT; e++) gradient[e] = NAN;
    for (long e = r * p.batch * lift::STATE; e < (r + 1) * p.batch * lift::STATE; e++) call.dstart[e] = NAN;
  }
}

// Losses (R,) and their gradients by φ (R, GRADIENT) and by the start (R, B, lift::STATE).
extern "C" void loss_and_gradient(const Problem* p, T* loss, T* dphi, T* dstart) {
  Call call{*p, nullptr, loss, dphi, dstart};
  p->share(p->replicas, p->workers, differentiate_replica, &call);
}
