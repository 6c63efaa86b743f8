// The live demo of the site: the embedded network in the reader's browser, with the modules of bgkit serve's page.

const place = document.getElementById("browser-demo");
const say = (text) => (place.querySelector("output").textContent = text);

/** Fill the page's empty place; without ONNX Runtime in the site it says so. */
async function start() {
  place.innerHTML = `<p><label>Picture <input type="file" accept="image/*"></label></p>
    <p><output aria-live="polite"></output></p><p><img alt="" hidden style="max-width: 100%"></p>`;
  const here = await fetch(new URL("./network.json", import.meta.url)).catch(() => null);
  if (!here?.ok) return say("The network is not part of this copy of the site: make docs brings it where npm is, and a web server has to show it (python -m http.server -d build/site).");
  const { removeHere } = await import("./local.js");
  const model = await here.json();
  const input = place.querySelector("input"), image = place.querySelector("img");
  say("Nothing is sent: the picture stays in this browser.");
  input.addEventListener("change", async () => {
    if (!input.files.length) return;
    say("Working");
    try {
      const { layers, seconds } = await removeHere(model, input.files[0], new URL("./", import.meta.url).href);
      URL.revokeObjectURL(image.src);
      Object.assign(image, { src: URL.createObjectURL(layers.result.blob), hidden: false, alt: `${input.files[0].name} without its background` });
      say(`${layers.result.size[1]} × ${layers.result.size[0]} pixels, the network took ${seconds.cnn_mask.toFixed(2)} s`);
    } catch (error) {
      say(error.message);
    }
  });
}

start();
