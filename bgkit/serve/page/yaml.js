// The pipeline as YAML: shown, written by hand, checked by the server, saved and opened.

import { check } from "./api.js";
import { hand } from "./download.js";
import { $, make, say } from "./elements.js";
import { page } from "./page.js";

const REST = 400; // milliseconds without a key before the text is checked

let written = false; // whether the pipeline on the screen is being taken from the text

/** Show the pipeline; what a hand has written is left as it is. */
export function showYaml() {
  if (!written) $("yaml").value = page.chain.yaml();
  $("yamlproblem").hidden = true;
}

/** Where it is wrong, as a button that leads there, and why. */
function showProblem({ message, line, column }) {
  const place = $("yamlproblem");
  place.textContent = message;
  place.hidden = false;
  place.scrollIntoView({ block: "nearest" });
  if (!line) return;
  const button = make("button", { type: "button", className: "link", textContent: `Line ${line}, column ${column}` });
  button.addEventListener("click", () => {
    const lines = $("yaml").value.split("\n");
    const at = lines.slice(0, line - 1).reduce((sum, each) => sum + each.length + 1, 0) + column - 1;
    $("yaml").focus();
    $("yaml").setSelectionRange(at, at + Math.max(1, lines[line - 1].slice(column - 1).search(/[\s,:}\]]|$/)));
  });
  place.replaceChildren(button, `: ${message.replace(/^[^:\s]+:\d+:\d+: /, "")}`);
}

/** `use` takes the row of a pipeline that the server has checked. */
export function wireYaml(use) {
  const yaml = $("yaml");
  let timer = 0;
  const edited = () => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const text = yaml.value;
      try {
        const row = await check(text);
        if (text !== yaml.value) return;
        written = true;
        use(row);
      } catch (error) {
        if (text === yaml.value) showProblem(error);
      } finally {
        written = false;
      }
    }, REST);
  };
  yaml.addEventListener("input", edited);
  // A browser brings only the cursor into sight.
  yaml.addEventListener("focus", () => yaml.scrollIntoView({ block: "nearest" }));
  $("copy").addEventListener("click", async () => {
    await navigator.clipboard.writeText(yaml.value);
    say("Copied");
  });
  $("save").addEventListener("click", () => hand(new Blob([yaml.value], { type: "text/yaml" }), `${page.chain.name || "pipeline"}.yaml`));
  $("openyaml").addEventListener("click", () => $("yamlfile").click());
  $("yamlfile").addEventListener("change", async () => {
    yaml.value = await $("yamlfile").files[0].text();
    $("yamlfile").value = "";
    edited();
  });
}
