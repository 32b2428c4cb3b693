// Fetching slices: the one asked for first, then its neighbours in the direction of travel.

const PARALLEL = 6;
const BUSY = [429, 503];
// Several slices are asked for at once and take turns, so one may be told to wait again and again.
const BUSY_TRIES = 30;
// Slices kept in memory; those farther away come back from the browser's disk cache.
const SLICE_BYTES = 40e6;
const OVERLAY_BYTES = 16e6;

/** Fetches for one study; all of them share one signal and end with the study. */
class Fetcher {
  constructor(path, proof) {
    this.path = path;
    this.headers = proof ? { "X-Viewer-Session": proof } : {};
    this.stopper = new AbortController();
  }

  async bytes(place) {
    let answer = await this.answer(place);
    // The server is busy, or this address asks faster than it may: it says when to ask again.
    for (let tries = 0; tries < BUSY_TRIES && BUSY.includes(answer.status); tries++) {
      const seconds = Number(answer.headers.get("Retry-After")) || 1;
      await new Promise((resolve) => setTimeout(resolve, 1000 * Math.min(seconds, 10)));
      answer = await this.answer(place);
    }
    if (BUSY.includes(answer.status)) throw new Error((await answer.text()).trim() || "The server is busy; try again.");
    if (!answer.ok) throw new Error(`The server answered ${answer.status}.`);
    return answer.arrayBuffer();
  }

  answer(place) {
    return fetch(`${this.path}/${place}`, { headers: this.headers, signal: this.stopper.signal });
  }

  stop() {
    this.stopper.abort();
  }
}

/** Slices of one source in memory, up to a limit; the farthest from the current one are dropped first. */
class SliceStore {
  constructor(fetcher, source, { count, pixels, words, only, onLoad, onFail }) {
    Object.assign(this, { fetcher, source, count, words, onLoad, onFail });
    this.only = only ? new Set(only) : null;
    this.capacity = Math.max(8, Math.floor(words ? SLICE_BYTES / (2 * pixels) : OVERLAY_BYTES / pixels));
    this.slices = new Map();
    this.pending = new Set();
    this.failures = 0;
    this.center = 0;
    this.needed = 0;
    this.queue = [];
  }

  peek(index) {
    return this.slices.get(index) ?? null;
  }

  /** Fetch `index` and then its neighbours: `reach` ahead and half as many behind, `both` on each side. */
  want(index, direction, reach, both = 0) {
    this.center = index;
    this.needed = 2 * both + 3;
    const near = Math.max(Math.min(reach, this.capacity - 2), both);
    const order = [index];
    for (let step = 1; step <= near; step++) {
      order.push(index + step * direction);
      if (step <= Math.max(near / 2, both)) order.push(index - step * direction);
    }
    this.queue = order.filter((i) => this.lacks(i));
    this.pump();
  }

  lacks(index) {
    const exists = index >= 0 && index < this.count && (!this.only || this.only.has(index));
    return exists && !this.slices.has(index) && !this.pending.has(index);
  }

  pump() {
    while (this.queue.length && this.pending.size < PARALLEL) this.load(this.queue.shift());
  }

  async load(index) {
    if (!this.lacks(index)) return;
    this.pending.add(index);
    try {
      const buffer = await this.fetcher.bytes(`${this.source}/slice/${index}`);
      this.slices.set(index, this.words ? new Uint16Array(buffer) : new Uint8Array(buffer));
      this.failures = 0;
      this.shed();
      this.onLoad(index);
    } catch (error) {
      if (error.name === "AbortError") return;
      this.failures += 1;
      this.onFail(error);
    } finally {
      this.pending.delete(index);
    }
    if (this.failures < 3) this.pump();
  }

  shed() {
    while (this.slices.size > Math.max(this.capacity, this.needed)) {
      let farthest = -1;
      for (const index of this.slices.keys()) {
        if (farthest < 0 || Math.abs(index - this.center) > Math.abs(farthest - this.center)) {
          farthest = index;
        }
      }
      this.slices.delete(farthest);
    }
  }

  clear() {
    this.slices.clear();
    this.queue = [];
  }
}

/** The reduced volume of one source, fetched once when a plane is first drawn. */
class PlanesStore {
  constructor(fetcher, source, { words, onLoad, onFail }) {
    Object.assign(this, { fetcher, source, words, onLoad, onFail });
    this.voxels = null;
    this.asked = false;
  }

  async want() {
    if (this.asked) return;
    this.asked = true;
    try {
      const buffer = await this.fetcher.bytes(`${this.source}/planes`);
      this.voxels = this.words ? new Uint16Array(buffer) : new Uint8Array(buffer);
      this.onLoad();
    } catch (error) {
      if (error.name !== "AbortError") this.onFail(error);
    }
  }

  clear() {
    this.voxels = null;
  }
}
