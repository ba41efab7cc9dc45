// The two sweeps over time; every replica is computed as if it were alone.
//
// An item of work is a tile of one replica: it goes forward and back in one piece, so that what lies between stays in the
// cache.

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

static long worker_size(const Problem& p) { return Work(p, nullptr).arena.size; }

// Gradients and losses of the tiles of a replica lie apart where there are several, behind the workers' memory.
constexpr long PART = (GRADIENT + W) / W;
static bool single(const Problem& p) { return p.batch <= TILE; }
static T* part(const Problem& p, long item) {
  return reinterpret_cast<T*>(p.work + p.workers * worker_size(p) + item * PART);
}

// Bytes of memory for a call.
extern "C" long workspace(const Problem* p) {
  const long parts = p->target && !single(*p) ? p->replicas * tiles_of(*p) * PART : 0;
  return (p->workers * worker_size(*p) + parts) * sizeof(V);
}

static void run_tile(void* context, long item, long worker) {
  const Call& call = *static_cast<Call*>(context);
  const Problem& p = call.p;
  const long r = item / tiles_of(p);
  const T* mine[PHI > 0 ? PHI : 1];
  const Work work(p, call.work(worker, worker_size(p)));
  ahead_of(p, Tile(p, r, item % tiles_of(p)), parameters(p, r, mine), work, call.out);
}

// Observed states (R, B, T, OBSERVED).
extern "C" void free_run(const Problem* p, T* out) {
  Call call{*p, out, nullptr, nullptr, nullptr};
  p->share(p->replicas * tiles_of(*p), p->workers, run_tile, &call);
}

static void differentiate_tile(void* context, long item, long worker) {
  const Call& call = *static_cast<Call*>(context);
  const Problem& p = call.p;
  const long r = item / tiles_of(p);
  const Tile tile(p, r, item % tiles_of(p));
  const T* mine[PHI > 0 ? PHI : 1];
  Work work(p, call.work(worker, worker_size(p)));
  T* const dphi = single(p) ? call.dphi + r * GRADIENT : part(p, item);
  T* const loss = single(p) ? call.loss + r : dphi + GRADIENT;
  std::memset(dphi, 0, GRADIENT * sizeof(T));
  std::memset(work.loss, 0, NV * sizeof(V));
  *loss = 0;
  ahead_of(p, tile, parameters(p, r, mine), work, nullptr);
  back_to(p, tile, parameters(p, r, mine), work, dphi, call.dstart);
  for (int v = 0; v < NV; v++) *loss += total(work.loss[v]);
}

static void sum_tiles(void* context, long r, long) {
  const Call& call = *static_cast<Call*>(context);
  const Problem& p = call.p;
  if (!single(p)) {
    std::memset(call.dphi + r * GRADIENT, 0, GRADIENT * sizeof(T));
    call.loss[r] = 0;
    for (long i = 0; i < tiles_of(p); i++) {
      const T* const from = part(p, r * tiles_of(p) + i);
      for (long e = 0; e < GRADIENT; e++) call.dphi[r * GRADIENT + e] += from[e];
      call.loss[r] += from[GRADIENT];
    }
  }
  call.loss[r] /= T(p.batch) * p.steps * (p.loss == 0 ? OBSERVED : 1);
}

// Losses (R,) and their gradients by φ (R, GRADIENT) and by the start (R, B, lift::STATE).
extern "C" void loss_and_gradient(const Problem* p, T* loss, T* dphi, T* dstart) {
  Call call{*p, nullptr, loss, dphi, dstart};
  p->share(p->replicas * tiles_of(*p), p->workers, differentiate_tile, &call);
  p->share(p->replicas, single(*p) ? 1 : p->workers, sum_tiles, &call);
}
