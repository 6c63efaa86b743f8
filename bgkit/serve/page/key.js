// The dialog that asks for the server's key, on both pages.

import { onKey } from "./api.js";

const FORM = `
  <form method="dialog">
    <h2 id="keytitle">This server asks for a key</h2>
    <label for="key">Key</label>
    <input type="text" autocomplete="username" value="bgkit" hidden>
    <input type="password" id="key" autocomplete="current-password" required>
    <p class="help">It is kept until this tab is closed.</p>
    <div class="row"><button class="primary">Use it</button></div>
  </form>`;

/** Ask for the key whenever the server wants one. */
export function askForKeys() {
  const dialog = document.createElement("dialog");
  dialog.id = "keydialog";
  dialog.setAttribute("aria-labelledby", "keytitle");
  dialog.innerHTML = FORM;
  document.body.append(dialog);
  onKey(async (wrong) => {
    if (wrong) dialog.querySelector("h2").textContent = "This key is not the right one";
    if (!dialog.open) dialog.showModal();
    await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
    return dialog.querySelector("[type=password]").value.trim();
  });
}
