// The call of a library, and the parts that every kind of free run has in common.

struct Problem {
  const T* const* phi;  // of replica 0
  const long* stride;   // from a replica to the next
  long replicas, batch, steps;
  long segment;  // 0: the tape keeps all steps; else it keeps the state at every segment's start
  const T* start;   // (R, B, lift::STATE)
  const T* inputs;  // (R, B, T, INPUTS)
  const T* target;  // (R, B, T, OBSERVED), null in a free run without a gradient
  long target_stride;  // from a sample to the next
  long loss;           // 0: mean squared error, 1: cross-entropy
  long* counts;        // (R, 2), where a solver chooses its steps: evaluations, intervals that it gave up on
  void (*share)(long count, long workers, void (*work)(void* context, long item, long worker), void* context);
  long workers;  // threads that `share` may use
  V* work;       // `workspace` bytes
};

static long tiles_of(const Problem& p) { return (p.batch + TILE - 1) / TILE; }

// Results of a call. Items of work are computed in any order by any worker; each has its memory, and sums over items
// are made afterwards in order, so that no number depends on the workers.
struct Call {
  const Problem& p;
  T *out, *loss, *dphi, *dstart;  // states; losses and their gradients
  V* work(long worker, long size) const { return p.work + worker * size; }
};

// Some samples of one replica: the first of them, and how many of the lanes are real.
struct Tile {
  long row;
  int lanes;
  IV real[NV];
  Tile(const Problem& p, long r, long tile) : row(r * p.batch + tile * TILE) {
    const long left = p.batch - tile * TILE;
    lanes = left < TILE ? left : TILE;
    for (int b = 0; b < TILE; b++) real[b / W][b % W] = b < lanes ? -1 : 0;
  }
};

static const T* const* parameters(const Problem& p, long r, const T** mine) {
  for (int i = 0; i < PHI; i++) mine[i] = p.phi[i] + r * p.stride[i];
  return mine;
}

// Memory handed out piece by piece; without any, it is only counted.
struct Arena {
  V* at;
  long size = 0;
  V* take(long n) {
    V* const here = at ? at + size : nullptr;
    size += n;
    return here;
  }
};

// From the observed state that a free run starts from to the state that it carries, and back.
struct Lift {
  V *slots, *x, *none, *sums;
  Lift(Arena& arena, long tiles)
      : slots(arena.take(tiles * lift::TAPE * NV)),
        x(arena.take(lift::STATE * NV)),
        none(arena.take(lift::STATE * NV)),
        sums(arena.take(lift::SUMS)) {}
  void ahead(const Problem& p, const Tile& tile, long i, const T* const* phi, V* scratch, V* s) const {
    V* const slot = slots + i * lift::TAPE * NV;
    read<lift::STATE>(slot, p.start + tile.row * lift::STATE, lift::STATE, tile.lanes);
    lift::ahead(phi, slot, x, scratch, s);
  }
  void back(const Tile& tile, long i, const T* const* phi, V* scratch, V* gs, T* dphi, T* dstart) const {
    std::memset(none, 0, lift::STATE * NV * sizeof(V));
    std::memset(sums, 0, lift::SUMS * sizeof(V));
    lift::back(phi, slots + i * lift::TAPE * NV, scratch, none, gs, x, sums, dphi);
    lift::finish(dphi, sums);
    store<lift::STATE>(dstart + tile.row * lift::STATE, lift::STATE, x, tile.lanes);
  }
};

// One step's loss, lane by lane, added to `sum`; the observed x becomes the loss's gradient.
static void residual(const Problem& p, const Tile& tile, V* x, const V* want, V* sum) {
  const T each = T(1) / (T(p.batch) * p.steps);
  if (p.loss == 0) {
    for (int e = 0; e < OBSERVED; e++)
      for (int v = 0; v < NV; v++) {
        const V off = tile.real[v] ? x[e * NV + v] - want[e * NV + v] : V{};
        sum[v] += off * off;
        x[e * NV + v] = off * (each * 2 / OBSERVED);
      }
    return;
  }
  for (int v = 0; v < NV; v++) {
    V top = x[v], all{}, mass{};
    for (int e = 1; e < OBSERVED; e++) top = vmax(top, x[e * NV + v]);
    for (int e = 0; e < OBSERVED; e++) all += vexp(x[e * NV + v] - top);
    for (int e = 0; e < OBSERVED; e++) mass += want[e * NV + v];
    const V log = top + vlog(all);
    for (int e = 0; e < OBSERVED; e++) {
      const V y = x[e * NV + v] - log, w = want[e * NV + v];
      sum[v] -= tile.real[v] ? w * y : V{};
      x[e * NV + v] = tile.real[v] ? (vexp(y) * mass - w) * each : V{};
    }
  }
}
