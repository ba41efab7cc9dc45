// The two sweeps over time, for the replicas `first` to `last`; every replica is computed as if it were alone.
//
// A tile of one replica goes forward and back before the next one begins, so that what lies between stays in the cache.

// Memory of one worker, laid out in what the caller hands in.
struct Work {
  Arena arena;
  Lift lift;
  V *scratch, *two, *tape, *part, *seen, *want, *gs, *ds, *sums, *loss;
  Work(const Problem& p, V* at) : arena{at}, lift(arena, 1) {
    const long segments = p.segment ? (p.steps + p.segment - 1) / p.segment : 0;
    const bool back = p.target;
    scratch = arena.take((lift::SCRATCH > SCRATCH ? lift::SCRATCH : SCRATCH) * NV);
    two = arena.take(back && !p.segment ? 0 : 2 * TAPE * NV);
    seen = arena.take((back ? p.steps : 1) * OBSERVED * NV);
    if (!back) return;
    tape = arena.take((p.segment ? segments * STATE : (p.steps + 1) * TAPE) * NV);
    part = arena.take(p.segment ? (p.segment + 1) * TAPE * NV : 0);
    want = arena.take(OBSERVED * NV);
    gs = arena.take(STATE * NV);
    ds = arena.take(STATE * NV);
    sums = arena.take(SUMS);
    loss = arena.take(NV);
  }
};

static void inputs(const Problem& p, const Tile& tile, long t, V* slot) {
  read<INPUTS>(slot + STATE * NV, p.inputs + (tile.row * p.steps + t) * INPUTS, p.steps * INPUTS, tile.lanes);
}

static void ahead_of(const Problem& p, const Tile& tile, const T* const* phi, const Work& work, T* out) {
  const bool whole = p.target && !p.segment;
  V* slot = whole ? work.tape : work.two;
  work.lift.ahead(p, tile, 0, phi, work.scratch, slot);
  for (long t = 0; t < p.steps; t++) {
    if (p.target && p.segment && t % p.segment == 0)
      std::memcpy(work.tape + t / p.segment * STATE * NV, slot, STATE * NV * sizeof(V));
    V* next = whole ? slot + TAPE * NV : work.two + ((t + 1) & 1) * TAPE * NV;
    V* seen = work.seen + (p.target ? t * OBSERVED * NV : 0);
    inputs(p, tile, t, slot);
    ahead(phi, slot, next, work.scratch, seen);
    if (p.target) {
      read<OBSERVED>(work.want, p.target + tile.row * p.target_stride + t * OBSERVED, p.target_stride, tile.lanes);
      residual(p, tile, seen, work.want, work.loss);
    } else {
      store<OBSERVED>(out + (tile.row * p.steps + t) * OBSERVED, p.steps * OBSERVED, seen, tile.lanes);
    }
    slot = next;
  }
}

// From step `hi` back to step `lo`, whose slot is `tape`.
static void reverse(const T* const* phi, Work& work, long lo, long hi, V* tape, T* dphi) {
  for (long t = hi - 1; t >= lo; t--) {
    back(phi, tape + (t - lo) * TAPE * NV, work.scratch, work.gs, work.seen + t * OBSERVED * NV, work.ds, work.sums, dphi);
    V* const ds = work.ds;
    work.ds = work.gs;
    work.gs = ds;
  }
}

static void back_to(const Problem& p, const Tile& tile, const T* const* phi, Work& work, T* dphi, T* dstart) {
  std::memset(work.gs, 0, STATE * NV * sizeof(V));
  std::memset(work.sums, 0, SUMS * sizeof(V));
  if (!p.segment) {
    reverse(phi, work, 0, p.steps, work.tape, dphi);
  } else {
    for (long lo = (p.steps - 1) / p.segment * p.segment; lo >= 0; lo -= p.segment) {
      const long hi = lo + p.segment < p.steps ? lo + p.segment : p.steps;
      std::memcpy(work.part, work.tape + lo / p.segment * STATE * NV, STATE * NV * sizeof(V));
      for (long t = lo; t < hi; t++) {
        V* slot = work.part + (t - lo) * TAPE * NV;
        inputs(p, tile, t, slot);
        ahead(phi, slot, slot + TAPE * NV, work.scratch, nullptr);
      }
      reverse(phi, work, lo, hi, work.part, dphi);
    }
  }
  finish(dphi, work.sums);
  work.lift.back(tile, 0, phi, work.scratch, work.gs, dphi, dstart);
}

// Bytes of memory that one worker needs.
extern "C" long workspace(const Problem* p) { return Work(*p, nullptr).arena.size * sizeof(V); }

// Observed states (R, B, T, OBSERVED).
extern "C" void free_run(const Problem* p, T* out) {
  const T* mine[PHI > 0 ? PHI : 1];
  const Work work(*p, p->work);
  for (long r = p->first; r < p->last; r++)
    for (long tile = 0; tile * TILE < p->batch; tile++)
      ahead_of(*p, Tile(*p, r, tile), parameters(*p, r, mine), work, out);
}

// Losses (R,) and their gradients by φ (R, GRADIENT) and by the start (R, B, lift::STATE).
extern "C" void loss_and_gradient(const Problem* p, T* loss, T* dphi, T* dstart) {
  const T* mine[PHI > 0 ? PHI : 1];
  Work work(*p, p->work);
  for (long r = p->first; r < p->last; r++) {
    std::memset(dphi + r * GRADIENT, 0, GRADIENT * sizeof(T));
    loss[r] = 0;
    for (long i = 0; i * TILE < p->batch; i++) {
      const Tile tile(*p, r, i);
      std::memset(work.loss, 0, NV * sizeof(V));
      ahead_of(*p, tile, parameters(*p, r, mine), work, nullptr);
      back_to(*p, tile, parameters(*p, r, mine), work, dphi + r * GRADIENT, dstart);
      for (int v = 0; v < NV; v++) loss[r] += total(work.loss[v]);
    }
    loss[r] /= T(p->batch) * p->steps * (p->loss == 0 ? OBSERVED : 1);
  }
}
