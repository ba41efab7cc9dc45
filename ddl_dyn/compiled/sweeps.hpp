// The two sweeps over time, for the replicas `first` to `last`; every replica is computed as if it were alone.

struct Buffer {
  V* at;
  explicit Buffer(long n) : at(static_cast<V*>(std::aligned_alloc(64, (n > 0 ? n : 1) * sizeof(V)))) {}
  ~Buffer() { std::free(at); }
  void clear(long n) { std::memset(at, 0, n * sizeof(V)); }
};

struct Problem {
  const T* const* phi;  // of replica 0
  const long* stride;   // from a replica to the next
  long first, last, batch, steps;
  long segment;  // 0: the tape keeps all steps; else it keeps the state at every segment's start
  const T* start;   // (R, B, STATE)
  const T* inputs;  // (R, B, T, INPUTS)
  V* tape;          // (R, tiles, slots, …); null where nothing is kept
};

static const T* const* parameters(const Problem& p, long r, const T** mine) {
  for (int i = 0; i < PHI; i++) mine[i] = p.phi[i] + r * p.stride[i];
  return mine;
}

static void tile_ahead(const Problem& p, const T* const* phi, long r, long tile, V* tape, V* scratch, T* out) {
  const long b = tile * TILE;
  const int lanes = p.batch - b < TILE ? p.batch - b : TILE;
  const long row = r * p.batch + b;
  const bool whole = tape && !p.segment;
  Buffer two(whole ? 0 : 2 * TAPE * NV);
  V* slot = whole ? tape : two.at;
  read<STATE, false>(slot, p.start + row * STATE, STATE, lanes);
  for (long t = 0; t < p.steps; t++) {
    if (tape && p.segment && t % p.segment == 0)
      std::memcpy(tape + t / p.segment * STATE * NV, slot, STATE * NV * sizeof(V));
    V* next = whole ? slot + TAPE * NV : two.at + ((t + 1) & 1) * TAPE * NV;
    read<INPUTS, false>(slot + STATE * NV, p.inputs + (row * p.steps + t) * INPUTS, p.steps * INPUTS, lanes);
    ahead(phi, slot, next, scratch, out + (row * p.steps + t) * OBSERVED, p.steps * OBSERVED, lanes);
    slot = next;
  }
}

// From step `hi` back to step `lo`, whose slot is `tape`.
static void reverse(const Problem& p, const T* const* phi, long row, int lanes, long lo, long hi, V* tape, V* ring,
                    V* scratch, V* gs, V* gx, V* ds, V* sums, const T* gout, T* dphi) {
  for (long top = hi; top > lo; top -= GATHERED) {
    const long bottom = top - GATHERED > lo ? top - GATHERED : lo;
    for (long t = top - 1; t >= bottom; t--) {
      read<OBSERVED, true>(gx, gout + (row * p.steps + t) * OBSERVED, p.steps * OBSERVED, lanes);
      back(phi, tape + (t - lo) * TAPE * NV, ring + (t - bottom) * RING * NV, scratch, gs, gx, ds, sums);
      std::memcpy(gs, ds, STATE * NV * sizeof(V));
      std::memset(gx, 0, OBSERVED * NV * sizeof(V));
    }
    gather(dphi, tape + (bottom - lo) * TAPE * NV, ring, top - bottom);
  }
}

static void tile_back(const Problem& p, const T* const* phi, long r, long tile, V* tape, V* scratch, V* ring,
                      const T* gout, T* dphi, T* dstart) {
  const long b = tile * TILE;
  const int lanes = p.batch - b < TILE ? p.batch - b : TILE;
  const long row = r * p.batch + b;
  Buffer work((2 * STATE + OBSERVED) * NV + SUMS), part(p.segment ? (p.segment + 1) * TAPE * NV : 0);
  V *gs = work.at, *gx = gs + STATE * NV, *ds = gx + OBSERVED * NV, *sums = ds + STATE * NV;
  work.clear((2 * STATE + OBSERVED) * NV + SUMS);
  if (!p.segment) {
    reverse(p, phi, row, lanes, 0, p.steps, tape, ring, scratch, gs, gx, ds, sums, gout, dphi);
  } else {
    for (long lo = (p.steps - 1) / p.segment * p.segment; lo >= 0; lo -= p.segment) {
      const long hi = lo + p.segment < p.steps ? lo + p.segment : p.steps;
      std::memcpy(part.at, tape + lo / p.segment * STATE * NV, STATE * NV * sizeof(V));
      for (long t = lo; t < hi; t++) {
        V* slot = part.at + (t - lo) * TAPE * NV;
        read<INPUTS, false>(slot + STATE * NV, p.inputs + (row * p.steps + t) * INPUTS, p.steps * INPUTS, lanes);
        ahead(phi, slot, slot + TAPE * NV, scratch, nullptr, 0, 0);
      }
      reverse(p, phi, row, lanes, lo, hi, part.at, ring, scratch, gs, gx, ds, sums, gout, dphi);
    }
  }
  finish(dphi, sums);
  store<STATE>(dstart + row * STATE, STATE, gs, lanes);
}

static long slots(const Problem& p) {
  return p.segment ? (p.steps + p.segment - 1) / p.segment * STATE : (p.steps + 1) * TAPE;
}

extern "C" void rollout_forward(const Problem* p, T* out) {
  const T* mine[PHI > 0 ? PHI : 1];
  Buffer scratch(SCRATCH * NV);
  const long tiles = (p->batch + TILE - 1) / TILE;
  for (long r = p->first; r < p->last; r++)
    for (long tile = 0; tile < tiles; tile++)
      tile_ahead(*p, parameters(*p, r, mine), r, tile, p->tape ? p->tape + (r * tiles + tile) * slots(*p) * NV : nullptr,
                 scratch.at, out);
}

extern "C" void rollout_backward(const Problem* p, const T* gout, T* dphi, T* dstart) {
  const T* mine[PHI > 0 ? PHI : 1];
  Buffer scratch(SCRATCH * NV), ring(GATHERED * RING * NV);
  const long tiles = (p->batch + TILE - 1) / TILE;
  for (long r = p->first; r < p->last; r++) {
    std::memset(dphi + r * GRADIENT, 0, GRADIENT * sizeof(T));
    for (long tile = 0; tile < tiles; tile++)
      tile_back(*p, parameters(*p, r, mine), r, tile, p->tape + (r * tiles + tile) * slots(*p) * NV, scratch.at, ring.at,
                gout, dphi + r * GRADIENT, dstart);
  }
}
