// The strokes of one picture: lines with a width, in the picture's own pixels; undone ones are kept to be redone.

const COLORS = { keep: "#2f7bff", remove: "#ff7a1a" };

export class Strokes {
  lines = [];
  undone = [];

  get empty() {
    return this.lines.length === 0;
  }

  /** Begin a line at a point; `extend` goes on with it. */
  begin(sign, size, point) {
    this.lines.push({ sign, size, points: [point] });
    this.undone = [];
  }

  extend(point) {
    this.lines.at(-1).points.push(point);
  }

  undo() {
    if (this.lines.length) this.undone.push(this.lines.pop());
  }

  redo() {
    if (this.undone.length) this.lines.push(this.undone.pop());
  }

  clear() {
    this.undone = this.lines.reverse();
    this.lines = [];
  }

  /** Draw the lines with one picture pixel as `scale` pixels of the canvas; later lines lie on earlier ones. */
  paint(context, scale, colors) {
    context.lineCap = context.lineJoin = "round";
    for (const { sign, size, points } of this.lines) {
      context.strokeStyle = colors[sign];
      context.lineWidth = Math.max(size * scale, 1);
      context.beginPath();
      context.moveTo(points[0][0] * scale, points[0][1] * scale);
      for (const [x, y] of points) context.lineTo(x * scale, y * scale);
      if (points.length === 1) context.lineTo(points[0][0] * scale + 0.01, points[0][1] * scale);
      context.stroke();
    }
  }

  show(canvas, scale) {
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, canvas.width, canvas.height);
    this.paint(context, scale, COLORS);
  }

  /** Return the picture of strokes that the server takes: white keeps, black removes, gray says nothing. */
  async picture(width, height, scale = 1) {
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const context = canvas.getContext("2d", { alpha: false });
    context.fillStyle = "#808080";
    context.fillRect(0, 0, width, height);
    this.paint(context, scale, { keep: "#fff", remove: "#000" });
    return blobOf(canvas, "image/png");
  }
}

export const blobOf = (canvas, type, quality) =>
  new Promise((resolve, reject) =>
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("The browser cannot write this format."))), type, quality),
  );
