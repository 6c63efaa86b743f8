// Findings in plain sentences.

const spoken = (name) => (name[0].toUpperCase() + name.slice(1)).replaceAll("_", " ");
const end = (text) => (/[.!?]$/.test(text) ? text : `${text}.`);

/** Return a sentence for a finding as the server tells it. */
export function sentence(name, { value, limit, unit, flagged, do: advice }) {
  const shown = Number(value.toPrecision(3));
  const figure = `${spoken(name)}: ${shown}${unit === "%" ? " %" : unit ? ` ${unit}` : ""}`;
  if (!flagged) return `${figure} (${limit} is asked for).`;
  return `${figure}, where ${limit} is asked for. ${end(advice[0].toUpperCase() + advice.slice(1))}`;
}

/** Return {flagged, fine}: sentences of an answer, warnings among the flagged. */
export function sentences({ findings = {}, warnings = [] }) {
  const all = Object.entries(findings);
  return {
    flagged: [...all.filter(([, each]) => each.flagged).map(([name, each]) => sentence(name, each)), ...warnings.map(end)],
    fine: all.filter(([, each]) => !each.flagged).map(([name, each]) => sentence(name, each)),
  };
}
