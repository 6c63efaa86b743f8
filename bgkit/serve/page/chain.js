// A pipeline as it is on the screen: its steps with their values, and the YAML that says the same.

const PLAIN = /^[A-Za-z][\w./-]*( [\w./-]+)*$/;
const RESERVED = /^(true|false|null|~)$/i;

const scalar = (value) => {
  if (Array.isArray(value)) return `[${value.map(scalar).join(", ")}]`;
  if (typeof value !== "string") return String(value);
  return PLAIN.test(value) && !RESERVED.test(value) ? value : JSON.stringify(value);
};

export const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

export class Chain {
  /** `row` is a pipeline as the server lists it; `stages` what it says of every stage. */
  constructor(row, stages, name = row.name) {
    this.stages = stages;
    this.row = row;
    this.name = name;
    this.description = row.description;
    this.steps = row.stages.map(({ stage, values }) => ({ stage, values: { ...values } }));
    this.checks = { ...row.checks };
  }

  get info() {
    return this.steps.map(({ stage }) => this.stages[stage]);
  }

  /** Whether the pipeline is the one that the server knows by this name. */
  get untouched() {
    const steps = this.row.stages.map(({ stage, values }) => ({ stage, values }));
    return this.name !== "" && same(this.steps, steps) && same(this.checks, this.row.checks);
  }

  needs(layer) {
    return this.info.some(({ needs }) => needs.includes(layer));
  }

  takes(layer) {
    return this.info.some(({ needs, uses }) => needs.includes(layer) || uses.includes(layer));
  }

  has(stage) {
    return this.steps.some((step) => step.stage === stage);
  }

  default(stage, word) {
    return this.stages[stage].parameters.properties[word].default;
  }

  /** The step that corrects by strokes, if there is one. */
  get retouch() {
    return this.steps.find(({ stage }) => stage === "retouch");
  }

  /** Put that step in after the last one that gives alpha, where it is missing; returns whether it was. */
  putRetouchIn() {
    if (this.retouch) return false;
    const last = this.steps.findLastIndex(({ stage }) => ["alpha", "mask"].includes(this.stages[stage].gives));
    const properties = this.stages.retouch.parameters.properties;
    const values = Object.fromEntries(Object.entries(properties).map(([word, schema]) => [word, schema.default]));
    this.steps.splice(last + 1, 0, { stage: "retouch", values });
    return true;
  }

  /** The pipeline for an alpha that is there already: what refined it must not do so twice. */
  corrections() {
    const copy = this.copy();
    const at = copy.steps.findIndex(({ stage }) => stage === "retouch");
    const refines = ({ gives, needs }) => gives === "alpha" && needs.includes("alpha");
    copy.steps = copy.steps.filter(({ stage }, index) => index >= at || !refines(this.stages[stage]));
    return copy;
  }

  /** The step that corrects, and nothing else. */
  correctionAlone() {
    const copy = this.copy();
    copy.steps = [copy.retouch];
    copy.checks = {};
    return copy;
  }

  copy() {
    const copy = new Chain(this.row, this.stages, this.name);
    copy.description = this.description;
    copy.steps = structuredClone(this.steps);
    copy.checks = { ...this.checks };
    return copy;
  }

  /** What a request says of the pipeline. */
  fields() {
    return this.untouched ? { pipeline: this.name } : { yaml: this.yaml() };
  }

  /** The pipeline as YAML, with the values that differ from the stages' own. */
  yaml() {
    const lines = ["bgkit: 1", `description: ${JSON.stringify(this.description)}`, "stages:"];
    for (const { stage, values } of this.steps) {
      const changed = Object.entries(values).filter(([word, value]) => !same(value, this.default(stage, word)));
      const inner = changed.map(([word, value]) => `${word}: ${scalar(value)}`).join(", ");
      lines.push(inner ? `  - ${stage}: {${inner}}` : `  - ${stage}`);
    }
    const checks = Object.entries(this.checks);
    if (checks.length) lines.push("checks:", ...checks.map(([name, value]) => `  ${name}: ${value}`));
    return `${lines.join("\n")}\n`;
  }
}
