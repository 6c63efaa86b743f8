// The dialog that asks for the server's key.

import { onKey } from "./api.js";

/** Let a dialog ask for the key whenever the server wants one. */
export function askForKeys(dialog) {
  onKey(async (wrong) => {
    if (wrong) dialog.querySelector("h2").textContent = "This key is not the right one";
    if (!dialog.open) dialog.showModal();
    await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
    return dialog.querySelector("[type=password]").value.trim();
  });
}
