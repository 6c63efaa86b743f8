// Light, dark, or as the system has it.

const KEY = "bgkit-theme";
const NAMES = { "": "as the system", light: "light", dark: "dark" };

function apply(theme, button) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  button?.setAttribute("aria-label", `Color theme: ${NAMES[theme]}`);
}

apply(localStorage.getItem(KEY) ?? "");

/** Let a button go round the themes. */
export function toggleTheme(button) {
  let theme = localStorage.getItem(KEY) ?? "";
  apply(theme, button);
  button.addEventListener("click", () => {
    const names = Object.keys(NAMES);
    theme = names[(names.indexOf(theme) + 1) % names.length];
    localStorage.setItem(KEY, theme);
    apply(theme, button);
  });
}
