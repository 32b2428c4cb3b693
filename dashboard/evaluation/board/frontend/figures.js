// Counts and figures at thresholds, with the operations of core/evaluation in the same order, so
// that every number has the same last digit.

const VERTEBRAE = ["C1", "C2", "C3", "C4", "C5", "C6", "C7"];

const ratio = (part, whole) => (whole ? part / whole : 0);

class Counts {
  constructor(tp, fp, positive, negative) {
    Object.assign(this, { tp, fp, fn: positive - tp, tn: negative - fp, positive, negative });
    this.n = positive + negative;
    this.called = tp + fp;
  }

  get accuracy() { return ratio(this.tp + this.tn, this.n); }
  get precision() { return ratio(this.tp, this.called); }
  get recall() { return ratio(this.tp, this.positive); }
  get specificity() { return ratio(this.tn, this.negative); }
  get f1() { return ratio(2 * this.tp, this.called + this.positive); }

  get balanced_accuracy() {
    const rates = [];
    if (this.positive) rates.push(this.recall);
    if (this.negative) rates.push(this.specificity);
    return rates.length ? rates.reduce((sum, rate) => sum + rate, 0) / rates.length : 0;
  }

  get mcc() {
    // Four factors of several hundred thousand exceed the integers of a double.
    const product = [this.called, this.positive, this.negative, this.n - this.called]
      .reduce((all, one) => all * BigInt(one), 1n);
    return product === 0n ? 0 : (this.tp * this.tn - this.fp * this.fn) / Math.sqrt(Number(product));
  }

  predictive(prevalence) {
    if (prevalence === null) return [this.precision, ratio(this.tn, this.tn + this.fn)];
    const share = (part, rest) => (part + rest > 0 ? part / (part + rest) : 0);
    return [
      share(this.recall * prevalence, (1 - this.specificity) * (1 - prevalence)),
      share(this.specificity * (1 - prevalence), (1 - this.recall) * prevalence),
    ];
  }

  netBenefit(threshold) {
    const odds = threshold / (1 - threshold);
    return this.n ? (this.tp - this.fp * odds) / this.n : 0;
  }
}

/** What the server sends, in the order of `BoardCounts.to_bytes`. */
class Tables {
  constructor(bytes, data) {
    this.data = data;
    const [patients, pooled, each] = new Uint32Array(bytes, 0, 4);
    let at = 16;
    const taken = (type, length) => {
      const part = new type(bytes, at, length);
      at += part.byteLength;
      return part;
    };
    this.scores = taken(Float64Array, patients * VERTEBRAE.length);
    this.byName = {};
    for (const name of [...(pooled ? ["all"] : []), ...VERTEBRAE.slice(0, each)]) {
      const [positive, negative] = taken(Uint32Array, 2);
      const [tp, fp] = [taken(Uint32Array, data.steps + 1), taken(Uint32Array, data.steps + 1)];
      this.byName[name] = { positive, negative, tp, fp };
    }
    this.truth = taken(Uint8Array, patients);
  }

  /** Counts of one table at a position of the slider. */
  at(name, threshold) {
    const place = this.data.steps - Math.round(threshold * this.data.steps);
    const { tp, fp, positive, negative } = this.byName[name];
    return new Counts(tp[place], fp[place], positive, negative);
  }

  /** Patients of whom any vertebra reaches its own threshold. */
  any(thresholds) {
    let tp = 0, fp = 0, positive = 0;
    for (let patient = 0, k = 0; patient < this.truth.length; patient++) {
      let called = false;
      for (let j = 0; j < thresholds.length; j++, k++) called ||= this.scores[k] >= thresholds[j];
      positive += this.truth[patient];
      if (called) this.truth[patient] ? tp++ : fp++;
    }
    return new Counts(tp, fp, positive, this.truth.length - positive);
  }

  /** Counts of all items and of C1 to C7 at one threshold or seven. */
  figures(thresholds) {
    const each = {};
    const own = (j) => thresholds[thresholds.length > 1 ? j : 0];
    VERTEBRAE.forEach((name, j) => { if (this.byName[name]) each[name] = this.at(name, own(j)); });
    let all;
    if (this.byName.all) all = this.at("all", thresholds[0]);
    else if (this.truth.length) all = this.any(thresholds);
    else {
      const sum = (field) => Object.values(each).reduce((total, one) => total + one[field], 0);
      all = new Counts(sum("tp"), sum("fp"), sum("positive"), sum("negative"));
    }
    return { all, each };
  }
}

const grouped = (n) => n.toLocaleString("en-US");
const percent = (share) => `${fixed(100 * share, 1)}%`;

function sentence(counts, words) {
  return `${grouped(counts.fn)} of ${grouped(counts.positive)} ${words.positives} are ${words.missed}, `
    + `${grouped(counts.fp)} of ${grouped(counts.negative)} ${words.negatives} ${words.called}`;
}

/** Text of every field that the page may show, by the name in `data-live`. */
function texts(found, thresholds, data) {
  const { all, each } = found;
  const single = thresholds.length === 1;
  const [ppv, npv] = all.predictive(data.prevalence);
  const text = {
    at: single ? `at ${fixed(thresholds[0], 3)}:` : "at its seven thresholds:",
    "what-if": `${sentence(all, data.words)}.`,
    "m:ppv": fixed(ppv, 3),
    "m:npv": fixed(npv, 3),
    "m:net_benefit": single && thresholds[0] < 1 ? fixed(all.netBenefit(thresholds[0]), 3) : "–",
  };
  for (const name of ["recall", "specificity", "precision", "f1", "accuracy", "balanced_accuracy", "mcc"]) {
    text[`m:${name}`] = fixed(all[name], 3);
  }
  VERTEBRAE.forEach((name, j) => {
    const one = each[name];
    if (!one) return;
    text[`v:${name}:threshold`] = fixed(thresholds[single ? 0 : j], 3);
    text[`v:${name}:found`] = grouped(one.tp);
    text[`v:${name}:missed`] = grouped(one.fn);
    text[`v:${name}:alarms`] = grouped(one.fp);
    text[`v:${name}:recall`] = one.positive ? fixed(one.recall, 3) : "–";
    text[`v:${name}:precision`] = fixed(one.precision, 3);
    text[`v:${name}:f1`] = one.positive ? fixed(one.f1, 3) : "–";
  });
  return text;
}
